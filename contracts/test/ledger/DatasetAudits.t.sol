// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetAudits} from "../../DatasetAudits.sol";
import {IDatasetAudits} from "../../interfaces/IDatasetAudits.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {ProofLedger} from "../../ProofLedger.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";
import {DataContract} from "../support/Simulator.sol";
import {Vm} from "../support/Test.sol";

/// @dev Audits of the fixture's dataset of 300 records: 19 sorted chunks of 16 leaves, or 2 of 256.
abstract contract AuditsFixture is LedgerFixture {
    bytes32 internal constant DIGEST = keccak256("digest");
    DatasetId internal constant NO_DATASET = DatasetId.wrap(keccak256("none"));
    uint64 internal constant CHUNKS = 19;

    DatasetAudits internal audits;
    IProofLedger.KeyPin[] internal auditPins;
    KeyId internal sorted16;
    KeyId internal sorted256;
    KeyId internal sortedDeep;
    KeyId internal memberKey;
    KeyId internal absentKey;
    KeyId internal memberDeep;
    DatasetId internal id;

    function setUp() public virtual override {
        super.setUp();
        sorted16 = _pin(3, 16, 5, 6);
        sorted256 = _pin(3, 256, 5, 6);
        sortedDeep = _pin(3, 256, 6, 6);
        memberKey = _pin(4, 1, 5, 4);
        absentKey = _pin(5, 1, 5, 3);
        memberDeep = _pin(4, 1, 6, 4);
        audits = DatasetAudits(deploy("DatasetAudits", abi.encode(address(ledger), auditPins)));
        id = register(Pin.Epoch);
    }

    function leaf(uint64 k) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("leaf", k))) % R;
    }

    function sortedProof(
        uint64 k,
        uint256 used,
        bool more,
        uint256 first,
        uint256 next
    ) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](6);
        (inputs[0], inputs[1]) = (ROOT, k);
        (inputs[2], inputs[3]) = (used, more ? 1 : 0);
        (inputs[4], inputs[5]) = (first, next);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function proveChunk(uint64 k, uint256 first, uint256 next) internal {
        bool more = k + 1 < CHUNKS;
        IProofLedger.Proof memory proof = sortedProof(k, more ? 16 : 12, more, first, next);
        vm.prank(STRANGER); // anybody may
        audits.proveSorted(id, sorted16, k, first, next, proof);
    }

    function proveChunk(uint64 k) internal {
        proveChunk(k, leaf(k), k + 1 < CHUNKS ? leaf(k + 1) : 0);
    }

    function proveAllSorted() internal {
        for (uint64 k = CHUNKS; k > 0; --k) proveChunk(k - 1);
    }

    function memberProof(uint256 count, bytes32 digest) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](4);
        (inputs[0], inputs[1]) = (ROOT, count);
        (inputs[2], inputs[3]) = (uint256(digest) >> 128, uint256(digest) % 2 ** 128);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function absentProof(uint256 count, bytes32 digest) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](3);
        (inputs[0], inputs[1], inputs[2]) = (ROOT, count, uint256(digest) >> 128);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function _pin(uint256 kind, uint256 slots, uint256 depth, uint256 count) private returns (KeyId) {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        IProofLedger.KeyPin memory keyPin = DataContract.pin(key);
        auditPins.push(keyPin);
        return keyPin.vkId;
    }
}

