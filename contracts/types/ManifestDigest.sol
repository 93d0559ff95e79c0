// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The digest of the manifest of released files.
/// @notice docs/formats/bytes.md says what is hashed. The registry sees only that the log names it.
type ManifestDigest is bytes32;
