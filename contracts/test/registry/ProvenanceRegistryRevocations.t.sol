// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {Vm} from "../support/Test.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @dev Which entries of a log were revoked, and whose keys.
contract ProvenanceRegistryRevocationsTest is RegistryFixture {
    address internal constant SIGNER = address(0x516);

    function setUp() public override {
        super.setUp();
        appendMany(7);
        bytes32 top = root(7);
        vm.prank(OWNER);
        registry.commit(runId, 1, top, 7, new bytes32[](0));
    }

    function test_revokedEntriesAreListedInTheirOrder() public {
        (uint64[] memory page, uint256 total) = registry.revokedEntriesOf(runId, 0, 10);
        assertEq(page.length, 0, "none yet");
        assertEq(total, 0, "none in all");
        uint64[3] memory order = [uint64(5), 0, 6];
        for (uint256 i = 0; i < order.length; ++i) {
            vm.prank(OWNER);
            registry.revoke(runId, order[i], "why");
        }
        (page, total) = registry.revokedEntriesOf(runId, 0, 10);
        assertEq(page.length, 3, "all");
        for (uint256 i = 0; i < order.length; ++i) assertEq(page[i], order[i], "order");
        (page, total) = registry.revokedEntriesOf(runId, 1, 1);
        assertEq(page.length, 1, "page");
        assertEq(page[0], 0, "second");
        assertEq(total, 3, "total of a page");
        (page, ) = registry.revokedEntriesOf(runId, 3, 1);
        assertEq(page.length, 0, "past the end");
    }

    function test_refusedRevocationsAreNotListed() public {
        vm.prank(OWNER);
        registry.revoke(runId, 5, "why");
        vm.expectRevert(
            abi.encodeWithSelector(
                IProvenanceRegistry.AlreadyRevoked.selector,
                runId,
                block.number
            )
        );
        vm.prank(OWNER);
        registry.revoke(runId, 5, "again");
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.NotOwner.selector, runId, STRANGER)
        );
        vm.prank(STRANGER);
        registry.revoke(runId, 4, "spite");
        (, uint256 total) = registry.revokedEntriesOf(runId, 0, 10);
        assertEq(total, 1, "only the owner's, once");
        (, total) = registry.revokedEntriesOf(NO_RUN, 0, 10);
        assertEq(total, 0, "of this log only");
    }

    function test_signersAreRevokedPerSender() public {
        vm.roll(2_000);
        vm.prank(STRANGER);
        registry.revokeSigner(SIGNER, 0, "spite");
        _assertCount(OWNER, 0);
        vm.recordLogs();
        vm.prank(OWNER);
        registry.revokeSigner(SIGNER, 2_000, "laptop stolen");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1, "one event");
        assertEq(logs[0].topics[0], IProvenanceRegistry.SignerRevoked.selector, "its name");
        assertEq(address(uint160(uint256(logs[0].topics[1]))), SIGNER, "signer");
        assertEq(address(uint160(uint256(logs[0].topics[2]))), OWNER, "by");
        assertEq(keccak256(logs[0].data), keccak256(abi.encode(2_000, "laptop stolen")), "data");
        _assertCount(OWNER, 1);
        _assertRevoked(OWNER, 0, 2_000, 2_000, "laptop stolen");
        _assertCount(STRANGER, 1);
        _assertRevoked(STRANGER, 0, 2_000, 0, "spite");
    }

    /// Nobody who holds the key can keep its owner from naming an earlier block.
    function test_aSignerIsRevokedAgainOnlyFromAnEarlierBlock() public {
        vm.roll(2_000);
        vm.prank(SIGNER);
        registry.revokeSigner(SIGNER, 2_000, "by the thief");
        vm.roll(3_000);
        vm.prank(SIGNER);
        registry.revokeSigner(SIGNER, 1_500, "compromised");
        vm.roll(4_000);
        uint64[3] memory refused = [uint64(1_500), 1_999, 4_000];
        for (uint256 i = 0; i < refused.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IProvenanceRegistry.AlreadyRevoked.selector,
                    bytes32(uint256(uint160(SIGNER))),
                    3_000
                )
            );
            vm.prank(SIGNER);
            registry.revokeSigner(SIGNER, refused[i], "it was nothing");
        }
        _assertCount(SIGNER, 2);
    }

    /// Else whoever may speak no more could change what they said when they could.
    function test_whatWasSaidOfASignerStays() public {
        uint64[3] memory said = [uint64(2_000), 2_000, 3_000];
        uint64[3] memory from = [uint64(2_001), 2_000, 0];
        string[3] memory reasons = ["lost", "", "spite"];
        for (uint256 i = 0; i < said.length; ++i) {
            vm.roll(said[i]);
            vm.prank(OWNER);
            registry.revokeSigner(SIGNER, from[i], reasons[i]);
        }
        _assertCount(OWNER, 3);
        for (uint256 i = 0; i < said.length; ++i) {
            _assertRevoked(OWNER, i, said[i], from[i], reasons[i]);
        }
        IProvenanceRegistry.SignerRevocation[] memory page;
        (page, ) = registry.revocationsOfSignerBy(SIGNER, OWNER, 1, 10);
        assertEq(page.length, 2, "the rest");
        assertEq(page[1].fromBlock, 0, "the last");
        (page, ) = registry.revocationsOfSignerBy(SIGNER, OWNER, 3, 1);
        assertEq(page.length, 0, "past the end");
        (page, ) = registry.revocationsOfSignerBy(OWNER, SIGNER, 0, 1);
        assertEq(page.length, 0, "of the other by this one");
    }

    function test_aSignerIsNotRevokedFromABlockToCome() public {
        vm.roll(2_000);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.FromBlockAhead.selector, 2_002, 2_000)
        );
        vm.prank(SIGNER);
        registry.revokeSigner(SIGNER, 2_002, "later");
        vm.prank(SIGNER);
        registry.revokeSigner(SIGNER, 2_001, "now");
        _assertCount(SIGNER, 1);
        _assertRevoked(SIGNER, 0, 2_000, 2_001, "now");
    }

    function _assertCount(address by, uint256 count) internal view {
        (, uint256 total) = registry.revocationsOfSignerBy(SIGNER, by, 0, 0);
        assertEq(total, count, "how many");
    }

    function _assertRevoked(
        address by,
        uint256 place,
        uint64 blockNumber,
        uint64 fromBlock,
        string memory reason
    ) internal view {
        (IProvenanceRegistry.SignerRevocation[] memory page, ) = registry.revocationsOfSignerBy(
            SIGNER,
            by,
            place,
            1
        );
        assertEq(page.length, 1, "one");
        assertEq(page[0].blockNumber, blockNumber, "block");
        assertEq(page[0].fromBlock, fromBlock, "from");
        assertEq(page[0].reason, reason, "reason");
    }
}
