// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../libraries/Bn254.sol";
import {Groth16} from "../libraries/Groth16.sol";
import {Groth16Batch} from "../libraries/Groth16Batch.sol";
import {VerifyingKey} from "../libraries/VerifyingKey.sol";

/// @dev The libraries as a contract, for tests and for shared vectors.
contract Groth16Harness {
    /// @dev A proof as the shared vectors write it.
    struct Proof {
        uint256[2] a;
        uint256[4] b;
        uint256[2] c;
        uint256[2][] commitments;
        uint256[2][] poks;
    }

    function verify(
        address key,
        Proof calldata proof,
        uint256 knowledgeMask,
        uint256[] calldata publicInputs
    ) external view returns (bool) {
        uint256[] memory commitments = _flat(proof.commitments);
        Groth16.Proof memory flat = Groth16.Proof(proof.a, proof.b, proof.c, commitments, _flat(proof.poks));
        return Groth16.verify(VerifyingKey.load(key), flat, knowledgeMask, publicInputs);
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
        bytes32 keyId,
        bytes calldata items,
        uint256 count
    ) external pure returns (bytes32 seed, uint256[] memory weights) {
        seed = Groth16Batch.weightSeed(keyId, items);
        weights = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) weights[i] = Groth16Batch.weight(seed, i);
    }

    function requireSound(address key) external view returns (bytes32) {
        VerifyingKey.Key memory loaded = VerifyingKey.load(key);
        VerifyingKey.requireSound(loaded);
        return loaded.id;
    }

    function add(uint256[2] calldata p, uint256[2] calldata q) external view returns (uint256[2] memory) {
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
        for (uint256 i = 0; i < points.length; ++i) (list[2 * i], list[2 * i + 1]) = (points[i][0], points[i][1]);
    }
}
