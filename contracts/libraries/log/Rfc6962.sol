// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle tree of a log: leaves, nodes, inclusion and consistency.
/// @notice Source: RFC 6962 section 2.1; verification as in RFC 9162 sections 2.1.3.2 and 2.1.4.2.
/// Both algorithms fail unless they use a proof completely. So for given sizes exactly one length
/// of proof is accepted. The SHA-256 precompile does the hashing.
library Rfc6962 {
    /// @notice Leaf hash: SHA256(0x00 || entry).
    function leaf(bytes memory entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), entry));
    }

    /// @notice Node hash: SHA256(0x01 || left || right).
    /// @dev A path has many nodes, so they are hashed in free memory and nothing is allocated.
    /// Reverts if the precompile call fails (too little gas) or does not answer with one word (the
    /// chain has no such precompile), so that nothing else is taken for a digest.
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
            // Safe: size is not zero, and i stays below the proof's length, which Solidity checked
            // against the calldata.
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

    /// @notice Whether the first leaves of the tree (newSize, newRoot) are all leaves of the tree
    /// (oldSize, oldRoot).
    /// @dev Every tree extends the empty tree and itself, both with an empty proof. If oldSize is a
    /// power of two, the proof omits the old root, which the verifier knows.
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
        // fn is 0 exactly if oldSize is a power of two. Then the old root itself is the first node.
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

    /// The last node of a level, if it has no sibling, moves up unchanged. This skips the levels
    /// where it does, since nothing is hashed there.
    function _skipMissing(uint256 fn, uint256 sn) private pure returns (uint256, uint256) {
        while (fn & 1 == 0 && fn != 0) {
            fn >>= 1;
            sn >>= 1;
        }
        return (fn, sn);
    }
}
