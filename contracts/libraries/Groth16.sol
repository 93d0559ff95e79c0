// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {VerifyingKey} from "./VerifyingKey.sol";

/// @title Groth16 proofs that carry Pedersen commitments.
/// @notice Source: Groth, EUROCRYPT 2016; commitments as in LegoSNARK (CCS 2019) and gnark. The equations are
///   main:            e(A,B) e(C,-delta) e(alpha,-beta) e(X,-gamma) = 1,  X = IC_0 + sum pub_i IC_i + sum commitment_k
///   knowledge of k:  e(commitment_k, GSigmaNeg_k) e(pok_k, G_k) = 1
/// and those asked for are checked in one pairing call. The main one sees only the sum of the commitments, so a caller must
/// have every commitment's knowledge checked, here or before, or know the commitment (computed itself, or infinity).
/// A bool answers only for the equations; anything malformed reverts. (-A, -B, C) verifies too: proof bytes are never an id.
library Groth16 {
    using VerifyingKey for VerifyingKey.Key;

    uint256 private constant PAIR_WORDS = 6;

    /// @param commitments one point per commitment of the key
    /// @param poks one point per commitment; those outside the knowledge mask are ignored
    struct Proof {
        uint256[2] a;
        uint256[4] b;
        uint256[2] c;
        uint256[2][] commitments;
        uint256[2][] poks;
    }

    /// @notice A public input is not below r.
    error NotInField(uint256 index, uint256 value);
    /// @notice The key wants another number of public inputs, commitments or proofs of knowledge.
    error WrongLength(uint256 expected, uint256 actual);
    /// @notice The mask names a commitment that the key does not have.
    error BadMask(uint256 knowledgeMask);
    /// @notice A commitment whose knowledge is asked for holds nothing, not even a blinding.
    error CommitmentAtInfinity(uint256 index);

    /// @notice Whether the proof verifies, together with the proofs of knowledge in `knowledgeMask` (bit k: commitment k).
    function verify(
        VerifyingKey.Key memory key,
        Proof memory proof,
        uint256 knowledgeMask,
        uint256[] memory publicInputs
    ) internal view returns (bool) {
        _requireShape(key, proof, knowledgeMask, publicInputs);
        uint256[] memory input = new uint256[]((4 + 2 * proof.commitments.length) * PAIR_WORDS);
        uint256[2] memory x = _publicPoint(key, proof.commitments, publicInputs);
        uint256 pairs = 4;
        if (knowledgeMask != 0) {
            bytes32 seed = _weightSeed(key.id, proof, publicInputs);
            (pairs, x) = _putKnowledge(key, proof, knowledgeMask, seed, input, x);
        }
        _put(input, 0, proof.a, proof.b);
        _putKeyed(input, 1, proof.c, key, VerifyingKey.DELTA_NEG);
        _putKeyed(input, 2, key.g1(VerifyingKey.ALPHA), key, VerifyingKey.BETA_NEG);
        _putKeyed(input, 3, x, key, VerifyingKey.GAMMA_NEG);
        _truncate(input, pairs * PAIR_WORDS);
        return Bn254.isPairingOne(input);
    }

    /// @notice Whether each point is a commitment of kind `i` whose opening its maker knows.
    /// @dev Several points are folded with 128-bit weights taken from all of them.
    function verifyKnowledge(
        VerifyingKey.Key memory key,
        uint256 i,
        uint256[2][] memory points,
        uint256[2][] memory poks
    ) internal view returns (bool) {
        if (i >= key.commitmentCount()) revert BadMask(1 << i);
        if (poks.length != points.length || points.length == 0) revert WrongLength(points.length, poks.length);
        for (uint256 j = 0; j < points.length; ++j) _requireNotInfinity(points[j], j);
        uint256[2] memory point = points[0];
        uint256[2] memory pok = poks[0];
        if (points.length > 1) {
            bytes32 seed = keccak256(abi.encode(key.id, i, points, poks));
            uint256 w = _weight(seed, 0);
            (point, pok) = (Bn254.mul(point, w), Bn254.mul(pok, w));
            for (uint256 j = 1; j < points.length; ++j) {
                w = _weight(seed, j);
                point = Bn254.add(point, Bn254.mul(points[j], w));
                pok = Bn254.add(pok, Bn254.mul(poks[j], w));
            }
        }
        uint256 g = key.pedersen(i);
        uint256[] memory input = new uint256[](2 * PAIR_WORDS);
        _putKeyed(input, 0, point, key, g + 4);
        _putKeyed(input, 1, pok, key, g);
        return Bn254.isPairingOne(input);
    }

    /// X. Every commitment passes through the addition precompile, and so is on the curve with coordinates below q.
    function _publicPoint(
        VerifyingKey.Key memory key,
        uint256[2][] memory commitments,
        uint256[] memory publicInputs
    ) private view returns (uint256[2] memory x) {
        x = key.g1(VerifyingKey.IC);
        for (uint256 i = 0; i < publicInputs.length; ++i) {
            if (publicInputs[i] == 0) continue;
            x = Bn254.add(x, Bn254.mul(key.g1(VerifyingKey.IC + 2 * (i + 1)), publicInputs[i]));
        }
        for (uint256 i = 0; i < commitments.length; ++i) x = Bn254.add(x, commitments[i]);
    }

    /// Adds the weighted knowledge equations: a pair for each commitment, and one for each distinct G. A G that equals gamma (as
    /// after a ceremony) needs no pair of its own: e(w pok, gamma) = e(-w pok, -gamma) joins X.
    function _putKnowledge(
        VerifyingKey.Key memory key,
        Proof memory proof,
        uint256 knowledgeMask,
        bytes32 seed,
        uint256[] memory input,
        uint256[2] memory x
    ) private view returns (uint256 pairs, uint256[2] memory) {
        uint256 count = proof.commitments.length;
        uint256[] memory pairOf = new uint256[](count); // pair that holds G_k; 0 if none does
        pairs = 4;
        for (uint256 k = 0; k < count; ++k) {
            if ((knowledgeMask >> k) & 1 == 0) continue;
            _requireNotInfinity(proof.commitments[k], k);
            uint256 weight = _weight(seed, k);
            uint256 g = key.pedersen(k);
            _putKeyed(input, pairs++, Bn254.mul(proof.commitments[k], weight), key, g + 4);
            uint256[2] memory pok = Bn254.mul(proof.poks[k], weight);
            if (key.isOppositeG2(g, VerifyingKey.GAMMA_NEG)) {
                x = Bn254.add(x, Bn254.negate(pok));
                continue;
            }
            uint256 shared = _pairWithSameG(key, pairOf, k);
            if (shared == 0) {
                pairOf[k] = pairs;
                _putKeyed(input, pairs++, pok, key, g);
            } else {
                pairOf[k] = shared;
                uint256 offset = shared * PAIR_WORDS;
                pok = Bn254.add([input[offset], input[offset + 1]], pok);
                (input[offset], input[offset + 1]) = (pok[0], pok[1]);
            }
        }
        return (pairs, x);
    }

    function _requireShape(
        VerifyingKey.Key memory key,
        Proof memory proof,
        uint256 knowledgeMask,
        uint256[] memory publicInputs
    ) private pure {
        uint256 count = key.commitmentCount();
        if (publicInputs.length != key.publicCount()) revert WrongLength(key.publicCount(), publicInputs.length);
        if (proof.commitments.length != count) revert WrongLength(count, proof.commitments.length);
        if (proof.poks.length != count) revert WrongLength(count, proof.poks.length);
        if (knowledgeMask >> count != 0) revert BadMask(knowledgeMask);
        for (uint256 i = 0; i < publicInputs.length; ++i) {
            if (publicInputs[i] >= Bn254.R) revert NotInField(i, publicInputs[i]);
        }
    }

    /// Everything that the prover chose goes in, so no term can be chosen after the weights.
    function _weightSeed(
        bytes32 keyId,
        Proof memory proof,
        uint256[] memory publicInputs
    ) private pure returns (bytes32) {
        return
            keccak256(abi.encode(keyId, proof.a, proof.b, proof.c, proof.commitments, proof.poks, publicInputs));
    }

    /// 128 bits, never zero.
    function _weight(bytes32 seed, uint256 i) private pure returns (uint256) {
        uint256 weight = uint256(keccak256(abi.encode(seed, i))) >> 128;
        return weight == 0 ? 1 : weight;
    }

    function _requireNotInfinity(uint256[2] memory p, uint256 index) private pure {
        if (p[0] == 0 && p[1] == 0) revert CommitmentAtInfinity(index);
    }

    function _pairWithSameG(
        VerifyingKey.Key memory key,
        uint256[] memory pairOf,
        uint256 k
    ) private pure returns (uint256) {
        for (uint256 j = 0; j < k; ++j) {
            if (pairOf[j] != 0 && key.isSameG2(key.pedersen(j), key.pedersen(k))) return pairOf[j];
        }
        return 0;
    }

    function _putKeyed(
        uint256[] memory input,
        uint256 pair,
        uint256[2] memory p,
        VerifyingKey.Key memory key,
        uint256 offset
    ) private pure {
        _put(input, pair, p, key.g2(offset));
    }

    function _put(uint256[] memory input, uint256 pair, uint256[2] memory p, uint256[4] memory q) private pure {
        uint256 offset = pair * PAIR_WORDS;
        (input[offset], input[offset + 1]) = (p[0], p[1]);
        (input[offset + 2], input[offset + 3], input[offset + 4], input[offset + 5]) = (q[0], q[1], q[2], q[3]);
    }

    function _truncate(uint256[] memory input, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(input, length)
        }
    }
}
