// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {RunId} from "../../types/RunId.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {Vm} from "../support/Test.sol";

contract ModelLedgerAnchoringTest is ModelFixture {
    function test_anchoring() public {
        for (uint64 stage = MERGE; stage <= QUANTIZE; ++stage) {
            IModelLedger.Anchoring memory a = anchoring(stage);
            vm.prank(WRITER);
            assertEq(models.anchorModel(runId, stage, a), 0, "number");
            (IModelLedger.Anchoring memory stored, IModelLedger.Progress memory p) = models
                .anchoringOf(runId, stage, 0);
            assertEq(keccak256(abi.encode(stored)), keccak256(abi.encode(a)), "what was anchored");
            assertEq(uint256(p.blockNumber) + p.drawBlock, 1_000 + 1_002, "blocks");
            assertEq(p.logRoot, LOG_ROOT, "log root");
            assertEq(uint256(p.logSize), 77, "log size");
            assertTrue(
                p.seed == 0 && !p.accepted && !p.missed,
                "neither drawn nor accepted nor missed"
            );
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
        vm.expectRevert(
            abi.encodeWithSelector(IModelLedger.NotRunWriter.selector, runId, STRANGER)
        );
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
            _expect(
                abi.encodeWithSelector(IModelLedger.WrongStage.selector, stages[i], kinds[i]),
                stages[i],
                a
            );
        }
        IModelLedger.Anchoring memory q = anchoring(QUANTIZE);
        _expect(abi.encodeWithSelector(IModelLedger.WrongStage.selector, 0, 6), 0, q);
        _expect(abi.encodeWithSelector(IModelLedger.WrongStage.selector, 3, 6), 3, q);
        q.kind = 7;
        anchor(QUANTIZE, q);
    }

    function test_fieldsOfTheWrongStage() public {
        for (uint256 field = 0; field < 9; ++field) {
            bool merges = field < 4;
            IModelLedger.Anchoring memory a = anchoring(merges ? MERGE : QUANTIZE);
            if (field == 0) a.base.root = 0;
            if (field == 1) a.adapter.entries -= 1;
            if (field == 2) a.adapter.root = 0;
            if (field == 3) a.adapter.entries += 1;
            if (field == 4) a.base.root = LOG_ROOT;
            if (field == 5) a.base.entries = 1;
            if (field == 6) a.adapter.root = LOG_ROOT;
            if (field == 7) a.adapter.entries = 1;
            if (field == 8) a.scale = 1;
            string[9] memory names = [
                "base",
                "adapter",
                "adapter",
                "adapter",
                "base",
                "base",
                "adapter",
                "adapter",
                "scale"
            ];
            _expectField(names[field], merges ? MERGE : QUANTIZE, a);
        }
    }

    /// Such an anchoring would fit any adapter, trained or not.
    function test_mergesThatChangeNothing() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        a.scale = 0;
        _expectField("scale", MERGE, a);
        a.scale = 1;
        a.base.root = a.merged.root;
        _expectField("merged", MERGE, a);
        a.base.root = LOG_ROOT;
        anchor(MERGE, a);
    }

    function test_ranges() public {
        for (uint256 field = 0; field < 12; ++field) {
            IModelLedger.Anchoring memory a = anchoring(MERGE);
            if (field == 0) a.merged.root = 0;
            if (field == 1) (a.merged.entries, a.base.entries, a.adapter.entries) = (0, 0, 0);
            if (field == 2)
                (a.merged.entries, a.base.entries, a.adapter.entries) = (2 ** 24, 2 ** 24, 2 ** 25);
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
            string memory name =
                field == 11 ? "base" : names[[uint256(0), 0, 0, 1, 2, 2, 3, 3, 4, 4, 5][field]];
            _expectField(name, MERGE, a);
        }
    }

    function _expectField(
        string memory field,
        uint64 stage,
        IModelLedger.Anchoring memory a
    ) private {
        _expect(abi.encodeWithSelector(IModelLedger.BadAnchoring.selector, field), stage, a);
    }

    function _expect(bytes memory reason, uint64 stage, IModelLedger.Anchoring memory a) private {
        vm.expectRevert(reason);
        anchor(stage, a);
    }
}
