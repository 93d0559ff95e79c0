// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The digest of a record in the journal of a run.
/// @notice docs/formats/bytes.md says what is hashed. The registry does not see the record.
type RecordDigest is bytes32;
