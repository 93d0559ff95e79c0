// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {ModelLedger} from "../../ModelLedger.sol";
import {RunId} from "../../types/RunId.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {DataContract} from "../support/Simulator.sol";
import {Vm} from "../support/Test.sol";

contract ModelLedgerKeysTest is ModelFixture {
    function test_pinnedKeys() public view {
        (address data, uint64 kind, uint64 slots, uint64 depth) = models.keyOf(vk[8][SLOTS][1 + 16 * 16]);
        assertEq(data, pins[7].data, "data");
        assertEq(uint256(kind) + slots + depth, 8 + SLOTS + 1 + 16 * 16, "header");
        (data, , , ) = models.keyOf(NO_KEY);
        assertEq(data, address(0), "unknown key");
        assertEq(models.registry(), address(registry), "registry");
        assertEq(models.DRAW_DELAY(), 2, "delay");
    }

    function test_registryNeedsCode() public {
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.BadRegistry.selector, STRANGER));
        ModelLedger(deploy("ModelLedger", abi.encode(STRANGER, pins)));
    }

    function test_keysOfOtherShapes() public {
        _expectKey(6, 0, 1, 1, "slots");
        _expectKey(6, 65, 1, 84, "slots");
        _expectKey(6, 4, 0, 7, "depth");
        _expectKey(6, 4, 8, 7, "depth");
        _expectKey(6, 4, 1, 8, "public inputs");
        _expectKey(7, 7, 1, 10, "public inputs");
        _expectKey(8, 4, 1, 7, "depth"); // rank 0
        _expectKey(8, 4, 1 + 16 * 24, 7, "depth");
        _expectKey(8, 4, 1 + 16 * 128, 7, "depth");
        _expectKey(8, 4, 16 * 8, 7, "depth");
        _expectKey(8, 8, 1 + 16 * 8, 7, "public inputs");
        _expectKey(5, 1, 5, 3, "kind");
    }

    function test_mostPublicInputs() public {
        bytes memory key = sim.keyBytes(sim.plainSetup(7, 64, 7, 86));
        ModelLedger(deploy("ModelLedger", abi.encode(address(registry), _one(key))));
        bytes memory more = sim.keyBytes(sim.plainSetup(7, 64, 7, 87));
        IProofLedger.KeyPin[] memory list = _one(more);
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, keccak256(more), "count"));
        ModelLedger(deploy("ModelLedger", abi.encode(address(registry), list)));
    }

    function _expectKey(uint256 kind, uint256 slots, uint256 depth, uint256 count, string memory rule) private {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        IProofLedger.KeyPin[] memory list = _one(key);
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, keccak256(key), rule));
        ModelLedger(deploy("ModelLedger", abi.encode(address(registry), list)));
    }

    function _one(bytes memory key) private returns (IProofLedger.KeyPin[] memory list) {
        list = new IProofLedger.KeyPin[](1);
        list[0] = DataContract.pin(key);
    }
}

