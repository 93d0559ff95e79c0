// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReferenceTree} from "../support/ReferenceTree.sol";
import {Rfc6962Harness} from "./Rfc6962Harness.sol";
import {Test} from "../support/Test.sol";

contract Rfc6962Test is Test {
    uint256 private constant MAX_SIZE = 64;

    Rfc6962Harness private immutable _h = Rfc6962Harness(deploy("Rfc6962Harness", ""));
    bytes32[] private _leaves; // leaf hashes of the published example
    bytes32[] private _many;

    function setUp() public {
        bytes[8] memory entries = [
            bytes(""),
            hex"00",
            hex"10",
            hex"2021",
            hex"3031",
            hex"40414243",
            hex"5051525354555657",
            hex"606162636465666768696a6b6c6d6e6f"
        ];
        for (uint256 i = 0; i < 8; ++i) _leaves.push(_h.leaf(entries[i]));
        for (uint256 i = 0; i < MAX_SIZE; ++i) _many.push(_h.leaf(abi.encode(i)));
    }

    /// Roots of the Certificate Transparency project's example tree, sizes 1 to 8.
    function test_publishedRoots() public view {
        bytes32[8] memory roots = [
            bytes32(0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d),
            0xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125,
            0xaeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77,
            0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7,
            0x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4,
            0x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef,
            0xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c,
            0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
        ];
        bytes32[] memory leaves = _leaves;
        bytes32[] memory none = new bytes32[](0);
        for (uint64 n = 1; n <= 8; ++n) {
            bytes32 root = ReferenceTree.root(leaves, 0, n);
            assertEq(root, roots[n - 1], "published root");
            for (uint64 i = 0; i < n; ++i) {
                bytes32[] memory proof = ReferenceTree.inclusion(leaves, i, n);
                assertTrue(_h.isIncluded(leaves[i], i, n, root, proof), "inclusion");
            }
            assertTrue(_h.isConsistent(0, sha256(""), n, root, none), "empty tree");
        }
    }

    /// Inclusion and consistency proofs of the same published tree, as constants.
    function test_publishedProofs() public view {
        bytes32[] memory path = new bytes32[](3);
        path[0] = 0x96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7;
        path[1] = 0x5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e;
        path[2] = 0x6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4;
        bytes32 root8 = 0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328;
        assertTrue(_h.isIncluded(_leaves[0], 0, 8, root8, path), "inclusion of 0 in 8");
        bytes32 root1 = 0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d;
        assertTrue(_h.isConsistent(1, root1, 8, root8, path), "consistency of 1 and 8");
        bytes32[] memory proof = new bytes32[](3);
        proof[0] = 0x0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a;
        proof[1] = 0xca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0;
        proof[2] = 0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7;
        bytes32 root6 = 0x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef;
        assertTrue(_h.isConsistent(6, root6, 8, root8, proof), "consistency of 6 and 8");
    }

    function test_everyConsistencyUpTo24() public view {
        for (uint64 n = 1; n <= 24; ++n) {
            for (uint64 m = 0; m <= n; ++m) _checkConsistency(m, n, 0);
        }
    }

    function testFuzz_consistency(uint256 m, uint256 n, uint256 noise) public view {
        n = bound(n, 1, MAX_SIZE);
        _checkConsistency(uint64(bound(m, 0, n)), uint64(n), noise);
    }

    function test_everyInclusionUpTo24() public view {
        for (uint64 n = 1; n <= 24; ++n) {
            for (uint64 i = 0; i < n; ++i) _checkInclusion(i, n, 0);
        }
    }

    function testFuzz_inclusion(uint256 i, uint256 n, uint256 noise) public view {
        n = bound(n, 1, MAX_SIZE);
        _checkInclusion(uint64(bound(i, 0, n - 1)), uint64(n), noise);
    }

    function test_shrinkingIsNotConsistent() public view {
        bytes32[] memory none = new bytes32[](0);
        assertTrue(!_h.isConsistent(2, _leaves[0], 1, _leaves[0], none), "2 to 1");
        // The hashes fit: the new root is a node over the old one.
        bytes32[] memory proof = new bytes32[](2);
        (proof[0], proof[1]) = (_leaves[0], _leaves[1]);
        bytes32 above = _node(_leaves[0], _leaves[1]);
        assertTrue(!_h.isConsistent(3, _leaves[0], 2, above, proof), "3 to 2");
        assertTrue(!_h.isConsistent(1, _leaves[0], 2, _leaves[0], none), "empty proof");
        assertTrue(!_h.isConsistent(3, _leaves[0], 4, _leaves[0], none), "not read either");
        assertTrue(!_h.isConsistent(1, _leaves[0], 1, _leaves[1], none), "same size, other root");
    }

    function test_indexAtSizeIsNotIncluded() public view {
        bytes32[] memory none = new bytes32[](0);
        assertTrue(_h.isIncluded(_leaves[0], 0, 1, _leaves[0], none), "the only leaf");
        assertTrue(!_h.isIncluded(_leaves[0], 1, 1, _leaves[0], none), "index = size");
        assertTrue(!_h.isIncluded(_leaves[0], 0, 0, _leaves[0], none), "empty tree");
    }

    /// A proof of a tree of up to 64 leaves is no proof of one of 100: it does not reach the root.
    function test_sizesAreUsedUp() public view {
        bytes32[] memory leaves = _many;
        for (uint64 n = 1; n <= 64; n = n < 8 ? n + 1 : 2 * n) {
            bytes32 root = ReferenceTree.root(leaves, 0, n);
            for (uint64 i = 0; i < n; ++i) {
                bytes32[] memory proof = ReferenceTree.inclusion(leaves, i, n);
                assertTrue(!_h.isIncluded(leaves[i], i, 100, root, proof), "inclusion");
            }
            for (uint64 m = 1; m < n; ++m) {
                bytes32[] memory proof = ReferenceTree.consistency(leaves, m, n);
                bytes32 old = ReferenceTree.root(leaves, 0, m);
                assertTrue(!_h.isConsistent(m, old, 100, root, proof), "consistency");
            }
        }
    }

    /// Whoever says a root chooses it. It must be that of a tree of the size that is said: a root
    /// above the right one, with a proof that is one node longer, would hide the leaves beside it.
    function test_rootsAboveTheTree() public view {
        bytes32[] memory leaves = _many;
        bytes32 beside = keccak256("hidden");
        for (uint64 n = 1; n <= 9; ++n) {
            bytes32 root = _node(beside, ReferenceTree.root(leaves, 0, n));
            for (uint64 i = 0; i < n; ++i) {
                bytes32[] memory proof = ReferenceTree.inclusion(leaves, i, n);
                proof = _resize(proof, proof.length + 1);
                proof[proof.length - 1] = beside;
                assertTrue(!_h.isIncluded(leaves[i], i, n, root, proof), "inclusion");
            }
            for (uint64 m = 1; m < n; ++m) {
                bytes32 old = _node(beside, ReferenceTree.root(leaves, 0, m));
                bytes32[] memory proof = ReferenceTree.consistency(leaves, m, n);
                proof = _resize(proof, proof.length + 1);
                proof[proof.length - 1] = beside;
                assertTrue(!_h.isConsistent(m, old, n, root, proof), "consistency");
            }
        }
    }

    /// A tree whose last leaf is repeated must have another root. If odd nodes were doubled, the
    /// root would be the same.
    function test_oddNodesAreNotDoubled() public view {
        bytes32[] memory three = new bytes32[](3);
        bytes32[] memory four = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            if (i < 3) three[i] = _leaves[i];
            four[i] = _leaves[i < 3 ? i : 2];
        }
        assertTrue(ReferenceTree.root(three) != ReferenceTree.root(four), "roots");
    }

    function _checkConsistency(uint64 m, uint64 n, uint256 noise) private view {
        bytes32[] memory leaves = _many;
        bytes32 oldRoot = ReferenceTree.root(leaves, 0, m);
        bytes32 newRoot = ReferenceTree.root(leaves, 0, n);
        bytes32[] memory proof = ReferenceTree.consistency(leaves, m, n);
        assertTrue(_h.isConsistent(m, oldRoot, n, newRoot, proof), "valid");
        assertTrue(
            !_h.isConsistent(m, oldRoot, n, newRoot, _resize(proof, proof.length + 1)),
            "one node too long"
        );
        if (proof.length == 0) return;
        assertTrue(
            !_h.isConsistent(m, oldRoot, n, newRoot, _resize(proof, proof.length - 1)),
            "one node too short"
        );
        assertTrue(!_h.isConsistent(m, ~oldRoot, n, newRoot, proof), "other old root");
        assertTrue(!_h.isConsistent(m, oldRoot, n, ~newRoot, proof), "other new root");
        proof[noise % proof.length] ^= bytes32(uint256(1) << (noise >> 248));
        assertTrue(!_h.isConsistent(m, oldRoot, n, newRoot, proof), "flipped bit");
    }

    function _checkInclusion(uint64 i, uint64 n, uint256 noise) private view {
        bytes32[] memory leaves = _many;
        bytes32 root = ReferenceTree.root(leaves, 0, n);
        bytes32[] memory proof = ReferenceTree.inclusion(leaves, i, n);
        assertTrue(_h.isIncluded(leaves[i], i, n, root, proof), "valid");
        assertTrue(
            !_h.isIncluded(leaves[i], i, n, root, _resize(proof, proof.length + 1)),
            "one node too long"
        );
        for (uint64 j = 0; j <= n; ++j) {
            if (j != i) assertTrue(!_h.isIncluded(leaves[i], j, n, root, proof), "other index");
        }
        if (proof.length == 0) return;
        assertTrue(
            !_h.isIncluded(leaves[i], i, n, root, _resize(proof, proof.length - 1)),
            "one node too short"
        );
        proof[noise % proof.length] ^= bytes32(uint256(1) << (noise >> 248));
        assertTrue(!_h.isIncluded(leaves[i], i, n, root, proof), "flipped bit");
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    function _resize(
        bytes32[] memory proof,
        uint256 length
    ) private pure returns (bytes32[] memory copy) {
        copy = new bytes32[](length);
        for (uint256 i = 0; i < length && i < proof.length; ++i) copy[i] = proof[i];
    }
}
