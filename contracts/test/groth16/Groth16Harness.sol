// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {KeyId} from "../../types/KeyId.sol";

/// @dev The libraries' functions as calls, for tests and for shared vectors.
contract Groth16Harness {
    /// @dev A proof as the shared vectors write it.
    struct Proof {
        uint256[2] a;
        uint256[4] b;
        uint256[2] c;
        uint256[2][] commitments;
        uint256[2][] poks;
    }

    /// @notice A check ran out of gas, so it answered neither true nor false.
    error Starved(uint256 index);

    function verify(
        address key,
        Proof calldata proof,
        uint256 knowledgeMask,
        uint256[] calldata publicInputs
    ) external view returns (bool) {
        uint256[] memory commitments = _flat(proof.commitments);
        Groth16.Proof memory flat = Groth16.Proof(
            proof.a,
            proof.b,
            proof.c,
            commitments,
            _flat(proof.poks)
        );
        return Groth16.verify(VerifyingKey.load(key), flat, knowledgeMask, publicInputs);
    }

    /// @notice What the verifier says of many proofs: 1 for true, 0 for false, else the selector of
    /// the error it reverts with.
    /// @param masks the knowledge mask of each proof
    /// @param proofs of each: the words of A, B, C, commitments, proofs of knowledge and public
    /// inputs
    function verdicts(
        address key,
        uint256 commitments,
        uint256[] calldata masks,
        uint256[] calldata proofs
    ) external view returns (bytes4[] memory answers) {
        answers = new bytes4[](masks.length);
        uint256 size = proofs.length / masks.length;
        for (uint256 i = 0; i < masks.length; ++i) {
            try
                this.verifyWords(key, commitments, masks[i], proofs[i * size:(i + 1) * size])
            returns (bool valid) {
                answers[i] = valid ? bytes4(uint32(1)) : bytes4(0);
            } catch (bytes memory reason) {
                if (reason.length < 4) revert Starved(i);
                answers[i] = bytes4(reason);
            }
        }
    }

    function verifyWords(
        address key,
        uint256 commitments,
        uint256 knowledgeMask,
        uint256[] calldata words
    ) external view returns (bool) {
        uint256 lists = 8 + 2 * commitments;
        uint256 inputs = lists + 2 * commitments;
        Groth16.Proof memory proof = Groth16.Proof(
            [words[0], words[1]],
            [words[2], words[3], words[4], words[5]],
            [words[6], words[7]],
            words[8:lists],
            words[lists:inputs]
        );
        return Groth16.verify(VerifyingKey.load(key), proof, knowledgeMask, words[inputs:]);
    }

    function verifyKnowledge(
        address key,
        uint256 i,
        uint256[2][] calldata points,
        uint256[2][] calldata poks
    ) external view returns (bool) {
        return Groth16.verifyKnowledge(VerifyingKey.load(key), i, points, poks);
    }

    /// @dev The seed of a batch and its first weights.
    function batchWeights(
        KeyId keyId,
        bytes calldata items,
        uint256 count
    ) external pure returns (bytes32 seed, uint256[] memory weights) {
        seed = Groth16Batch.weightSeed(keyId, items);
        weights = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) weights[i] = Groth16Batch.weight(seed, i);
    }

    function requireSound(address key) external view returns (KeyId) {
        VerifyingKey.Key memory loaded = VerifyingKey.load(key);
        VerifyingKey.requireSound(loaded);
        return loaded.id;
    }

    function g1At(address key, uint256 offset) external view returns (uint256[2] memory) {
        return VerifyingKey.g1(VerifyingKey.load(key), offset);
    }

    function g2At(address key, uint256 offset) external view returns (uint256[4] memory) {
        return VerifyingKey.g2(VerifyingKey.load(key), offset);
    }

    function add(
        uint256[2] calldata p,
        uint256[2] calldata q
    ) external view returns (uint256[2] memory) {
        return Bn254.add(p, q);
    }

    function mul(uint256[2] calldata p, uint256 scalar) external view returns (uint256[2] memory) {
        return Bn254.mul(p, scalar);
    }

    function isPairingOne(uint256[] calldata input) external view returns (bool) {
        return Bn254.isPairingOne(input, input.length / Bn254.PAIR_WORDS);
    }

    function negate(uint256[2] calldata p) external pure returns (uint256[2] memory) {
        return Bn254.negate(p);
    }

    function _flat(uint256[2][] calldata points) private pure returns (uint256[] memory list) {
        list = new uint256[](2 * points.length);
        for (uint256 i = 0; i < points.length; ++i)
            (list[2 * i], list[2 * i + 1]) = (points[i][0], points[i][1]);
    }
}
