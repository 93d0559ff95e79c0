// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {ManifestDigest} from "../../types/ManifestDigest.sol";
import {ModelDigest} from "../../types/ModelDigest.sol";
import {RecordDigest} from "../../types/RecordDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {ReferenceTree} from "../support/ReferenceTree.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

contract ProvenanceRegistryReleaseTest is RegistryFixture {
    ModelDigest private constant MODEL = ModelDigest.wrap(keccak256("model"));
    ManifestDigest private constant MANIFEST = ManifestDigest.wrap(keccak256("manifest"));
    RecordDigest private constant RECORD = RecordDigest.wrap(keccak256("record"));

    function setUp() public override {
        super.setUp();
        appendMany(3);
        append(releaseEntry(runId, MODEL, MANIFEST, RECORD)); // index 3
        appendMany(3);
        commitAll(OWNER);
    }

    function test_releaseIsClaimed() public {
        _release(OWNER, MODEL, 3, 1);
        IProvenanceRegistry.Claim[] memory mine = registry.claims(MODEL, OWNER);
        assertEq(mine.length, 1, "one claim");
        assertEq(mine[0].runId, runId, "run");
        assertEq(mine[0].owner, OWNER, "owner");
        assertEq(mine[0].seq, 1, "seq");
        assertEq(mine[0].index, 3, "index");
        assertEq(mine[0].blockNumber, block.number, "block");
        assertEq(mine[0].revokedBlock, 0, "not revoked");
        assertEq(
            ManifestDigest.unwrap(mine[0].manifestDigest),
            ManifestDigest.unwrap(MANIFEST),
            "manifest"
        );
        assertEq(RecordDigest.unwrap(mine[0].recordDigest), RecordDigest.unwrap(RECORD), "record");
    }

    function test_releaseUnderLaterHead() public {
        appendMany(4);
        commitAll(OWNER);
        _release(OWNER, MODEL, 3, 2);
        assertEq(registry.claims(MODEL, OWNER)[0].seq, 2, "seq");
    }

    function test_onlyOwnerReleases() public {
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, true);
        _expectRelease(
            abi.encodeWithSelector(IProvenanceRegistry.NotOwner.selector, runId, WRITER),
            WRITER,
            MODEL,
            3,
            1
        );
    }

    function test_releaseNamesOnlyWhatTheLogNames() public {
        ModelDigest other = ModelDigest.wrap(keccak256("other model"));
        _expectRelease(_notIncluded(1, 3), OWNER, other, 3, 1);
        _expectRelease(_notIncluded(1, 2), OWNER, MODEL, 2, 1);
        _expectRelease(_notIncluded(1, 7), OWNER, MODEL, 7, 1);
        bytes memory unknown = abi.encodeWithSelector(
            IProvenanceRegistry.UnknownHead.selector,
            runId,
            2
        );
        _expectRelease(unknown, OWNER, MODEL, 3, 2);
    }

    function test_entryIsClaimedOnce() public {
        _release(OWNER, MODEL, 3, 1);
        appendMany(1);
        commitAll(OWNER);
        bytes memory again = abi.encodeWithSelector(
            IProvenanceRegistry.AlreadyReleased.selector,
            runId,
            3
        );
        _expectRelease(again, OWNER, MODEL, 3, 1);
        _expectRelease(again, OWNER, MODEL, 3, 2);
    }

    /// An entry names its run, so a copy of it in another owner's log is not a release there.
    function test_copiedEntryIsNoRelease() public {
        RunId theirs = _strangersLog(entries[3]);
        bytes32[] memory none = new bytes32[](0);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.NotIncluded.selector, theirs, 1, 0)
        );
        vm.prank(STRANGER);
        registry.release(theirs, 1, MODEL, MANIFEST, RECORD, 0, none);
    }

    /// Anybody may claim a digest. That claim is listed beside the others, and does not change the
    /// owner's.
    function test_anyoneMayClaimADigest() public {
        _release(OWNER, MODEL, 3, 1);
        vm.prank(STRANGER);
        RunId theirs = registry.openLog();
        bytes32 entry = releaseEntry(theirs, MODEL, MANIFEST, RECORD);
        vm.startPrank(STRANGER);
        registry.commit(theirs, 1, sha256(abi.encodePacked(bytes1(0), entry)), 1, new bytes32[](0));
        registry.release(theirs, 1, MODEL, MANIFEST, RECORD, 0, new bytes32[](0));
        vm.stopPrank();
        assertEq(registry.claims(MODEL, OWNER).length, 1, "owner's");
        assertEq(registry.claims(MODEL, STRANGER).length, 1, "stranger's");
        (IProvenanceRegistry.Claim[] memory page, uint256 total) = registry.lineageOf(MODEL, 0, 10);
        assertEq(total, 2, "all");
        assertEq(page[0].owner, OWNER, "first");
        assertEq(page[1].owner, STRANGER, "second");
        (page, ) = registry.lineageOf(MODEL, 1, 10);
        assertEq(page.length, 1, "second page");
        assertEq(page[0].runId, theirs, "second page's run");
        (page, total) = registry.lineageOf(MODEL, 5, 1);
        assertEq(page.length, 0, "past the end");
        assertEq(total, 2, "total past the end");
    }

    function test_revoke() public {
        _release(OWNER, MODEL, 3, 1);
        vm.roll(2_000);
        vm.prank(OWNER);
        registry.revoke(runId, 3, "licence withdrawn");
        (uint64 blockNumber, string memory reason) = registry.revocationOf(runId, 3);
        assertEq(blockNumber, 2_000, "block");
        assertEq(reason, "licence withdrawn", "reason");
        assertEq(registry.claims(MODEL, OWNER)[0].revokedBlock, 2_000, "claim");
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.AlreadyRevoked.selector, runId, 2_000)
        );
        vm.prank(OWNER);
        registry.revoke(runId, 3, "changed my mind");
    }

    /// An entry may be revoked before it is claimed; a claim made afterwards shows the revocation.
    function test_claimOfRevokedEntryShowsIt() public {
        vm.prank(OWNER);
        registry.revoke(runId, 3, "");
        _release(OWNER, MODEL, 3, 1);
        assertEq(registry.claims(MODEL, OWNER)[0].revokedBlock, block.number, "revoked");
    }

    function test_revokeRefusals() public {
        vm.prank(OWNER);
        registry.setWriter(runId, WRITER, true);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.NotOwner.selector, runId, WRITER)
        );
        vm.prank(WRITER);
        registry.revoke(runId, 3, "");
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.IndexOutOfRange.selector, runId, 7, 7)
        );
        vm.prank(OWNER);
        registry.revoke(runId, 7, "");
        (uint64 blockNumber, ) = registry.revocationOf(runId, 3);
        assertEq(blockNumber, 0, "not revoked");
    }

    function test_datasetsAreRevokedPerSender() public {
        vm.prank(STRANGER);
        registry.revokeDataset(DATASET, "spite");
        (uint64 blockNumber, string memory reason) = registry.datasetRevocationOf(DATASET, OWNER);
        assertEq(blockNumber, 0, "the owner's is untouched");
        vm.prank(OWNER);
        registry.revokeDataset(DATASET, "consent withdrawn");
        (blockNumber, reason) = registry.datasetRevocationOf(DATASET, OWNER);
        assertEq(blockNumber, block.number, "block");
        assertEq(reason, "consent withdrawn", "reason");
        vm.expectRevert(
            abi.encodeWithSelector(
                IProvenanceRegistry.AlreadyRevoked.selector,
                DATASET,
                block.number
            )
        );
        vm.prank(OWNER);
        registry.revokeDataset(DATASET, "");
    }

    function testFuzz_flippedProofIsRefused(uint256 noise) public {
        bytes32[] memory proof = ReferenceTree.inclusion(leaves(), 3, entries.length);
        proof[noise % proof.length] ^= bytes32(uint256(1) << (noise >> 248));
        vm.expectRevert(_notIncluded(1, 3));
        vm.prank(OWNER);
        registry.release(runId, 1, MODEL, MANIFEST, RECORD, 3, proof);
    }

    function _release(address sender, ModelDigest model, uint64 index, uint64 seq) private {
        bytes32[] memory proof = ReferenceTree.inclusion(leaves(), index, entries.length);
        vm.prank(sender);
        registry.release(runId, seq, model, MANIFEST, RECORD, index, proof);
    }

    function _expectRelease(
        bytes memory reason,
        address sender,
        ModelDigest model,
        uint64 index,
        uint64 seq
    ) private {
        bytes32[] memory proof = ReferenceTree.inclusion(
            leaves(),
            index < 7 ? index : 6,
            entries.length
        );
        vm.expectRevert(reason);
        vm.prank(sender);
        registry.release(runId, seq, model, MANIFEST, RECORD, index, proof);
    }

    function _strangersLog(bytes32 entry) private returns (RunId theirs) {
        vm.startPrank(STRANGER);
        theirs = registry.openLog();
        registry.commit(theirs, 1, sha256(abi.encodePacked(bytes1(0), entry)), 1, new bytes32[](0));
        vm.stopPrank();
    }

    function _notIncluded(uint64 seq, uint64 index) private view returns (bytes memory) {
        return abi.encodeWithSelector(IProvenanceRegistry.NotIncluded.selector, runId, seq, index);
    }
}
