// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {Challenges} from "../seeds/Challenges.sol";
import {VerifyingKey} from "../keys/VerifyingKey.sol";
import {KeyId} from "../../types/KeyId.sol";

/// @title Groth16 proofs that carry Pedersen commitments.
/// @notice Source: Groth, EUROCRYPT 2016; commitments as in LegoSNARK (CCS 2019) and gnark. pok_k
/// is the proof that its maker knows what commitment k holds. The equations are
///   main:            e(A,B) e(C,-delta) e(alpha,-beta) e(X,-gamma) = 1
///                    with X = IC_0 + sum pub_i IC_i + sum commitment_k
///   knowledge of k:  e(commitment_k, GSigmaNeg_k) e(pok_k, G_k) = 1
/// The main one and the requested ones are checked in one pairing call. The main equation depends
/// only on the sum of the commitments. So for each commitment the caller must either have the
/// knowledge checked, here or before, or compute the commitment itself (infinity included). The
/// result is false if an equation does not hold; anything malformed reverts. If (A, B, C) verifies,
/// so does (-A, -B, C): never use a proof's bytes as an id.
library Groth16 {
    using VerifyingKey for VerifyingKey.Key;

    uint256 private constant PAIR_WORDS = Bn254.PAIR_WORDS;

    /// @param commitments X, Y of one point per commitment of the key
    /// @param poks X, Y of one point per commitment; those outside the knowledge mask are ignored
    struct Proof {
        uint256[2] a;
        uint256[4] b;
        uint256[2] c;
        uint256[] commitments;
        uint256[] poks;
    }

    /// @notice A public input is not below r.
    error NotInField(uint256 index, uint256 value);
    /// @notice The key has another number of public inputs, commitments or proofs of knowledge.
    error WrongLength(uint256 expected, uint256 actual);
    /// @notice The mask names a commitment that the key does not have.
    error BadMask(uint256 knowledgeMask);
    /// @notice A commitment in the mask is the point at infinity, which holds nothing and has no
    /// blinding.
    error CommitmentAtInfinity(uint256 index);

    /// @notice Whether the proof verifies, together with the proofs of knowledge in `knowledgeMask`
    /// (bit k: commitment k).
    function verify(
        VerifyingKey.Key memory key,
        Proof memory proof,
        uint256 knowledgeMask,
        uint256[] memory publicInputs
    ) internal view returns (bool) {
        _requireShape(key, proof, knowledgeMask, publicInputs);
        uint256[] memory input = new uint256[]((4 + proof.commitments.length) * PAIR_WORDS);
        Bn254.Sum memory x = _publicPoint(key, proof.commitments, publicInputs);
        uint256 pairs = 4;
        if (knowledgeMask != 0) {
            bytes32 seed = weightSeed(key.id, proof, publicInputs);
            pairs = _putKnowledge(key, proof, knowledgeMask, seed, input, x);
        }
        _put(input, 0, proof.a, proof.b);
        _put(input, 1, proof.c, key.g2(VerifyingKey.DELTA_NEG));
        _put(input, 2, key.g1(VerifyingKey.ALPHA), key.g2(VerifyingKey.BETA_NEG));
        _put(input, 3, _asPoint(x), key.g2(VerifyingKey.GAMMA_NEG));
        return Bn254.isPairingOne(input, pairs);
    }

    /// @notice Whether each proof of knowledge holds for its point, as commitment number `i` of a
    /// proof under this key.
    /// @dev Several points are summed with weights of 128 bits, which are hashed from all of them.
    function verifyKnowledge(
        VerifyingKey.Key memory key,
        uint256 i,
        uint256[2][] memory points,
        uint256[2][] memory poks
    ) internal view returns (bool) {
        if (i >= key.commitmentCount()) revert BadMask(1 << i);
        if (poks.length != points.length || points.length == 0)
            revert WrongLength(points.length, poks.length);
        for (uint256 j = 0; j < points.length; ++j) _requireNotInfinity(points[j], j);
        uint256[2] memory point = points[0];
        uint256[2] memory pok = poks[0];
        if (points.length > 1) {
            bytes32 seed = knowledgeSeed(key.id, i, points, poks);
            point = _fold(points, seed);
            pok = _fold(poks, seed);
        }
        uint256 g = key.pedersen(i);
        uint256[] memory input = new uint256[](2 * PAIR_WORDS);
        _put(input, 0, point, key.g2(g + 4));
        _put(input, 1, pok, key.g2(g));
        return Bn254.isPairingOne(input, 2);
    }

    /// @notice Seed of the weights of `verifyKnowledge`. It covers all that the prover chose, so
    /// nothing can be chosen after the weights are known.
    function knowledgeSeed(
        KeyId keyId,
        uint256 i,
        uint256[2][] memory points,
        uint256[2][] memory poks
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(keyId, i, points, poks));
    }

    /// @notice keccak256(key id || A || B || C || commitments || poks || public inputs): seed of
    /// the weights of `verify`. It covers all that the prover chose, so nothing can be chosen after
    /// the weights are known. The key fixes how many there are of each.
    function weightSeed(
        KeyId keyId,
        Proof memory proof,
        uint256[] memory publicInputs
    ) internal pure returns (bytes32 seed) {
        uint256[2] memory a = proof.a;
        uint256[4] memory b = proof.b;
        uint256[2] memory c = proof.c;
        uint256[] memory commitments = proof.commitments;
        uint256[] memory poks = proof.poks;
        assembly ("memory-safe") {
            function append(to, list) -> end {
                let size := mul(mload(list), 32)
                mcopy(to, add(list, 32), size)
                end := add(to, size)
            }
            let start := mload(0x40) // free memory, not allocated
            mstore(start, keyId)
            mcopy(add(start, 32), a, 64)
            mcopy(add(start, 96), b, 128)
            mcopy(add(start, 224), c, 64)
            let end := append(append(append(add(start, 288), commitments), poks), publicInputs)
            seed := keccak256(start, sub(end, start))
        }
    }

    /// @notice Weight number `i` of a seed: 128 bits, never zero.
    function weight(bytes32 seed, uint256 i) internal pure returns (uint256 w) {
        w = uint256(Challenges.draw(seed, i)) >> 128;
        if (w == 0) w = 1;
    }

    function _fold(
        uint256[2][] memory points,
        bytes32 seed
    ) private view returns (uint256[2] memory) {
        Bn254.Sum memory sum;
        for (uint256 j = 0; j < points.length; ++j)
            Bn254.accumulate(sum, points[j], weight(seed, j));
        return _asPoint(sum);
    }

    /// The point X of the main equation. Every commitment goes through the addition precompile,
    /// which checks that it is on the curve with coordinates below q.
    function _publicPoint(
        VerifyingKey.Key memory key,
        uint256[] memory commitments,
        uint256[] memory publicInputs
    ) private view returns (Bn254.Sum memory x) {
        unchecked {
            // Safe: indices stay below the lengths of lists in memory.
            uint256[2] memory first = key.g1(VerifyingKey.IC);
            (x.x, x.y) = (first[0], first[1]);
            for (uint256 i = 0; i < publicInputs.length; ++i) {
                uint256 value = publicInputs[i];
                uint256[2] memory base = key.g1(VerifyingKey.IC + 2 * (i + 1));
                if (value == 0) continue;
                // The precompile would accept it as value - r.
                if (value >= Bn254.R) revert NotInField(i, value);
                // Two neighbours that are equal need one multiplication only. Such are the inputs a
                // and b of an epoch of one chunk.
                if (i + 1 < publicInputs.length && value == publicInputs[i + 1]) {
                    base = Bn254.add(base, key.g1(VerifyingKey.IC + 2 * (++i + 1)));
                }
                Bn254.accumulate(x, base, value);
            }
            for (uint256 i = 0; i < commitments.length; i += 2)
                Bn254.accumulate(x, _point(commitments, i));
        }
    }

    /// Adds the weighted knowledge equations: one pair for each commitment of the mask, and one for
    /// each distinct G. If G equals gamma, as in ceremony keys, no pair is needed: since
    /// e(w pok, gamma) = e(-w pok, -gamma), the point -w pok is added to X.
    function _putKnowledge(
        VerifyingKey.Key memory key,
        Proof memory proof,
        uint256 knowledgeMask,
        bytes32 seed,
        uint256[] memory input,
        Bn254.Sum memory x
    ) private view returns (uint256 pairs) {
        unchecked {
            // Safe: indices stay below the lengths of lists in memory.
            uint256 count = proof.commitments.length / 2;
            // At k: the sum of weighted poks with the same G as k, if k is the first with this G.
            Bn254.Sum[] memory sums = new Bn254.Sum[](count);
            pairs = 4;
            for (uint256 k = 0; k < count; ++k) {
                if ((knowledgeMask >> k) & 1 == 0) continue;
                uint256[2] memory commitment = _point(proof.commitments, 2 * k);
                _requireNotInfinity(commitment, k);
                uint256 w = weight(seed, k);
                uint256[4] memory g = key.g2(key.pedersen(k));
                Bn254.mulTo(
                    commitment,
                    w,
                    _put(input, pairs++, commitment, key.g2(key.pedersen(k) + 4))
                );
                uint256[2] memory pok = _point(proof.poks, 2 * k);
                if (VerifyingKey.isOpposite(g, key.g2(VerifyingKey.GAMMA_NEG))) {
                    Bn254.accumulate(x, Bn254.negate(Bn254.mul(pok, w)));
                } else {
                    Bn254.accumulate(sums[_firstWithSameG(key, g)], pok, w);
                }
            }
            for (uint256 k = 0; k < count; ++k) {
                Bn254.Sum memory sum = sums[k];
                if (sum.x | sum.y != 0)
                    _put(input, pairs++, _asPoint(sum), key.g2(key.pedersen(k)));
            }
        }
    }

    function _requireShape(
        VerifyingKey.Key memory key,
        Proof memory proof,
        uint256 knowledgeMask,
        uint256[] memory publicInputs
    ) private pure {
        uint256 count = key.commitmentCount();
        if (publicInputs.length != key.publicCount())
            revert WrongLength(key.publicCount(), publicInputs.length);
        if (proof.commitments.length != 2 * count)
            revert WrongLength(2 * count, proof.commitments.length);
        if (proof.poks.length != 2 * count) revert WrongLength(2 * count, proof.poks.length);
        if (knowledgeMask >> count != 0) revert BadMask(knowledgeMask);
    }

    function _requireNotInfinity(uint256[2] memory p, uint256 index) private pure {
        if (p[0] | p[1] == 0) revert CommitmentAtInfinity(index);
    }

    /// The first commitment with this G.
    function _firstWithSameG(
        VerifyingKey.Key memory key,
        uint256[4] memory g
    ) private pure returns (uint256 k) {
        unchecked {
            // Ends at the latest with the commitment that has this G.
            while (!VerifyingKey.isSame(key.g2(key.pedersen(k)), g)) ++k;
        }
    }

    /// The point at word `i` of a list: a reference, not a copy.
    function _point(uint256[] memory list, uint256 i) private pure returns (uint256[2] memory p) {
        assert(i + 1 < list.length);
        assembly ("memory-safe") {
            p := add(add(list, 32), mul(i, 32))
        }
    }

    /// The point of a sum: a reference, since a sum begins with its point.
    function _asPoint(Bn254.Sum memory sum) private pure returns (uint256[2] memory p) {
        assembly ("memory-safe") {
            p := sum
        }
    }

    /// Writes a pair into `input`; returns a reference to its G1 point there.
    function _put(
        uint256[] memory input,
        uint256 pair,
        uint256[2] memory p,
        uint256[4] memory q
    ) private pure returns (uint256[2] memory written) {
        assert(pair < input.length / PAIR_WORDS);
        assembly ("memory-safe") {
            written := add(add(input, 32), mul(pair, 192))
            mcopy(written, p, 64)
            mcopy(add(written, 64), q, 128)
        }
    }
}
