// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../groth16/Bn254.sol";
import {Kinds} from "./Kinds.sol";
import {KeyId} from "../../types/KeyId.sol";

/// @title A Groth16 verifying key as a list of words, read from a data contract.
/// @notice Layout: docs/formats/proofs.md. `load` checks the header and the length, which memory
/// safety needs. `requireSound` is called once, when a key is pinned, and refuses keys under which
/// anybody could forge proofs.
library VerifyingKey {
    uint256 internal constant VERSION = 1;

    uint256 internal constant ALPHA = 7;
    uint256 internal constant BETA_NEG = 9;
    uint256 internal constant GAMMA_NEG = 13;
    uint256 internal constant DELTA_NEG = 17;
    uint256 internal constant IC = 21;
    uint256 private constant EPOCH_WORDS = 7; // three hashes of bases, I_0, S
    // With Kinds.MAX_PUBLIC it bounds the unchecked arithmetic below.
    uint256 private constant MAX_COMMITMENTS = 64;

    uint256 private constant G2_X1 =
        0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 private constant G2_X0 =
        0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 private constant G2_Y1 =
        0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
    uint256 private constant G2_Y0 =
        0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;

    /// @param words the key's bytes as words of 32 bytes
    /// @param id keccak256 of the key's bytes
    struct Key {
        uint256[] words;
        KeyId id;
    }

    /// @notice The key is refused; `rule` says why (docs/security-model.md, Refused keys). If the
    /// code's length is that of no key, `id` is the code's hash.
    error BadKey(KeyId id, string rule);

    /// @notice Reads a key from the code of a contract.
    function load(address data) internal view returns (Key memory key) {
        uint256 size = data.code.length;
        if (size <= IC * 32 || (size - 1) % 32 != 0)
            revert BadKey(KeyId.wrap(data.codehash), "length");
        uint256[] memory words = new uint256[]((size - 1) / 32);
        uint256 first;
        KeyId id;
        assembly ("memory-safe") {
            extcodecopy(data, 0, 0, 1)
            first := byte(0, mload(0))
            extcodecopy(data, add(words, 32), 1, sub(size, 1))
            id := keccak256(add(words, 32), sub(size, 1))
        }
        if (first != 0) revert BadKey(id, "prefix");
        key.words = words;
        key.id = id;
        _requireLayout(key);
    }

    function kind(Key memory key) internal pure returns (uint256) {
        return key.words[1];
    }

    function slots(Key memory key) internal pure returns (uint256) {
        return key.words[2];
    }

    function depth(Key memory key) internal pure returns (uint256) {
        return key.words[3];
    }

    function publicCount(Key memory key) internal pure returns (uint256) {
        return key.words[4];
    }

    function commitmentCount(Key memory key) internal pure returns (uint256) {
        return key.words[5];
    }

    /// @notice Position of the point G of commitment `i` among the words; its GSigmaNeg follows.
    function pedersen(Key memory key, uint256 i) internal pure returns (uint256) {
        unchecked {
            // Safe: a loaded key has at most MAX_PUBLIC inputs and MAX_COMMITMENTS commitments.
            return IC + 2 * (key.words[4] + 1) + 8 * i;
        }
    }

    /// @notice Position of I_0 of an epoch key among the words; S follows. The bases of P are K_i;
    /// I_0 is the sum of i * K_i, and S the sum of K_i.
    function orderBase(Key memory key) internal pure returns (uint256) {
        return key.words.length - 4;
    }

    /// @notice The G1 point at word `offset` of the key: a reference, not a copy.
    function g1(Key memory key, uint256 offset) internal pure returns (uint256[2] memory p) {
        uint256[] memory words = key.words;
        unchecked {
            // A loaded key has more words.
            if (offset > words.length - 2) revert BadKey(key.id, "length");
        }
        assembly ("memory-safe") {
            p := add(add(words, 32), mul(offset, 32))
        }
    }

    /// @notice The G2 point at word `offset` of the key: a reference, not a copy.
    function g2(Key memory key, uint256 offset) internal pure returns (uint256[4] memory p) {
        uint256[] memory words = key.words;
        unchecked {
            // A loaded key has more words.
            if (offset > words.length - 4) revert BadKey(key.id, "length");
        }
        assembly ("memory-safe") {
            p := add(add(words, 32), mul(offset, 32))
        }
    }

    /// @notice Whether two G2 points are equal.
    function isSame(uint256[4] memory p, uint256[4] memory q) internal pure returns (bool) {
        bytes32 left;
        bytes32 right;
        assembly ("memory-safe") {
            left := keccak256(p, 128)
            right := keccak256(q, 128)
        }
        return left == right;
    }

    /// @notice Whether two G2 points, neither of them infinity, are each other's negative.
    function isOpposite(uint256[4] memory p, uint256[4] memory q) internal pure returns (bool) {
        return p[0] == q[0] && p[1] == q[1] && _isOpposite(p[2], q[2]) && _isOpposite(p[3], q[3]);
    }

    /// @notice Reverts if anybody could forge proofs under the key, as far as its bytes show that.
    /// @dev For constructors: it costs about 34,000 gas per G2 point. The key holds only hashes of
    /// the commitments' bases. So it cannot be checked here that the bases are distinct and none is
    /// infinity; whoever recomputes P checks that.
    function requireSound(Key memory key) internal view {
        uint256 commitments = commitmentCount(key);
        _requireInputs(key);
        _requireG1(key, ALPHA, "alpha");
        uint256[] memory g2s = new uint256[](6 * (3 + 2 * commitments)); // paired with infinity
        _collectG2(key, BETA_NEG, g2s, 0, "beta");
        _collectG2(key, GAMMA_NEG, g2s, 1, "gamma");
        _collectG2(key, DELTA_NEG, g2s, 2, "delta");
        if (isSame(g2(key, GAMMA_NEG), g2(key, DELTA_NEG))) revert BadKey(key.id, "gamma = delta");
        if (_isGeneratorNeg(key, DELTA_NEG)) revert BadKey(key.id, "delta = generator");
        for (uint256 i = 0; i < commitments; ++i) {
            uint256 g = pedersen(key, i);
            _collectG2(key, g, g2s, 3 + 2 * i, "G");
            _collectG2(key, g + 4, g2s, 4 + 2 * i, "GSigmaNeg");
            uint256[4] memory sigma = g2(key, g + 4);
            if (_isSameUpToSign(sigma, g2(key, g))) revert BadKey(key.id, "sigma is 1 or -1");
            for (uint256 j = 0; j < i; ++j) {
                if (_isSameUpToSign(sigma, g2(key, pedersen(key, j) + 4)))
                    revert BadKey(key.id, "equal sigma");
            }
        }
        Bn254.isPairingOne(g2s, 3 + 2 * commitments); // reverts unless all are in the subgroup
        for (uint256 i = 1; i < commitments; ++i) {
            if (!isSame(g2(key, pedersen(key, 0)), g2(key, pedersen(key, i))))
                revert BadKey(key.id, "different G");
        }
        if (kind(key) == Kinds.EPOCH) _requireOrder(key);
    }

    function _requireLayout(Key memory key) private pure {
        uint256[] memory w = key.words;
        if (w[0] != VERSION) revert BadKey(key.id, "version");
        if (!Kinds.isKnown(w[1])) revert BadKey(key.id, "kind");
        if (w[4] > Kinds.MAX_PUBLIC || w[5] > MAX_COMMITMENTS) revert BadKey(key.id, "count");
        // Bit 0 would mean a circuit with lookups, whose hash wires enter the equation; no
        // statement here uses one.
        if (w[6] != 0) revert BadKey(key.id, "flags");
        uint256 expected = IC + 2 * (w[4] + 1) + 8 * w[5] + (w[1] == Kinds.EPOCH ? EPOCH_WORDS : 0);
        if (w.length != expected) revert BadKey(key.id, "length");
    }

    /// @dev Two public inputs whose points are equal or opposite could be exchanged. So all
    /// x-coordinates must differ.
    function _requireInputs(Key memory key) private view {
        for (uint256 i = 0; i <= publicCount(key); ++i) {
            _requireG1(key, IC + 2 * i, "IC");
            for (uint256 j = 0; j < i; ++j) {
                if (key.words[IC + 2 * i] == key.words[IC + 2 * j])
                    revert BadKey(key.id, "IC repeated");
            }
        }
    }

    function _requireOrder(Key memory key) private view {
        uint256[] memory w = key.words;
        uint256 offset = orderBase(key);
        _requireG1(key, offset, "I_0");
        _requireG1(key, offset + 2, "S");
        uint256 d = w[offset - 3];
        uint256 u = w[offset - 2];
        uint256 p = w[offset - 1];
        if (d == 0 || u == 0 || p == 0 || d == u || d == p || u == p)
            revert BadKey(key.id, "bases");
    }

    function _requireG1(Key memory key, uint256 offset, string memory rule) private view {
        uint256[2] memory p = g1(key, offset);
        if (p[0] == 0 && p[1] == 0) revert BadKey(key.id, rule);
        Bn254.add(p, [uint256(0), 0]); // reverts unless the point is on the curve
    }

    function _collectG2(
        Key memory key,
        uint256 offset,
        uint256[] memory g2s,
        uint256 pair,
        string memory rule
    ) private pure {
        uint256[4] memory p = g2(key, offset);
        if (p[0] | p[1] | p[2] | p[3] == 0) revert BadKey(key.id, rule);
        for (uint256 i = 0; i < 4; ++i) g2s[6 * pair + 2 + i] = p[i];
    }

    function _isGeneratorNeg(Key memory key, uint256 offset) private pure returns (bool) {
        uint256[4] memory p = g2(key, offset);
        return p[0] == G2_X1 && p[1] == G2_X0 && p[2] == Bn254.Q - G2_Y1 && p[3] == Bn254.Q - G2_Y0;
    }

    function _isSameUpToSign(uint256[4] memory p, uint256[4] memory q) private pure returns (bool) {
        return isSame(p, q) || isOpposite(p, q);
    }

    function _isOpposite(uint256 x, uint256 y) private pure returns (bool) {
        return x == 0 ? y == 0 : y == Bn254.Q - x;
    }
}
