// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle tree of a log: leaves, nodes, inclusion and consistency.
/// @notice Source: RFC 6962 section 2.1; verification as in RFC 9162 sections 2.1.3.2 and 2.1.4.2.
/// Both algorithms consume a proof completely or fail, so for given sizes exactly one proof length
/// is accepted. Hashing is the SHA-256 precompile.
library Rfc6962 {
    /// @notice Leaf hash: SHA256(0x00 || entry).
    function leaf(bytes memory entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), entry));
    }

    /// @notice Node hash: SHA256(0x01 || left || right).
    /// @dev Paths have many nodes: hashed beyond the allocated memory, which stays as it is. A call
    /// that fails (for want of gas) or answers with anything but a word (no precompile) is never
    /// taken for a digest.
    function node(bytes32 left, bytes32 right) internal view returns (bytes32 digest) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 1)
            mstore(add(input, 1), left)
            mstore(add(input, 33), right)
            let ok := staticcall(gas(), 2, input, 65, 0, 32)
            if iszero(and(ok, eq(returndatasize(), 32))) {
                revert(0, 0)
            }
            digest := mload(0)
        }
    }

    /// @notice Whether `leafHash` is leaf number `index` of the tree with `size` leaves and this
    /// root.
    function isIncluded(
        bytes32 leafHash,
        uint64 index,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        if (index >= size) return false;
        uint256 fn = index;
        bytes32 r = leafHash;
        unchecked {
            // size is not zero, and i stays below the length that Solidity checked against the
            // calldata.
            uint256 sn = size - 1;
            for (uint256 i = 0; i < proof.length; ++i) {
                if (sn == 0) return false; // the proof is too long
                bytes32 sibling;
                assembly ("memory-safe") {
                    sibling := calldataload(add(proof.offset, shl(5, i)))
                }
                if (fn & 1 == 1 || fn == sn) {
                    r = node(sibling, r);
                    (fn, sn) = _skipMissing(fn, sn);
                } else {
                    r = node(r, sibling);
                }
                fn >>= 1;
                sn >>= 1;
            }
            return sn == 0 && r == root;
        }
    }

    /// @notice Whether the tree (newSize, newRoot) begins with all leaves of the tree (oldSize,
    /// oldRoot).
    /// @dev The empty tree is a prefix of every tree and a tree is a prefix of itself, both with an
    /// empty proof. The proof of an old size that is a power of two omits the old root, which the
    /// verifier holds.
    function isConsistent(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        if (oldSize == 0) return proof.length == 0;
        if (oldSize == newSize) return proof.length == 0 && oldRoot == newRoot;
        if (oldSize > newSize || proof.length == 0) return false;
        uint256 fn = oldSize - 1;
        uint256 sn = newSize - 1;
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        // fn is 0 exactly when oldSize is a power of two: the old root itself is then the first
        // node.
        uint256 next = fn == 0 ? 0 : 1;
        bytes32 fr = fn == 0 ? oldRoot : proof[0];
        bytes32 sr = fr;
        for (; next < proof.length; ++next) {
            if (sn == 0) return false; // the proof is too long
            bytes32 c = proof[next];
            if (fn & 1 == 1 || fn == sn) {
                fr = node(c, fr);
                sr = node(c, sr);
                (fn, sn) = _skipMissing(fn, sn);
            } else {
                sr = node(sr, c);
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && fr == oldRoot && sr == newRoot;
    }

    /// A last node without a right sibling is passed upwards unchanged: skip the levels at which
    /// there is nothing to hash.
    function _skipMissing(uint256 fn, uint256 sn) private pure returns (uint256, uint256) {
        while (fn & 1 == 0 && fn != 0) {
            fn >>= 1;
            sn >>= 1;
        }
        return (fn, sn);
    }
}
