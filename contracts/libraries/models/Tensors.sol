// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kinds} from "../keys/Kinds.sol";
import {Rfc6962} from "../log/Rfc6962.sol";

/// @title Entries in tables of tensors, and what follows from a tensor's shape.
/// @notice Layouts: docs/formats/statements.md, "Weight trees" and "Tables of tensors". All tensors
/// opened here are BF16.
library Tensors {
    // Layouts: orders of blocks.
    uint8 internal constant ROWS = 0;
    uint8 internal constant LORA_A = 1;
    uint8 internal constant LORA_B = 2;

    uint256 internal constant MAX_BLOCKS = 2 ** 32; // block numbers have 32 bits
    uint256 private constant BLOCK_VALUES = 32;
    uint256 private constant PAGE_BLOCKS = 7;
    bytes21 private constant TAG = "provenance/v1/tensor\x00";
    uint8 private constant BF16 = 0;

    struct Entry {
        bytes32 nameHash;
        uint8 order; // of its blocks
        uint64 rows;
        uint64 columns;
        uint8 depth;
        uint64 blocks;
        uint256 root;
    }

    /// @notice Number of blocks of a row with this number of columns.
    function blocksPerRow(uint256 columns) internal pure returns (uint256) {
        return (columns + BLOCK_VALUES - 1) / BLOCK_VALUES;
    }

    /// @notice Levels of a tensor's tree above its pages: the smallest depth >= 1 that has room for
    /// this number of blocks.
    function depthOf(uint256 blocks) internal pure returns (uint8 depth) {
        uint256 pages = (blocks + PAGE_BLOCKS - 1) / PAGE_BLOCKS;
        for (depth = 1; pages > 16; ++depth) pages = (pages + 15) / 16;
    }

    /// @notice Whether a name comes before another in the order of a table: that of their bytes.
    function isBefore(bytes memory name, bytes memory other) internal pure returns (bool) {
        uint256 length = name.length < other.length ? name.length : other.length;
        for (uint256 i = 0; i < length; i += 32) {
            uint256 unused = length - i < 32 ? 256 - 8 * (length - i) : 0; // bits of both words
            uint256 x;
            uint256 y;
            assembly ("memory-safe") {
                x := shr(unused, mload(add(add(name, 32), i)))
                y := shr(unused, mload(add(add(other, 32), i)))
            }
            if (x != y) return x < y;
        }
        return name.length < other.length;
    }

    /// @notice Entry of a base or merged tensor.
    function plain(
        bytes memory name,
        uint64 rows,
        uint64 columns,
        uint256 root
    ) internal pure returns (Entry memory) {
        uint256 blocks = rows * blocksPerRow(columns);
        return Entry(sha256(name), ROWS, rows, columns, depthOf(blocks), uint64(blocks), root);
    }

    /// @notice Entry of the adapter's A, shape (rank, columns), of a tensor. Its blocks are counted
    /// with A padded to the key's rank; its tree has the tensor's depth.
    function loraA(
        Entry memory of_,
        bytes memory name,
        uint64 rank,
        uint256 root
    ) internal pure returns (Entry memory) {
        uint256 blocks = blocksPerRow(of_.columns) * Kinds.paddedRank(rank);
        bytes32 nameHash = sha256(bytes.concat(name, ":lora_a"));
        return Entry(nameHash, LORA_A, rank, of_.columns, of_.depth, uint64(blocks), root);
    }

    /// @notice Entry of the adapter's B, shape (rows, rank), of a tensor; padded as A is.
    function loraB(
        Entry memory of_,
        bytes memory name,
        uint64 rank,
        uint256 root
    ) internal pure returns (Entry memory) {
        uint256 blocks = of_.rows * blocksPerRow(Kinds.paddedRank(rank));
        bytes32 nameHash = sha256(bytes.concat(name, ":lora_b"));
        return Entry(nameHash, LORA_B, of_.rows, rank, of_.depth, uint64(blocks), root);
    }

    /// @notice Leaf hash of an entry in its table.
    function leaf(Entry memory e) internal pure returns (bytes32) {
        bytes memory entry = abi.encodePacked(
            TAG,
            e.nameHash,
            BF16,
            e.order,
            e.rows,
            e.columns,
            e.depth,
            e.blocks,
            e.root
        );
        return Rfc6962.leaf(abi.encodePacked(sha256(entry)));
    }
}
