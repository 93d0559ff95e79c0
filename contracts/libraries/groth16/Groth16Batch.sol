// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {Groth16} from "./Groth16.sol";
import {VerifyingKey} from "../keys/VerifyingKey.sol";
import {KeyId} from "../../types/KeyId.sol";

/// @title Many Groth16 proofs of one key, checked in one pairing call.
/// @notice Source: Bellare, Garay, Rabin, EUROCRYPT 1998 (small exponents test). Proof j has the
/// equations of Groth16.sol: the main one, and the knowledge of each commitment k of the mask. Each
/// is raised to a weight of its own (w_j for the main equation, v_jk for the knowledge of k), and
/// all are multiplied:
///   prod_j e(w_j A_j, B_j) * e(sum_j w_j C_j, -delta) * e((sum_j w_j) alpha, -beta) * e(X, -gamma)
///     * prod_k e(sum_j v_jk commitment_jk, GSigmaNeg_k) * prod_G e(sum_j,k v_jk pok_jk, G) = 1
///   X = sum_j w_j IC_0 + sum_i (sum_j w_j pub_ji) IC_i + sum_j w_j sum_k commitment_jk
/// The left side of each equation is an element of a group of prime order r. So a batch with a
/// false equation passes with a probability of at most 2^-127 over the weights. These have 128 bits
/// and are never 0; they are hashed from the key and from every proof, point and input of the
/// batch. C and the proofs of knowledge are summed separately, so that no other argument is needed.
/// Each B goes to the pairing precompile itself, which checks that it is in the subgroup; a sum of
/// all B would hide one that is not.
library Groth16Batch {
    using VerifyingKey for VerifyingKey.Key;

    /// @notice Largest number of proofs in a batch. 64 `epoch` proofs cost less than half of the
    /// 16,777,216 gas that a transaction may use (EIP-7825; contracts/.gas-snapshot.json). In
    /// batches larger than 16 a proof gets hardly cheaper.
    uint256 internal constant MAX_PROOFS = 64;

    uint256 private constant POINT_BYTES = 64;
    uint256 private constant C_PLACE = 192;
    uint256 private constant CORE_BYTES = 256; // A, B, C
    uint256 private constant PAIR_WORDS = Bn254.PAIR_WORDS;
    uint256 private constant KEY_PAIRS = 3; // C, alpha and X

    /// @notice The sums of a batch.
    /// @param total sum of the main weights; below 2^134, so never 0 mod r
    /// @param inputs sum_j w_j pub_ji mod r, for each public input i
    /// @param x sum_j w_j (sum of the proof's commitments)
    /// @param c sum_j w_j C_j
    /// @param scratch memory for a sum within one proof
    /// @param commitments at k: sum_j v_jk commitment_jk
    /// @param poks at homes[k]: sum_j v_jk pok_jk, added up over all k with this home
    /// @param homes at k: where in `poks` the poks of commitment k are summed, see `_homes`
    struct Sums {
        uint256 total;
        uint256[] inputs;
        Bn254.Sum x;
        Bn254.Sum c;
        Bn254.Sum scratch;
        Bn254.Sum[] commitments;
        Bn254.Sum[] poks;
        uint256[] homes;
    }

    /// @notice The batch has no proof, or more than MAX_PROOFS.
    error BadBatchSize(uint256 proofs);
    /// @notice The length of the batch is not a multiple of the length of a proof under this key.
    error WrongBatchLength(uint256 proofBytes, uint256 actual);
    /// @notice As `Groth16.NotInField`, in proof number `proof` of the batch.
    error InputNotInField(uint256 proof, uint256 index, uint256 value);
    /// @notice As `Groth16.CommitmentAtInfinity`, in proof number `proof` of the batch.
    error BatchCommitmentAtInfinity(uint256 proof, uint256 index);

    /// @notice Whether all proofs verify, each together with its proofs of knowledge in
    /// `knowledgeMask`.
    /// @param items for each proof its words: A (2), B (4), C (2), commitments (2 each), proofs of
    /// knowledge (2 each, those outside the mask are ignored), public inputs (1 each)
    function verify(
        VerifyingKey.Key memory key,
        bytes memory items,
        uint256 knowledgeMask
    ) internal view returns (bool) {
        uint256 commitments = key.commitmentCount();
        uint256 size = CORE_BYTES + 2 * POINT_BYTES * commitments + 32 * key.publicCount();
        if (items.length % size != 0) revert WrongBatchLength(size, items.length);
        uint256 count = items.length / size;
        if (count == 0 || count > MAX_PROOFS) revert BadBatchSize(count);
        if (knowledgeMask >> commitments != 0) revert Groth16.BadMask(knowledgeMask);

        bytes32 seed = weightSeed(key.id, items);
        uint256[] memory input = new uint256[]((count + KEY_PAIRS + 2 * commitments) * PAIR_WORDS);
        Sums memory sums;
        sums.inputs = new uint256[](key.publicCount());
        sums.commitments = new Bn254.Sum[](commitments);
        sums.poks = new Bn254.Sum[](commitments + 1);
        sums.homes = _homes(key, knowledgeMask);
        for (uint256 j = 0; j < count; ++j) {
            // Proofs and points are given by their places in memory, so that none is copied.
            uint256 item;
            uint256 pair;
            assembly ("memory-safe") {
                item := add(add(items, 32), mul(j, size))
                pair := add(add(input, 32), mul(j, 192))
            }
            _addMain(sums, item, j, weight(seed, j * (commitments + 1)), pair);
            if (knowledgeMask != 0) _addKnowledge(sums, item, j, knowledgeMask, seed);
        }
        return Bn254.isPairingOne(input, _putSums(key, sums, knowledgeMask, input, count));
    }

    /// @notice keccak256(key id || items). It covers all that the provers chose, so nothing can be
    /// chosen after the weights are known. The key fixes the length of a proof, so different
    /// batches are different strings.
    function weightSeed(KeyId keyId, bytes memory items) internal pure returns (bytes32 seed) {
        assembly ("memory-safe") {
            // While hashing, the key's id stands in the word of the length, before the items.
            let length := mload(items)
            mstore(items, keyId)
            seed := keccak256(items, add(length, 32))
            mstore(items, length)
        }
    }

    /// @notice Weight number `i` of a batch, 128 bits, never zero. With n commitments, proof j's
    /// main equation has number j (n + 1), and the knowledge of its commitment k has number j (n +
    /// 1) + 1 + k.
    function weight(bytes32 seed, uint256 i) internal pure returns (uint256 w) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(32, i)
            w := shr(128, keccak256(0, 64))
            w := or(w, iszero(w))
        }
    }

    /// Adds the main equation of proof j: writes its pair (w A, B), and adds its terms to the sums.
    /// Every commitment goes through a precompile, which checks that it is on the curve with
    /// coordinates below q.
    function _addMain(
        Sums memory sums,
        uint256 item,
        uint256 j,
        uint256 w,
        uint256 pair
    ) private view {
        unchecked {
            // Safe: all places lie within the item, whose length was checked.
            assembly ("memory-safe") {
                mcopy(add(pair, 64), add(item, 64), 128) // B
            }
            Bn254.mulAt(item, w, pair);
            Bn254.accumulateAt(_place(sums.c), item + C_PLACE, w);
            uint256 commitments = sums.commitments.length;
            uint256 commitment = item + CORE_BYTES;
            if (commitments != 0) {
                uint256 sum = _place(sums.scratch);
                assembly ("memory-safe") {
                    mcopy(sum, commitment, 64)
                }
                for (uint256 k = 1; k < commitments; ++k)
                    Bn254.accumulateAt(sum, commitment + POINT_BYTES * k);
                Bn254.accumulateAt(_place(sums.x), sum, w);
            }
            sums.total += w;
            _addInputs(sums.inputs, commitment + 2 * POINT_BYTES * commitments, j, w);
        }
    }

    /// totals[i] += w pub_ji mod r, for the public inputs of proof j, which lie at place `inputs`.
    function _addInputs(
        uint256[] memory totals,
        uint256 inputs,
        uint256 j,
        uint256 w
    ) private pure {
        unchecked {
            uint256 r = Bn254.R;
            uint256 count = totals.length;
            for (uint256 i = 0; i < count; ++i) {
                uint256 value;
                assembly ("memory-safe") {
                    value := mload(add(inputs, mul(i, 32)))
                    let total := add(add(totals, 32), mul(i, 32))
                    mstore(total, addmod(mload(total), mulmod(w, value, r), r))
                }
                // The equation would accept it as value - r.
                if (value >= r) revert InputNotInField(j, i, value);
            }
        }
    }

    /// Adds the knowledge equations of proof j to the sums.
    function _addKnowledge(
        Sums memory sums,
        uint256 item,
        uint256 j,
        uint256 mask,
        bytes32 seed
    ) private view {
        unchecked {
            uint256 commitments = sums.commitments.length;
            for (uint256 k = 0; k < commitments; ++k) {
                if ((mask >> k) & 1 == 0) continue;
                uint256 commitment = item + CORE_BYTES + POINT_BYTES * k;
                if (_isInfinity(commitment)) revert BatchCommitmentAtInfinity(j, k);
                uint256 v = weight(seed, j * (commitments + 1) + 1 + k);
                Bn254.accumulateAt(_place(sums.commitments[k]), commitment, v);
                // In an item the poks follow the commitments.
                Bn254.accumulateAt(
                    _place(sums.poks[sums.homes[k]]),
                    commitment + POINT_BYTES * commitments,
                    v
                );
            }
        }
    }

    /// Writes the pairs of the sums behind those of the proofs, and returns how many pairs there
    /// are. There is one for C, one for alpha, one for each commitment of the mask, one for each
    /// distinct G, and one for X. If a G equals gamma, its poks are added to X instead.
    function _putSums(
        VerifyingKey.Key memory key,
        Sums memory sums,
        uint256 mask,
        uint256[] memory input,
        uint256 pairs
    ) private view returns (uint256) {
        unchecked {
            uint256 commitments = sums.commitments.length;
            _put(input, pairs++, _asPoint(sums.c), key.g2(VerifyingKey.DELTA_NEG));
            Bn254.mulTo(key.g1(VerifyingKey.ALPHA), sums.total, _pair(input, pairs));
            _put(input, pairs, _pair(input, pairs), key.g2(VerifyingKey.BETA_NEG));
            ++pairs;
            for (uint256 k = 0; k < commitments; ++k) {
                if ((mask >> k) & 1 == 0) continue;
                uint256 g = key.pedersen(k);
                _put(input, pairs++, _asPoint(sums.commitments[k]), key.g2(g + 4));
                if (sums.homes[k] == k) _put(input, pairs++, _asPoint(sums.poks[k]), key.g2(g));
            }
            // e(p, gamma) = e(-p, -gamma). If no G equals gamma, p is infinity and adds nothing.
            Bn254.accumulate(sums.x, Bn254.negate(_asPoint(sums.poks[commitments])));
            _addPublicPoints(key, sums);
            _put(input, pairs++, _asPoint(sums.x), key.g2(VerifyingKey.GAMMA_NEG));
            return pairs;
        }
    }

    /// Adds sum_j w_j (IC_0 + sum_i pub_ji IC_i) to X, by one multiplication for each point IC_i of
    /// the key.
    function _addPublicPoints(VerifyingKey.Key memory key, Sums memory sums) private view {
        unchecked {
            uint256[] memory inputs = sums.inputs;
            Bn254.accumulate(sums.x, key.g1(VerifyingKey.IC), sums.total);
            for (uint256 i = 0; i < inputs.length; ++i) {
                if (inputs[i] != 0)
                    Bn254.accumulate(sums.x, key.g1(VerifyingKey.IC + 2 * (i + 1)), inputs[i]);
            }
        }
    }

    /// For each commitment k the position in `Sums.poks` where its poks are summed. It is the first
    /// commitment of the mask that has the same G. If G equals gamma, as in ceremony keys, it is
    /// the last position, behind those of all commitments: that sum needs no pair of its own.
    function _homes(
        VerifyingKey.Key memory key,
        uint256 mask
    ) private pure returns (uint256[] memory homes) {
        unchecked {
            uint256 commitments = key.commitmentCount();
            homes = new uint256[](commitments);
            for (uint256 k = 0; k < commitments; ++k) {
                uint256[4] memory g = key.g2(key.pedersen(k));
                uint256 home = commitments;
                if (!VerifyingKey.isOpposite(g, key.g2(VerifyingKey.GAMMA_NEG))) {
                    // For a commitment of the mask the search ends with itself at the latest. The
                    // homes of other commitments are never used.
                    home = 0;
                    while (home < k && !_sharesG(key, mask, home, g)) ++home;
                }
                homes[k] = home;
            }
        }
    }

    function _sharesG(
        VerifyingKey.Key memory key,
        uint256 mask,
        uint256 k,
        uint256[4] memory g
    ) private pure returns (bool) {
        return (mask >> k) & 1 == 1 && VerifyingKey.isSame(key.g2(key.pedersen(k)), g);
    }

    function _isInfinity(uint256 p) private pure returns (bool zero) {
        assembly ("memory-safe") {
            zero := iszero(or(mload(p), mload(add(p, 32))))
        }
    }

    function _place(Bn254.Sum memory sum) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := sum
        }
    }

    /// The point of a sum: a reference, since a sum begins with its point.
    function _asPoint(Bn254.Sum memory sum) private pure returns (uint256[2] memory p) {
        assembly ("memory-safe") {
            p := sum
        }
    }

    /// The G1 point of a pair of `input`: a reference.
    function _pair(
        uint256[] memory input,
        uint256 pair
    ) private pure returns (uint256[2] memory p) {
        assert(pair < input.length / PAIR_WORDS);
        assembly ("memory-safe") {
            p := add(add(input, 32), mul(pair, 192))
        }
    }

    function _put(
        uint256[] memory input,
        uint256 pair,
        uint256[2] memory p,
        uint256[4] memory q
    ) private pure {
        uint256[2] memory target = _pair(input, pair);
        assembly ("memory-safe") {
            mcopy(target, p, 64)
            mcopy(add(target, 64), q, 128)
        }
    }
}
