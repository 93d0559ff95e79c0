// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The name of a Groth16 verifying key, its vkId.
/// @notice keccak256 of the key's bytes (docs/formats/proofs.md). Contracts compute it when they
/// read the bytes. Zero is no key.
type KeyId is bytes32;

using {differs as !=} for KeyId global;

function differs(KeyId a, KeyId b) pure returns (bool) {
    return KeyId.unwrap(a) != KeyId.unwrap(b);
}
