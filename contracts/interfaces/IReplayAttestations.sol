// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AttestationDigest} from "../types/AttestationDigest.sol";
import {RunId} from "../types/RunId.sol";

/// @title What auditors attested about runs, and when.
/// @notice An auditor trains segments of a run again, and sends the digest of what came out.
/// Entries are only added, each in the name of its sender. So a reader who holds fewer attestations
/// than there are digests knows that one was kept back, and nobody can say later that something was
/// attested earlier. The contract judges nothing: anybody may send any digest about any run, known
/// or not, and readers decide whose entries they look at.
interface IReplayAttestations {
    /// @param digest what was attested
    /// @param blockNumber block in which it was sent
    struct Entry {
        AttestationDigest digest;
        uint64 blockNumber;
    }

    /// @param runId the run that the sender says it is about
    /// @param auditor the sender
    /// @param digest what was attested
    event Attested(RunId indexed runId, address indexed auditor, AttestationDigest digest);

    /// @notice Zero is no digest.
    error ZeroDigest();
    /// @notice The sender attested this before, in that block.
    error AlreadyAttested(
        RunId runId,
        address auditor,
        AttestationDigest digest,
        uint64 blockNumber
    );

    /// @notice Adds a digest to the sender's entries about a run. It cannot be taken back.
    /// @param runId the run; the contract does not look whether there is one
    /// @param digest of the attestation, not zero, and not yet among these entries
    function attest(RunId runId, AttestationDigest digest) external;

    /// @notice The entries of an auditor about a run, in the order in which they were sent: at most
    /// `limit` and at most `MAX_PAGE`, from `start` on.
    /// @return page these entries
    /// @return total how many there are in all
    function attestationsOf(
        RunId runId,
        address auditor,
        uint256 start,
        uint256 limit
    ) external view returns (Entry[] memory page, uint256 total);

    /// @notice The block in which an auditor sent a digest about a run; 0 if it did not.
    function blockOf(
        RunId runId,
        address auditor,
        AttestationDigest digest
    ) external view returns (uint64);

    /// @notice How many entries a page has at most.
    // solhint-disable-next-line func-name-mixedcase
    function MAX_PAGE() external view returns (uint256);
}
