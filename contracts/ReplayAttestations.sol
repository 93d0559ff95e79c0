// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReplayAttestations} from "./interfaces/IReplayAttestations.sol";
import {AttestationDigest} from "./types/AttestationDigest.sol";
import {RunId} from "./types/RunId.sol";

/// @title What auditors attested about runs, and when.
/// @notice Immutable: it has no owner and no proxy. It reads no other contract: a run's name says
/// which registry it is of.
contract ReplayAttestations is IReplayAttestations {
    /// @inheritdoc IReplayAttestations
    uint256 public constant override MAX_PAGE = 64;

    mapping(RunId runId => mapping(address auditor => AttestationDigest[] list)) private _digests;
    mapping(RunId runId => mapping(address auditor => mapping(AttestationDigest digest => uint64)))
        private _blocks;

    /// @inheritdoc IReplayAttestations
    function attest(RunId runId, AttestationDigest digest) external override {
        if (AttestationDigest.unwrap(digest) == 0) revert ZeroDigest();
        uint64 before = _blocks[runId][msg.sender][digest];
        if (before != 0) revert AlreadyAttested(runId, msg.sender, digest, before);
        _blocks[runId][msg.sender][digest] = uint64(block.number);
        _digests[runId][msg.sender].push(digest);
        emit Attested(runId, msg.sender, digest);
    }

    /// @inheritdoc IReplayAttestations
    function attestationsOf(
        RunId runId,
        address auditor,
        uint256 start,
        uint256 limit
    ) external view override returns (Entry[] memory page, uint256 total) {
        AttestationDigest[] storage all = _digests[runId][auditor];
        total = all.length;
        page = new Entry[](_pageLength(total, start, limit));
        for (uint256 i = 0; i < page.length; ++i) {
            AttestationDigest digest = all[start + i];
            page[i] = Entry(digest, _blocks[runId][auditor][digest]);
        }
    }

    /// @inheritdoc IReplayAttestations
    function blockOf(
        RunId runId,
        address auditor,
        AttestationDigest digest
    ) external view override returns (uint64) {
        return _blocks[runId][auditor][digest];
    }

    function _pageLength(
        uint256 total,
        uint256 start,
        uint256 limit
    ) private pure returns (uint256 length) {
        if (start >= total) return 0;
        length = limit < MAX_PAGE ? limit : MAX_PAGE;
        if (length > total - start) length = total - start;
    }
}
