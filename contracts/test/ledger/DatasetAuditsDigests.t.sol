// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetAudits} from "../../interfaces/IDatasetAudits.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Vm} from "../support/Test.sol";
import {AuditsFixture} from "./AuditsFixture.sol";

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
            bytes memory refused = abi.encodeWithSelector(
                IDatasetAudits.DigestProofInvalid.selector,
                id,
                other
            );
            vm.expectRevert(refused);
            audits.proveMember(id, memberKey, other, member);
            if (bit < 128) continue; // absence means that no record has the upper half
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
        vm.expectRevert(
            abi.encodeWithSelector(IDatasetAudits.DigestProofInvalid.selector, id, DIGEST)
        );
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
        vm.expectRevert(
            abi.encodeWithSelector(IDatasetAudits.WrongKeyDepth.selector, memberDeep, 5, 6)
        );
        audits.proveMember(id, memberDeep, DIGEST, proof);
    }

    function test_unknownDataset() public {
        IProofLedger.Proof memory proof = memberProof(COUNT, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.UnknownDataset.selector, NO_DATASET));
        audits.proveMember(NO_DATASET, memberKey, DIGEST, proof);
    }
}
