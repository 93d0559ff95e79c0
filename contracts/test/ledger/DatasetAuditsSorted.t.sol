// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetAudits} from "../../interfaces/IDatasetAudits.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {Vm} from "../support/Test.sol";
import {AuditsFixture} from "./AuditsFixture.sol";

contract DatasetAuditsSortedTest is AuditsFixture {
    function test_completeWhenAllChunksMeet() public {
        for (uint64 k = 0; k < CHUNKS; ++k) {
            assertTrue(!audits.isSorted(id) && !audits.isSortedUnder(id, sorted16), "not yet");
            proveChunk((k * 7) % CHUNKS); // in a mixed order
        }
        assertTrue(audits.isSorted(id) && audits.isSortedUnder(id, sorted16), "complete");
        assertTrue(!audits.isSortedUnder(id, sorted256), "a set for each key");
        (uint256 first, uint256 next) = audits.sortedChunk(id, sorted16, 3);
        assertEq(first, leaf(3), "first");
        assertEq(next, leaf(4), "next");
    }

    function test_chunksOfAnotherSize() public {
        audits.proveSorted(
            id,
            sorted256,
            0,
            leaf(0),
            leaf(1),
            sortedProof(0, 256, true, leaf(0), leaf(1))
        );
        proveChunk(1); // of the other set: chunks of two sets do not count together
        assertTrue(!audits.isSorted(id), "not yet");
        audits.proveSorted(id, sorted256, 1, leaf(1), 0, sortedProof(1, 44, false, leaf(1), 0));
        assertTrue(audits.isSortedUnder(id, sorted256), "complete");
    }

    /// A chunk whose `next` is not the first leaf of the following chunk leaves a gap, in which
    /// other leaves might lie.
    function test_brokenChain() public {
        for (uint64 k = 0; k < CHUNKS; ++k) {
            if (k == 7) proveChunk(7, leaf(7), leaf(100));
            else proveChunk(k);
        }
        assertTrue(!audits.isSorted(id), "chunks 7 and 8 do not meet");
        proveChunk(7); // the right ends replace the wrong ones
        assertTrue(audits.isSorted(id), "complete");
    }

    function test_replacedEndsBreakTheChain() public {
        for (uint64 k = 0; k + 1 < CHUNKS; ++k) proveChunk(k);
        proveChunk(4, leaf(4), leaf(100));
        proveChunk(CHUNKS - 1);
        assertTrue(!audits.isSorted(id), "chunk 4 lost its joint");
        proveChunk(4);
        assertTrue(audits.isSorted(id), "complete");
        IProofLedger.Proof memory junk;
        audits.proveSorted(id, sorted16, 4, leaf(4), leaf(100), junk); // complete: nothing happens
        (, uint256 next) = audits.sortedChunk(id, sorted16, 4);
        assertEq(next, leaf(5), "ends stay");
    }

    /// The set is not complete while one end is wrong, in any order of chunks and for any end.
    function test_anyOrderOneWrongEnd() public {
        uint64[3] memory bad = [uint64(0), 9, CHUNKS - 2];
        uint64[3] memory steps = [uint64(1), 5, CHUNKS - 1]; // CHUNKS is prime
        DatasetId[3] memory sets = [register(Pin.EpochOther), register(Pin.EpochCeremony), id];
        for (uint256 j = 0; j < 3; ++j) {
            id = sets[j];
            for (uint64 i = 0; i < CHUNKS; ++i) {
                uint64 k = (i * steps[j]) % CHUNKS;
                if (k == bad[j]) proveChunk(k, leaf(k), leaf(1_000));
                else proveChunk(k);
            }
            assertTrue(!audits.isSorted(id), "broken");
            proveChunk(bad[j]);
            assertTrue(audits.isSorted(id), "complete");
        }
    }

    function test_provedChunkIsANoOp() public {
        proveChunk(3);
        IProofLedger.Proof memory junk;
        vm.recordLogs();
        audits.proveSorted(id, sorted16, 3, leaf(3), leaf(4), junk);
        assertEq(vm.getRecordedLogs().length, 0, "no event");
    }

    function test_events() public {
        for (uint64 k = 1; k < CHUNKS; ++k) proveChunk(k);
        vm.recordLogs();
        proveChunk(0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 2, "events");
        assertEq(logs[0].topics[0], IDatasetAudits.ChunkSorted.selector, "ChunkSorted");
        assertEq(keccak256(logs[0].data), keccak256(abi.encode(leaf(0), leaf(1))), "ends");
        assertEq(logs[1].topics[0], IDatasetAudits.DatasetSorted.selector, "DatasetSorted");
        assertEq(logs[1].topics[2], KeyId.unwrap(sorted16), "key");
    }

    function test_refusals() public {
        IProofLedger.Proof memory proof = sortedProof(3, 16, true, leaf(3), leaf(4));
        _expect(
            abi.encodeWithSelector(IProofLedger.UnknownDataset.selector, NO_DATASET),
            NO_DATASET,
            sorted16,
            3,
            proof
        );
        bytes memory unknown = abi.encodeWithSelector(
            IProofLedger.UnknownKey.selector,
            memberKey,
            3
        );
        _expect(unknown, id, memberKey, 3, proof);
        bytes memory depth = abi.encodeWithSelector(
            IDatasetAudits.WrongKeyDepth.selector,
            sortedDeep,
            5,
            6
        );
        _expect(depth, id, sortedDeep, 3, proof);
        bytes memory range = abi.encodeWithSelector(
            IProofLedger.ChunkOutOfRange.selector,
            CHUNKS,
            CHUNKS
        );
        _expect(range, id, sorted16, CHUNKS, proof);
        _expect(
            abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 4),
            id,
            sorted16,
            4,
            proof
        );
    }

    function test_endsMustBeLeaves() public {
        _expectEnds(3, 0, leaf(4));
        _expectEnds(3, leaf(3), 0);
        _expectEnds(CHUNKS - 1, leaf(3), leaf(4));
        IProofLedger.Proof memory proof = sortedProof(3, 16, true, leaf(3), leaf(4));
        vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, 4, leaf(3) + R));
        audits.proveSorted(id, sorted16, 3, leaf(3) + R, leaf(4), proof);
        vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, 5, leaf(4) + R));
        audits.proveSorted(id, sorted16, 3, leaf(3), leaf(4) + R, proof);
    }

    /// The contract computes `used` and `more`. So it refuses a proof about fewer leaves, and one
    /// that hides that another chunk follows.
    function test_usedAndMoreAreComputed() public {
        IProofLedger.Proof[3] memory wrong = [
            sortedProof(0, 15, true, leaf(0), leaf(1)),
            sortedProof(0, 16, false, leaf(0), leaf(1)),
            sortedProof(1, 16, true, leaf(0), leaf(1))
        ];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 0));
            audits.proveSorted(id, sorted16, 0, leaf(0), leaf(1), wrong[i]);
        }
    }

    function test_unfinishedDataset() public {
        DatasetId other = begin(Pin.EpochOther, 2);
        IProofLedger.Proof memory proof = sortedProof(3, 16, true, leaf(3), leaf(4));
        bytes memory unfinished = abi.encodeWithSelector(
            IProofLedger.DatasetNotFinished.selector,
            other
        );
        _expect(unfinished, other, sorted16, 3, proof);
        proof = memberProof(COUNT, DIGEST);
        vm.expectRevert(unfinished);
        audits.proveMember(other, memberKey, DIGEST, proof);
        proof = absentProof(COUNT, DIGEST);
        vm.expectRevert(unfinished);
        audits.proveAbsent(other, absentKey, DIGEST, proof);
    }

    function _expectEnds(uint64 k, uint256 first, uint256 next) private {
        IProofLedger.Proof memory proof = sortedProof(k, k == 3 ? 16 : 12, k == 3, first, next);
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.BadEnds.selector, k, first, next));
        audits.proveSorted(id, sorted16, k, first, next, proof);
    }

    function _expect(
        bytes memory reason,
        DatasetId set,
        KeyId key,
        uint64 k,
        IProofLedger.Proof memory proof
    ) private {
        vm.expectRevert(reason);
        audits.proveSorted(set, key, k, leaf(3), leaf(4), proof);
    }
}
