// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {RunId} from "../../types/RunId.sol";
import {ModelLedger} from "../../ModelLedger.sol";
import {History} from "../support/History.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {Vm} from "../support/Test.sol";

contract ModelLedgerDrawTest is ModelFixture, History {
    function test_tooEarly() public {
        anchor(MERGE);
        for (uint256 number = 1_000; number <= 1_002; ++number) {
            vm.roll(number);
            vm.expectRevert(
                abi.encodeWithSelector(IModelLedger.DrawTooEarly.selector, 1_002, number)
            );
            models.drawModel(runId, MERGE, 0);
        }
    }

    function test_seedPreimage() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        anchor(MERGE, a);
        bytes32 seed = draw(MERGE, 0);
        bytes32 digest = keccak256(abi.encode(a, uint256(77), LOG_ROOT));
        bytes memory head = abi.encode(
            keccak256("provenance/v1/draw"),
            block.chainid,
            address(models)
        );
        bytes memory tail = abi.encode(runId, uint256(MERGE), uint256(0), digest, blockhash(1_002));
        assertEq(seed, keccak256(bytes.concat(head, tail)), "preimage");
        assertEq(progress(MERGE, 0).seed, seed, "stored");
    }

    /// The seed is hashed from the log's head at anchoring, even if the log grows before the draw.
    function test_headIsThatOfTheAnchoring() public {
        bytes32[] memory path = new bytes32[](1);
        path[0] = keccak256("right");
        vm.startPrank(OWNER);
        runId = registry.openLog();
        registry.commit(runId, 1, LOG_ROOT, 1, new bytes32[](0));
        vm.stopPrank();
        anchor(QUANTIZE);
        bytes32 grown = sha256(abi.encodePacked(bytes1(0x01), LOG_ROOT, path[0]));
        vm.prank(OWNER);
        registry.commit(runId, 2, grown, 2, path);
        assertEq(uint256(registry.runOf(runId).size), 2, "the log grew");
        assertEq(uint256(progress(QUANTIZE, 0).logSize), 1, "size");
        assertEq(progress(QUANTIZE, 0).logRoot, LOG_ROOT, "root");
    }

    function test_drawnOnce() public {
        (, bytes32 seed) = anchorAndDraw(MERGE);
        vm.roll(block.number + 1);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.AlreadyDrawn.selector, seed));
        models.drawModel(runId, MERGE, 0);
    }

    /// If the writer lets a draw pass that does not suit, the anchoring is void, but still counts.
    function test_missedIsVoid() public {
        anchor(MERGE);
        vm.roll(1_002 + 256);
        assertTrue(!progress(MERGE, 0).missed, "the last block of the window");
        vm.roll(1_002 + 257);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.DrawMissed.selector, 1_002, 1_259));
        models.drawModel(runId, MERGE, 0);
        assertTrue(progress(MERGE, 0).missed, "missed");
        IModelLedger.Sample[] memory list = one(item(MERGE, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.NotDrawn.selector, runId, MERGE, 0));
        proveSamples(MERGE, 0, list);
        assertEq(uint256(models.anchoringCount(runId, MERGE)), 1, "it counts");
        assertEq(anchor(MERGE), 1, "the next number");
    }

    /// As ProvenanceRegistryDraw.t.sol: a ledger that was created beside a working history contract
    /// asks it, and one that was not never does.
    function test_historyIsPinnedWhenCreated() public {
        assertTrue(!models.usesHistory(), "there was none");
        installHistory();
        ModelLedger second = ModelLedger(
            deploy("ModelLedger", abi.encode(address(registry), pins))
        );
        assertTrue(second.usesHistory(), "there was one");
        anchor(MERGE);
        ModelLedger first = models;
        models = second;
        anchor(MERGE);
        vm.roll(1_003);
        storeParent(keccak256("hash of block 1002"));
        vm.roll(1_002 + 256);
        vm.recordLogs();
        first.drawModel(runId, MERGE, 0);
        vm.roll(1_002 + 8_191);
        assertTrue(!progress(MERGE, 0).missed, "the last block of the window");
        second.drawModel(runId, MERGE, 0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        (, bytes32 ofFirst) = abi.decode(logs[0].data, (bytes32, bytes32));
        (, bytes32 ofSecond) = abi.decode(logs[1].data, (bytes32, bytes32));
        assertTrue(ofFirst != 0 && ofFirst != ofSecond, "BLOCKHASH");
        assertEq(ofSecond, keccak256("hash of block 1002"), "history");
    }

    function test_unknownAnchoring() public {
        vm.expectRevert(
            abi.encodeWithSelector(IModelLedger.UnknownAnchoring.selector, runId, MERGE, 0)
        );
        models.drawModel(runId, MERGE, 0);
        IModelLedger.Sample[] memory none = new IModelLedger.Sample[](0);
        vm.expectRevert(
            abi.encodeWithSelector(IModelLedger.UnknownAnchoring.selector, runId, MERGE, 0)
        );
        proveSamples(MERGE, 0, none);
        (IModelLedger.Anchoring memory a, IModelLedger.Progress memory p) = models.anchoringOf(
            runId,
            MERGE,
            0
        );
        assertTrue(a.kind == 0 && p.blockNumber == 0 && !p.accepted, "all zero");
    }

    function testFuzz_everyFieldMakesAnotherSeed(uint256 field, bytes32 value) public {
        vm.assume(value != 0);
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        field = bound(field, 0, 6);
        uint64 small = uint64(bound(uint256(value), 1_000, 100_000));
        if (field == 0) a.base.root = value;
        if (field == 1) a.adapter.root = value;
        if (field == 2) a.merged.root = value;
        if (field == 3) a.artifact = value;
        if (field == 4) a.scale = small;
        if (field == 5) a.draws = small;
        if (field == 6) a.blocks = small;
        anchor(MERGE);
        vm.prank(OWNER);
        RunId other = registry.openLog();
        vm.startPrank(OWNER);
        registry.commit(other, 1, LOG_ROOT, 77, new bytes32[](0));
        models.anchorModel(runId, MERGE, a);
        models.anchorModel(other, MERGE, a);
        vm.stopPrank();
        vm.roll(1_003);
        bytes32 first = models.drawModel(runId, MERGE, 0);
        bytes32 second = models.drawModel(runId, MERGE, 1);
        assertTrue(
            first != second && second != models.drawModel(other, MERGE, 0),
            "three seeds of one block"
        );
    }
}