contract ModelLedgerAnchoringTest is ModelFixture {
    function test_anchoring() public {
        for (uint64 stage = MERGE; stage <= QUANTIZE; ++stage) {
            IModelLedger.Anchoring memory a = anchoring(stage);
            vm.prank(WRITER);
            assertEq(models.anchorModel(runId, stage, a), 0, "number");
            (IModelLedger.Anchoring memory stored, IModelLedger.Progress memory p) = models.anchoringOf(runId, stage, 0);
            assertEq(keccak256(abi.encode(stored)), keccak256(abi.encode(a)), "what was anchored");
            assertEq(uint256(p.blockNumber) + p.drawBlock, 1_000 + 1_002, "blocks");
            assertEq(p.logRoot, LOG_ROOT, "log root");
            assertEq(uint256(p.logSize), 77, "log size");
            assertTrue(p.seed == 0 && !p.accepted && !p.missed, "neither drawn nor accepted nor missed");
        }
    }

    function test_event() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        vm.recordLogs();
        anchor(MERGE, a);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[0].topics[0], IModelLedger.ModelAnchored.selector, "event");
        bytes32 digest = keccak256(abi.encode(a, uint256(77), LOG_ROOT));
        bytes memory data = abi.encode(a, uint256(77), LOG_ROOT, digest);
        assertEq(keccak256(logs[0].data), keccak256(data), "everything that makes the digest");
    }

    /// Anchoring again until the draw suits shows in the count, and the earlier ones stay.
    function test_anchoringsAreCounted() public {
        (, bytes32 seed) = anchorAndDraw(QUANTIZE);
        assertEq(anchor(QUANTIZE), 1, "the next number");
        assertEq(uint256(models.anchoringCount(runId, QUANTIZE)), 2, "count");
        assertEq(uint256(models.anchoringCount(runId, MERGE)), 0, "of another stage");
        assertTrue(draw(QUANTIZE, 1) != seed, "another draw");
        assertEq(progress(QUANTIZE, 0).seed, seed, "the first stays");
    }

    function test_onlyWritersAnchor() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.NotRunWriter.selector, runId, STRANGER));
        vm.prank(STRANGER);
        models.anchorModel(runId, MERGE, a);
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, false);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.NotRunWriter.selector, runId, WRITER));
        vm.prank(WRITER);
        models.anchorModel(runId, MERGE, a);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.NotRunWriter.selector, NO_RUN, OWNER));
        vm.prank(OWNER);
        models.anchorModel(NO_RUN, MERGE, a);
    }

    function test_theLogMustHaveAHead() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        vm.startPrank(OWNER);
        RunId empty = registry.openLog();
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.LogIsEmpty.selector, empty));
        models.anchorModel(empty, MERGE, a);
    }

    function test_stages() public {
        uint64[5] memory kinds = [uint64(8), 6, 7, 5, 9];
        uint64[5] memory stages = [QUANTIZE, MERGE, MERGE, QUANTIZE, QUANTIZE];
        for (uint256 i = 0; i < 5; ++i) {
            IModelLedger.Anchoring memory a = anchoring(stages[i]);
            a.kind = kinds[i];
            _expect(abi.encodeWithSelector(IModelLedger.WrongStage.selector, stages[i], kinds[i]), stages[i], a);
        }
        IModelLedger.Anchoring memory q = anchoring(QUANTIZE);
        _expect(abi.encodeWithSelector(IModelLedger.WrongStage.selector, 0, 6), 0, q);
        _expect(abi.encodeWithSelector(IModelLedger.WrongStage.selector, 3, 6), 3, q);
        q.kind = 7;
        anchor(QUANTIZE, q);
    }

    function test_fieldsOfTheWrongStage() public {
        for (uint256 field = 0; field < 7; ++field) {
            bool merges = field < 2;
            IModelLedger.Anchoring memory a = anchoring(merges ? MERGE : QUANTIZE);
            if (field == 0) a.base.root = 0;
            if (field == 1) a.adapter.entries -= 1;
            if (field == 2) a.base.root = LOG_ROOT;
            if (field == 3) a.base.entries = 1;
            if (field == 4) a.adapter.root = LOG_ROOT;
            if (field == 5) a.adapter.entries = 1;
            if (field == 6) a.scale = 1;
            string[7] memory names = ["base", "adapter", "base", "base", "adapter", "adapter", "scale"];
            _expectField(names[field], merges ? MERGE : QUANTIZE, a);
        }
    }

    function test_ranges() public {
        for (uint256 field = 0; field < 12; ++field) {
            IModelLedger.Anchoring memory a = anchoring(MERGE);
            if (field == 0) a.merged.root = 0;
            if (field == 1) (a.merged.entries, a.base.entries, a.adapter.entries) = (0, 0, 0);
            if (field == 2) (a.merged.entries, a.base.entries, a.adapter.entries) = (2 ** 24, 2 ** 24, 2 ** 25);
            if (field == 3) a.artifact = 0;
            if (field == 4) a.slots = 0;
            if (field == 5) a.slots = 65;
            if (field == 6) a.draws = 0;
            if (field == 7) a.draws = 2 ** 32;
            if (field == 8) a.blocks = 0;
            if (field == 9) a.blocks = 2 ** 48;
            if (field == 10) a.scale = 2 ** 32;
            if (field == 11) a.merged.entries = type(uint64).max;
            string[6] memory names = ["merged", "artifact", "slots", "draws", "blocks", "scale"];
            string memory name = field == 11 ? "base" : names[[uint256(0), 0, 0, 1, 2, 2, 3, 3, 4, 4, 5][field]];
            _expectField(name, MERGE, a);
        }
    }

    function _expectField(string memory field, uint64 stage, IModelLedger.Anchoring memory a) private {
        _expect(abi.encodeWithSelector(IModelLedger.BadAnchoring.selector, field), stage, a);
    }

    function _expect(bytes memory reason, uint64 stage, IModelLedger.Anchoring memory a) private {
        vm.expectRevert(reason);
        anchor(stage, a);
    }
}

contract ModelLedgerDrawTest is ModelFixture {
    function test_tooEarly() public {
        anchor(MERGE);
        for (uint256 number = 1_000; number <= 1_002; ++number) {
            vm.roll(number);
            vm.expectRevert(abi.encodeWithSelector(IModelLedger.DrawTooEarly.selector, 1_002, number));
            models.drawModel(runId, MERGE, 0);
        }
    }

    function test_seedPreimage() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        anchor(MERGE, a);
        bytes32 seed = draw(MERGE, 0);
        bytes32 digest = keccak256(abi.encode(a, uint256(77), LOG_ROOT));
        bytes memory head = abi.encode(keccak256("provenance/v1/draw"), block.chainid, address(models));
        bytes memory tail = abi.encode(runId, uint256(MERGE), uint256(0), digest, blockhash(1_002));
        assertEq(seed, keccak256(bytes.concat(head, tail)), "preimage");
        assertEq(progress(MERGE, 0).seed, seed, "stored");
    }

    /// The log's head is the one at anchoring, however the log grows before the draw.
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

    /// Whoever lets a draw that does not suit pass has a void anchoring, which still counts.
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
        models.proveSamples(runId, MERGE, 0, list);
        assertEq(uint256(models.anchoringCount(runId, MERGE)), 1, "it counts");
        assertEq(anchor(MERGE), 1, "the next number");
    }

    function test_unknownAnchoring() public {
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.UnknownAnchoring.selector, runId, MERGE, 0));
        models.drawModel(runId, MERGE, 0);
        IModelLedger.Sample[] memory none = new IModelLedger.Sample[](0);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.UnknownAnchoring.selector, runId, MERGE, 0));
        models.proveSamples(runId, MERGE, 0, none);
        (IModelLedger.Anchoring memory a, IModelLedger.Progress memory p) = models.anchoringOf(runId, MERGE, 0);
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
        assertTrue(first != second && second != models.drawModel(other, MERGE, 0), "three seeds of one block");
    }
}