contract DatasetAuditsKeysTest is AuditsFixture {
    function test_pinnedKeys() public view {
        (address data, uint64 kind, uint64 slots, uint64 depth) = audits.keyOf(sorted256);
        assertEq(data, auditPins[1].data, "data");
        assertEq(uint256(kind) + slots + depth, 3 + 256 + 5, "header");
        (data, , , ) = audits.keyOf(vk(Pin.Tree));
        assertEq(data, address(0), "unknown key");
        assertEq(audits.ledger(), address(ledger), "ledger");
    }

    function test_ledgerNeedsCode() public {
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.BadLedger.selector, STRANGER));
        DatasetAudits(deploy("DatasetAudits", abi.encode(STRANGER, auditPins)));
    }

    function test_eachContractPinsItsOwnKinds() public {
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, vk(Pin.Epoch), "kind"));
        DatasetAudits(deploy("DatasetAudits", abi.encode(address(ledger), pins)));
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, sorted16, "kind"));
        ProofLedger(deploy("ProofLedger", abi.encode(address(registry), auditPins)));
    }

    function test_keysOfOtherShapes() public {
        _expectKey(3, 64, 5, 6, "slots");
        _expectKey(3, 16, 4, 6, "depth");
        _expectKey(3, 16, 5, 8, "public inputs");
        _expectKey(4, 2, 5, 4, "slots");
        _expectKey(4, 1, 7, 4, "depth");
        _expectKey(4, 1, 5, 3, "public inputs");
        _expectKey(5, 1, 5, 4, "public inputs");
        _expectKey(6, 4, 3, 7, "kind");
    }

    function _expectKey(uint256 kind, uint256 slots, uint256 depth, uint256 count, string memory rule) private {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        IProofLedger.KeyPin[] memory one = new IProofLedger.KeyPin[](1);
        one[0] = DataContract.pin(key);
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, one[0].vkId, rule));
        DatasetAudits(deploy("DatasetAudits", abi.encode(address(ledger), one)));
    }
}

