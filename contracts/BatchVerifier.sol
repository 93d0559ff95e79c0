// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "./interfaces/IBatchVerifier.sol";
import {Groth16} from "./libraries/groth16/Groth16.sol";
import {Groth16Batch} from "./libraries/groth16/Groth16Batch.sol";
import {VerifyingKey} from "./libraries/keys/VerifyingKey.sol";

/// @title Judges Groth16 proofs: one, or several of one key at once.
/// @notice It has no state and no owner, and calls precompiles only. It is a contract of its own
/// because a ledger's code would exceed the limit of EIP-170 with it. Each ledger creates the one
/// that it calls.
contract BatchVerifier is IBatchVerifier {
    using VerifyingKey for VerifyingKey.Key;

    uint256 private constant CORE_WORDS = 8; // A, B, C

    /// @inheritdoc IBatchVerifier
    function verify(
        address keyData,
        bytes calldata item,
        uint256 knowledgeMask
    ) external view override returns (bool) {
        VerifyingKey.Key memory key = VerifyingKey.load(keyData);
        uint256 poks = CORE_WORDS + 2 * key.commitmentCount();
        uint256 inputs = poks + 2 * key.commitmentCount();
        uint256 size = 32 * (inputs + key.publicCount());
        if (item.length != size) revert Groth16Batch.WrongBatchLength(size, item.length);
        uint256[] calldata words;
        assembly ("memory-safe") {
            words.offset := item.offset
            words.length := shr(5, item.length)
        }
        Groth16.Proof memory proof = Groth16.Proof(
            [words[0], words[1]],
            [words[2], words[3], words[4], words[5]],
            [words[6], words[7]],
            words[CORE_WORDS:poks],
            words[poks:inputs]
        );
        return Groth16.verify(key, proof, knowledgeMask, words[inputs:]);
    }

    /// @inheritdoc IBatchVerifier
    function verifyBatch(
        address keyData,
        bytes calldata items,
        uint256 knowledgeMask
    ) external view override returns (bool) {
        return Groth16Batch.verify(VerifyingKey.load(keyData), items, knowledgeMask);
    }

    /// @inheritdoc IBatchVerifier
    function verifyKnowledge(
        address keyData,
        uint256 i,
        uint256[2][] calldata points,
        uint256[2][] calldata poks
    ) external view override returns (bool) {
        return Groth16.verifyKnowledge(VerifyingKey.load(keyData), i, points, poks);
    }
}
