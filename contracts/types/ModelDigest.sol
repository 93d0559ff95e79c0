// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The digest of a released model.
/// @notice SHA-256 of a file, or the content digest of a folder (docs/formats/bytes.md). The owner
/// of a log claims it. The registry does not see the model; it checks only that the log names this
/// digest.
type ModelDigest is bytes32;