contract DatasetAuditsSortedTest is AuditsFixture {
    function test_completeWhenAllChunksMeet() public {
        for (uint64 k = 0; k < CHUNKS; ++k) {
            assertTrue(!audits.isSorted(id) && !audits.isSortedUnder(id, sorted16), "not yet");
            proveChunk((k * 7) % CHUNKS); // in no order
        }
        assertTrue(audits.isSorted(id) && audits.isSortedUnder(id, sorted16), "complete");
        assertTrue(!audits.isSortedUnder(id, sorted256), "a set for each key");
        (uint256 first, uint256 next) = audits.sortedChunk(id, sorted16, 3);
        assertEq(first, leaf(3), "first");
        assertEq(next, leaf(4), "next");
    }

    function test_chunksOfAnotherSize() public {
        audits.proveSorted(id, sorted256, 0, leaf(0), leaf(1), sortedProof(0, 256, true, leaf(0), leaf(1)));
        proveChunk(1); // of the other set: the two do not mix
        assertTrue(!audits.isSorted(id), "not yet");
        audits.proveSorted(id, sorted256, 1, leaf(1), 0, sortedProof(1, 44, false, leaf(1), 0));
        assertTrue(audits.isSortedUnder(id, sorted256), "complete");
    }

    /// A chunk whose `next` is not the first leaf of the one behind leaves a gap: other leaves might lie in it.
    function test_brokenChain() public {
        for (uint64 k = 0; k < CHUNKS; ++k) {
            if (k == 7) proveChunk(7, leaf(7), leaf(100));
            else proveChunk(k);
        }
        assertTrue(!audits.isSorted(id), "chunks 7 and 8 do not meet");
        proveChunk(7); // the right ends take their place
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

    /// In whatever order the chunks come and whichever end is wrong.
    function test_anyOrderOneWrongEnd() public {
        uint64[3] memory bad = [uint64(0), 9, CHUNKS - 2];
        uint64[3] memory steps = [uint64(1), 5, CHUNKS - 1]; // CHUNKS is prime
        DatasetId[3] memory sets = [register(Pin.EpochDistinct), register(Pin.EpochCeremony), id];
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
        _expect(abi.encodeWithSelector(IProofLedger.UnknownDataset.selector, NO_DATASET), NO_DATASET, sorted16, 3, proof);
        bytes memory unknown = abi.encodeWithSelector(IProofLedger.UnknownKey.selector, memberKey, 3);
        _expect(unknown, id, memberKey, 3, proof);
        bytes memory depth = abi.encodeWithSelector(IDatasetAudits.WrongKeyDepth.selector, sortedDeep, 5, 6);
        _expect(depth, id, sortedDeep, 3, proof);
        bytes memory range = abi.encodeWithSelector(IProofLedger.ChunkOutOfRange.selector, CHUNKS, CHUNKS);
        _expect(range, id, sorted16, CHUNKS, proof);
        _expect(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 4), id, sorted16, 4, proof);
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

    /// used and more are the contract's: a proof about fewer leaves, or one that hides that a chunk follows, is of no use.
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
        DatasetId other = begin(Pin.EpochDistinct, 2);
        IProofLedger.Proof memory proof = sortedProof(3, 16, true, leaf(3), leaf(4));
        bytes memory unfinished = abi.encodeWithSelector(IProofLedger.DatasetNotFinished.selector, other);
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

    function _expect(bytes memory reason, DatasetId set, KeyId key, uint64 k, IProofLedger.Proof memory proof) private {
        vm.expectRevert(reason);
        audits.proveSorted(set, key, k, leaf(3), leaf(4), proof);
    }
}

contract DatasetAuditsDigestsTest is AuditsFixture {
    function test_member() public {
        vm.recordLogs();
        audits.proveMember(id, memberKey, DIGEST, memberProof(COUNT, DIGEST));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[0].topics[0], IDatasetAudits.MemberShown.selector, "event");
        assertEq(logs[0].topics[2], DIGEST, "digest");
        assertTrue(audits.isMember(id, DIGEST), "member");
        assertTrue(!audits.isAbsent(id, DIGEST), "not absent");
        assertTrue(!audits.isMember(NO_DATASET, DIGEST), "not in another dataset");
        IProofLedger.Proof memory junk;
        vm.recordLogs();
        audits.proveMember(id, memberKey, DIGEST, junk); // shown before: nothing happens
        assertEq(vm.getRecordedLogs().length, 0, "no event");
    }

    function test_absenceNeedsASortedDataset() public {
        IProofLedger.Proof memory proof = absentProof(COUNT, DIGEST);
        for (uint64 k = 1; k < CHUNKS; ++k) proveChunk(k);
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.NotSorted.selector, id));
        audits.proveAbsent(id, absentKey, DIGEST, proof);
        proveChunk(0);
        audits.proveAbsent(id, absentKey, DIGEST, proof);
        assertTrue(audits.isAbsent(id, DIGEST), "absent");
        assertTrue(!audits.isMember(id, DIGEST), "not a member");
    }

    function test_proofsOfOtherDigests() public {
        proveAllSorted();
        IProofLedger.Proof memory member = memberProof(COUNT, DIGEST);
        IProofLedger.Proof memory absent = absentProof(COUNT, DIGEST);
        for (uint256 bit = 0; bit < 256; bit += 51) {
            bytes32 other = DIGEST ^ bytes32(uint256(1) << bit);
            bytes memory refused = abi.encodeWithSelector(IDatasetAudits.DigestProofInvalid.selector, id, other);
            vm.expectRevert(refused);
            audits.proveMember(id, memberKey, other, member);
            if (bit < 128) continue; // absence speaks about the upper half: no record shares it
            vm.expectRevert(refused);
            audits.proveAbsent(id, absentKey, other, absent);
        }
    }

    function testFuzz_halves(bytes32 digest) public {
        vm.assume(digest != 0);
        audits.proveMember(id, memberKey, digest, memberProof(COUNT, digest));
        assertTrue(audits.isMember(id, digest), "member");
    }

    function test_countIsTheLedgers() public {
        IProofLedger.Proof memory proof = memberProof(COUNT + 1, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.DigestProofInvalid.selector, id, DIGEST));
        audits.proveMember(id, memberKey, DIGEST, proof);
    }

    function test_zeroDigest() public {
        proveAllSorted();
        IProofLedger.Proof memory member = memberProof(COUNT, 0);
        IProofLedger.Proof memory absent = absentProof(COUNT, 0);
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.ZeroDigest.selector));
        audits.proveMember(id, memberKey, 0, member);
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.ZeroDigest.selector));
        audits.proveAbsent(id, absentKey, 0, absent);
    }

    function test_keysOfOtherKinds() public {
        proveAllSorted();
        IProofLedger.Proof memory proof = memberProof(COUNT, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.UnknownKey.selector, absentKey, 4));
        audits.proveMember(id, absentKey, DIGEST, proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.UnknownKey.selector, memberKey, 5));
        audits.proveAbsent(id, memberKey, DIGEST, proof);
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.WrongKeyDepth.selector, memberDeep, 5, 6));
        audits.proveMember(id, memberDeep, DIGEST, proof);
    }

    function test_unknownDataset() public {
        IProofLedger.Proof memory proof = memberProof(COUNT, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.UnknownDataset.selector, NO_DATASET));
        audits.proveMember(NO_DATASET, memberKey, DIGEST, proof);
    }
}
