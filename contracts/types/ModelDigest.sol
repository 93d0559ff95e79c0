// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The digest of a released model.
/// @notice SHA-256 of a file, or the content digest of a folder (docs/formats/bytes.md). The owner
/// of a log claims it; the registry sees only that the log names it.
type ModelDigest is bytes32;
