// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Judges Groth16 proofs: one, or several of one key at once.
/// @notice Layout of a key: docs/formats/proofs.md. Whoever calls it must know that the key is
/// sound, and must compute the public inputs itself.
interface IBatchVerifier {
    /// @notice Whether a proof verifies, together with its proofs of knowledge in `knowledgeMask`
    /// (bit k: commitment k). Anything malformed reverts.
    /// @param keyData contract whose code is 0x00 || the key's bytes
    /// @param item the proof's words, 32 bytes each: A (2), B (4), C (2), commitments (2 each),
    /// proofs of knowledge (2 each, those outside the mask are ignored), public inputs (1 each)
    function verify(
        address keyData,
        bytes calldata item,
        uint256 knowledgeMask
    ) external view returns (bool);

    /// @notice Whether all proofs of a batch verify, each as `verify` says. Anything malformed
    /// reverts.
    /// @param items for each proof its words, one proof after another
    function verifyBatch(
        address keyData,
        bytes calldata items,
        uint256 knowledgeMask
    ) external view returns (bool);

    /// @notice Whether each of the proofs of knowledge holds for its point, as commitment number
    /// `i` of a proof under this key. Anything malformed reverts.
    function verifyKnowledge(
        address keyData,
        uint256 i,
        uint256[2][] calldata points,
        uint256[2][] calldata poks
    ) external view returns (bool);
}
