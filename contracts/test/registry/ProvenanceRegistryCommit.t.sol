// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract ProvenanceRegistryCommitTest is RegistryFixture {
    function test_commitsExtendEachOther() public {
        uint8[6] memory sizes = [1, 2, 5, 8, 9, 21];
        for (uint64 seq = 1; seq <= 6; ++seq) {
            appendMany(sizes[seq - 1] - entries.length);
            commitAll(OWNER);
            IProvenanceRegistry.Head memory head = registry.headAt(runId, seq);
            assertEq(head.size, sizes[seq - 1], "size");
            assertEq(head.root, root(sizes[seq - 1]), "root");
            assertEq(head.blockNumber, block.number, "block");
            assertEq(head.timestamp, block.timestamp, "time");
        }
        IProvenanceRegistry.Run memory run = registry.runOf(runId);
        assertEq(run.seq, 6, "seq");
        assertEq(run.size, 21, "latest size");
        assertEq(run.root, root(21), "latest root");
        assertEq(registry.headAt(runId, 7).size, 0, "no head yet");
    }

    function testFuzz_commit(uint256 m, uint256 n) public {
        n = bound(n, 2, 64);
        m = bound(m, 1, n - 1);
        appendMany(m);
        commitAll(OWNER);
        appendMany(n - m);
        commitAll(OWNER);
        assertEq(registry.runOf(runId).size, n, "size");
    }

    function test_writerCommitsUntilForbidden() public {
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, true);
        appendMany(3);
        commitAll(WRITER);
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, false);
        appendMany(1);
        _expectRefused(
            WRITER,
            2,
            4,
            abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, runId, WRITER)
        );
    }

    /// A stranger who copies a commit from the mempool is refused, and the writer's own commit is
    /// then accepted.
    function test_frontRunCopyIsRefused() public {
        appendMany(3);
        _expectRefused(
            STRANGER,
            1,
            3,
            abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, runId, STRANGER)
        );
        commitAll(OWNER);
    }

    function test_gapAndReplayAreRefused() public {
        appendMany(4);
        bytes4 wrong = IProvenanceRegistry.WrongSequence.selector;
        _expectRefused(OWNER, 0, 4, abi.encodeWithSelector(wrong, runId, 1, 0));
        _expectRefused(OWNER, 2, 4, abi.encodeWithSelector(wrong, runId, 1, 2));
        commitAll(OWNER);
        _expectRefused(OWNER, 1, 4, abi.encodeWithSelector(wrong, runId, 2, 1));
        uint64 huge = type(uint64).max;
        _expectRefused(OWNER, huge, 4, abi.encodeWithSelector(wrong, runId, 2, huge));
    }

    function test_sizeMustGrow() public {
        bytes4 notGrown = IProvenanceRegistry.SizeNotGrown.selector;
        _expectRefused(OWNER, 1, 0, abi.encodeWithSelector(notGrown, runId, 0, 0));
        appendMany(4);
        commitAll(OWNER);
        _expectRefused(OWNER, 2, 4, abi.encodeWithSelector(notGrown, runId, 4, 4));
        _expectRefused(OWNER, 2, 3, abi.encodeWithSelector(notGrown, runId, 4, 3));
    }

    /// No proof lets a head follow whose log replaces an old entry.
    function test_forkIsRefused() public {
        appendMany(5);
        commitAll(OWNER);
        entries[2] = keccak256("rewritten");
        appendMany(2);
        bytes memory refused = abi.encodeWithSelector(
            IProvenanceRegistry.NotConsistent.selector,
            runId,
            5,
            7
        );
        _expectRefused(OWNER, 2, 7, refused);
    }

    function test_firstHeadTakesNoProof() public {
        appendMany(2);
        bytes32[] memory proof = new bytes32[](1);
        bytes32 newRoot = root(2);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.NotConsistent.selector, runId, 0, 2)
        );
        vm.prank(OWNER);
        registry.commit(runId, 1, newRoot, 2, proof);
    }

    function test_unknownRunHasNoWriter() public {
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.NotWriter.selector, NO_RUN, OWNER)
        );
        vm.prank(OWNER);
        registry.commit(NO_RUN, 1, bytes32(uint256(1)), 1, new bytes32[](0));
    }

    /// Commits the true head of `size` entries with its true proof, as number `seq`.
    function _expectRefused(address sender, uint64 seq, uint64 size, bytes memory reason) private {
        uint64 oldSize = registry.runOf(runId).size;
        bytes32[] memory proof = size > oldSize ? consistency(oldSize, size) : new bytes32[](0);
        bytes32 newRoot = root(size);
        vm.expectRevert(reason);
        vm.prank(sender);
        registry.commit(runId, seq, newRoot, size, proof);
    }
}
