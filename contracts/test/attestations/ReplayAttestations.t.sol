// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReplayAttestations} from "../../ReplayAttestations.sol";
import {IReplayAttestations} from "../../interfaces/IReplayAttestations.sol";
import {AttestationDigest} from "../../types/AttestationDigest.sol";
import {RunId} from "../../types/RunId.sol";
import {Test, Vm} from "../support/Test.sol";
import {Wallet} from "../support/Wallet.sol";

/// @dev Nobody writes in another's name, and what was written stays as it is and where it is.
contract ReplayAttestationsTest is Test {
    address internal constant ANNA = address(0xA22A);
    address internal constant BERT = address(0xBE27);
    RunId internal constant RUN = RunId.wrap(keccak256("run"));
    RunId internal constant OTHER_RUN = RunId.wrap(keccak256("another run"));
    uint256 internal constant PAGE = 64;

    ReplayAttestations internal attestations;

    function setUp() public {
        vm.roll(1_000);
        attestations = ReplayAttestations(deploy("ReplayAttestations", ""));
    }

    function test_whatWasSentIsListedWithItsBlock() public {
        (IReplayAttestations.Entry[] memory page, uint256 total) = _list(RUN, ANNA, 0, PAGE);
        assertEq(page.length, 0, "none yet");
        assertEq(total, 0, "none in all");
        for (uint256 i = 0; i < 3; ++i) {
            vm.roll(2_000 + i / 2);
            _attest(ANNA, RUN, _digest(i));
        }
        (page, total) = _list(RUN, ANNA, 0, PAGE);
        assertEq(page.length, 3, "all");
        assertEq(total, 3, "total");
        for (uint256 i = 0; i < 3; ++i) _assertEntry(page[i], i, 2_000 + i / 2);
    }

    function test_anEventNamesRunAndAuditor() public {
        vm.recordLogs();
        _attest(ANNA, RUN, _digest(7));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1, "one event");
        assertEq(logs[0].topics.length, 3, "two indexed");
        assertEq(logs[0].topics[0], IReplayAttestations.Attested.selector, "its name");
        assertEq(logs[0].topics[1], RunId.unwrap(RUN), "run");
        assertEq(address(uint160(uint256(logs[0].topics[2]))), ANNA, "auditor");
        assertEq(keccak256(logs[0].data), keccak256(abi.encode(_digest(7))), "digest");
    }

    /// A foreign account that sends an auditor's digest first takes nothing from the auditor, and
    /// adds nothing to their entries.
    function test_nobodyWritesInAnothersName() public {
        _attest(BERT, RUN, _digest(1));
        (, uint256 total) = _list(RUN, ANNA, 0, PAGE);
        assertEq(total, 0, "nothing in Anna's name");
        assertEq(attestations.blockOf(RUN, ANNA, _digest(1)), 0, "not sent by Anna");
        vm.roll(1_500);
        _attest(ANNA, RUN, _digest(1));
        assertEq(attestations.blockOf(RUN, ANNA, _digest(1)), 1_500, "Anna's block");
        assertEq(attestations.blockOf(RUN, BERT, _digest(1)), 1_000, "Bert's block");
        (, total) = _list(RUN, BERT, 0, PAGE);
        assertEq(total, 1, "Bert's alone");
    }

    function test_eachRunHasItsOwnEntries() public {
        _attest(ANNA, RUN, _digest(1));
        (, uint256 total) = _list(OTHER_RUN, ANNA, 0, PAGE);
        assertEq(total, 0, "not about the other run");
        assertEq(attestations.blockOf(OTHER_RUN, ANNA, _digest(1)), 0, "nor its block");
        _attest(ANNA, OTHER_RUN, _digest(1));
        (, total) = _list(RUN, ANNA, 0, PAGE);
        assertEq(total, 1, "the same digest about each");
    }

    /// Else a later block, or a place further back, could be had for something said before.
    function test_aDigestIsNotSentTwice() public {
        _attest(ANNA, RUN, _digest(1));
        _attest(ANNA, RUN, _digest(2));
        vm.roll(3_000);
        vm.expectRevert(
            abi.encodeWithSelector(
                IReplayAttestations.AlreadyAttested.selector,
                RUN,
                ANNA,
                _digest(1),
                1_000
            )
        );
        _attest(ANNA, RUN, _digest(1));
        (IReplayAttestations.Entry[] memory page, uint256 total) = _list(RUN, ANNA, 0, PAGE);
        assertEq(total, 2, "as many as before");
        _assertEntry(page[0], 1, 1_000);
        _assertEntry(page[1], 2, 1_000);
    }

    function test_zeroIsNoDigest() public {
        vm.expectRevert(abi.encodeWithSelector(IReplayAttestations.ZeroDigest.selector));
        _attest(ANNA, RUN, AttestationDigest.wrap(0));
        (, uint256 total) = _list(RUN, ANNA, 0, PAGE);
        assertEq(total, 0, "nothing was added");
    }

    function test_aContractAttestsInItsOwnName() public {
        Wallet wallet = new Wallet(ANNA, BERT);
        bytes memory call = abi.encodeCall(IReplayAttestations.attest, (RUN, _digest(4)));
        vm.prank(BERT);
        wallet.execute(address(attestations), call);
        assertEq(attestations.blockOf(RUN, address(wallet), _digest(4)), 1_000, "the wallet's");
        assertEq(attestations.blockOf(RUN, BERT, _digest(4)), 0, "not the owner's");
    }

    function test_pagesAreBounded() public {
        assertEq(attestations.MAX_PAGE(), PAGE, "bound");
        uint256 count = PAGE + 2;
        for (uint256 i = 0; i < count; ++i) _attest(ANNA, RUN, _digest(i));
        (IReplayAttestations.Entry[] memory page, uint256 total) = _list(RUN, ANNA, 0, count);
        assertEq(page.length, PAGE, "no more than the bound");
        assertEq(total, count, "but all are counted");
        (page, ) = _list(RUN, ANNA, 0, type(uint256).max);
        assertEq(page.length, PAGE, "whatever is asked");
        (page, ) = _list(RUN, ANNA, 1, PAGE - 1);
        assertEq(page.length, PAGE - 1, "as many as asked");
        _assertEntry(page[0], 1, 1_000);
        (page, ) = _list(RUN, ANNA, PAGE, PAGE);
        assertEq(page.length, 2, "the rest");
        _assertEntry(page[1], PAGE + 1, 1_000);
        (page, total) = _list(RUN, ANNA, count, 1);
        assertEq(page.length, 0, "past the end");
        (page, total) = _list(RUN, ANNA, type(uint256).max, type(uint256).max);
        assertEq(page.length, 0, "far past the end");
        assertEq(total, count, "still all");
        (page, ) = _list(RUN, ANNA, 0, 0);
        assertEq(page.length, 0, "none asked");
    }

    /// Whatever is sent afterwards, by whom and about which run, what stands there stays.
    function testFuzz_whatWasSentStays(address other, RunId run, AttestationDigest digest) public {
        vm.assume(AttestationDigest.unwrap(digest) != 0);
        vm.assume(AttestationDigest.unwrap(digest) != AttestationDigest.unwrap(_digest(1)));
        _attest(ANNA, RUN, _digest(1));
        vm.roll(4_000);
        _attest(other, run, digest);
        (IReplayAttestations.Entry[] memory page, ) = _list(RUN, ANNA, 0, PAGE);
        _assertEntry(page[0], 1, 1_000);
        assertEq(attestations.blockOf(run, other, digest), 4_000, "and the other is there");
    }

    function _attest(address auditor, RunId run, AttestationDigest digest) internal {
        vm.prank(auditor);
        attestations.attest(run, digest);
    }

    function _list(
        RunId run,
        address auditor,
        uint256 start,
        uint256 limit
    ) internal view returns (IReplayAttestations.Entry[] memory page, uint256 total) {
        return attestations.attestationsOf(run, auditor, start, limit);
    }

    function _assertEntry(
        IReplayAttestations.Entry memory entry,
        uint256 i,
        uint256 blockNumber
    ) internal pure {
        assertEq(
            AttestationDigest.unwrap(entry.digest),
            AttestationDigest.unwrap(_digest(i)),
            "digest"
        );
        assertEq(entry.blockNumber, blockNumber, "block");
    }

    function _digest(uint256 i) internal pure returns (AttestationDigest) {
        return AttestationDigest.wrap(keccak256(abi.encode("attestation", i)));
    }
}
