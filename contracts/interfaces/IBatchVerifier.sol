// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Checks many Groth16 proofs of one key at once.
/// @notice The caller must have checked the key (`VerifyingKey.requireSound`), must know or have
/// checked every commitment outside the mask, and must set the public inputs itself: see
/// libraries/groth16/Groth16.sol. Provers choose all other words.
interface IBatchVerifier {
    /// @notice Whether all proofs verify, each together with its proofs of knowledge in
    /// `knowledgeMask` (bit k: commitment k). False means that the pairing ran and that at least
    /// one proof is wrong; it does not tell which. Reverts on anything malformed, on an empty
    /// batch, on more than 64 proofs and on too little gas.
    /// @param keyData contract whose code is 0x00 || the key's bytes
    /// @param items for each proof its words: A (2), B (4, as X1 X0 Y1 Y0), C (2), commitments (2
    /// each), proofs of knowledge (2 each, those outside the mask are ignored), public inputs (1
    /// each)
    function verifyBatch(
        address keyData,
        bytes calldata items,
        uint256 knowledgeMask
    ) external view returns (bool);
}
