// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {ProvenanceRegistry} from "../../ProvenanceRegistry.sol";
import {RecordDigest} from "../../types/RecordDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract ProvenanceRegistryRunsTest is RegistryFixture {
    function test_runIdPreimage() public view {
        RunId expected = RunId.wrap(
            keccak256(abi.encode(block.chainid, address(registry), OWNER, uint256(0)))
        );
        assertEq(runId, expected, "preimage");
        assertEq(registry.runIdOf(OWNER, 0), expected, "view");
    }

    function test_openRunStoresWhatWasFixed() public view {
        IProvenanceRegistry.Run memory run = registry.runOf(runId);
        assertEq(run.owner, OWNER, "owner");
        assertEq(run.drawBlock, 1_002, "draw block");
        assertEq(
            RecordDigest.unwrap(run.preregistrationDigest),
            RecordDigest.unwrap(PREREGISTRATION),
            "pre-registration"
        );
        assertEq(run.datasetId, DATASET, "dataset");
        assertEq(run.seed, 0, "seed");
        assertEq(uint256(run.seq) + run.size, 0, "empty log");
        assertEq(run.root, 0, "no root");
    }

    function test_openLogHasNoDraw() public {
        vm.prank(OWNER);
        RunId log = registry.openLog();
        assertEq(log, registry.runIdOf(OWNER, 1), "the nonces are shared");
        IProvenanceRegistry.Run memory run = registry.runOf(log);
        assertEq(run.drawBlock, 0, "draw block");
        assertEq(run.owner, OWNER, "owner");
        vm.roll(2_000);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NoDraw.selector, log));
        registry.drawSeed(log);
    }

    function test_openRunNeedsPreregistration() public {
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.ZeroPreregistration.selector));
        registry.openRun(RecordDigest.wrap(0), DATASET);
    }

    function test_runsOfPages() public {
        vm.startPrank(OWNER);
        registry.openLog();
        RunId third = registry.openRun(PREREGISTRATION, DATASET);
        vm.stopPrank();
        (RunId[] memory all, uint256 total) = registry.runsOf(OWNER, 0, type(uint256).max);
        assertEq(total, 3, "total");
        assertEq(all.length, 3, "all");
        assertEq(all[0], runId, "first");
        (RunId[] memory last, ) = registry.runsOf(OWNER, 2, 5);
        assertEq(last.length, 1, "last page");
        assertEq(last[0], third, "third");
        (RunId[] memory none, ) = registry.runsOf(OWNER, 3, 1);
        assertEq(none.length, 0, "past the end");
        assertEq(registry.nonceOf(OWNER), 3, "nonce");
    }

    /// The same preregistration and dataset under another owner make another run id. So nobody can
    /// take a run's name.
    function test_squattingIsImpossible() public {
        vm.prank(STRANGER);
        RunId theirs = registry.openRun(PREREGISTRATION, DATASET);
        assertTrue(RunId.unwrap(theirs) != RunId.unwrap(runId), "ids");
        assertEq(registry.runOf(runId).owner, OWNER, "owner");
    }

    function test_unknownRunIsEmpty() public view {
        IProvenanceRegistry.Run memory run = registry.runOf(NO_RUN);
        assertEq(run.owner, address(0), "owner");
        assertTrue(!registry.isWriter(NO_RUN, address(0)), "zero address is no writer");
    }

    function test_supersedes() public {
        assertEq(registry.supersedes(), address(0), "first");
        address second = deploy("ProvenanceRegistry", abi.encode(address(registry)));
        assertEq(ProvenanceRegistry(second).supersedes(), address(registry), "second");
        assertEq(registry.DRAW_DELAY(), 2, "delay");
    }

    function test_writers() public {
        assertTrue(registry.isWriter(runId, OWNER), "owner");
        assertTrue(!registry.isWriter(runId, WRITER), "before");
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, true);
        assertTrue(registry.isWriter(runId, WRITER), "allowed");
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, false);
        assertTrue(!registry.isWriter(runId, WRITER), "forbidden");
    }

    function test_onlyOwnerSetsWriters() public {
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, true);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.NotOwner.selector, runId, WRITER)
        );
        vm.prank(WRITER);
        registry.setWriter(runId, STRANGER, true);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.OwnerIsWriter.selector, runId, OWNER)
        );
        vm.prank(OWNER);
        registry.setWriter(runId, OWNER, false);
    }
}
