// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The digest of an auditor's attestation about a run.
/// @notice docs/formats/attestations.md says what is hashed: chain, registry and everything that
/// the auditor says. Contracts do not see the attestation. Zero is no digest.
type AttestationDigest is bytes32;
