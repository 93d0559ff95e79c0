// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The digest of the manifest of released files.
/// @notice docs/formats/bytes.md says what is hashed. The registry does not see the manifest; it
/// checks only that the log names this digest.
type ManifestDigest is bytes32;
