// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The closed table of statements: what their keys look like.
/// @notice Layouts: docs/formats/proofs.md and docs/formats/statements.md. Slots and depth are words 2 and 3 of a key; what they
/// mean is the kind's own.
library Kinds {
    uint64 internal constant EPOCH = 1;
    uint64 internal constant TREE = 2;
    uint64 internal constant SORTED = 3;
    uint64 internal constant MEMBER = 4;
    uint64 internal constant ABSENT = 5;
    uint64 internal constant Q8_0 = 6;
    uint64 internal constant INT8 = 7;
    uint64 internal constant MERGE = 8;
    uint64 internal constant LAST = MERGE;

    /// @notice Most records that a dataset's tree can hold: 16^6.
    uint256 internal constant MAX_RECORDS = 16 ** 6;
    /// @notice Most blocks of weights that one proof opens.
    uint256 internal constant MAX_BLOCKS = 64;
    /// @notice Most public inputs of a key: those of an `int8` key of 64 blocks.
    uint256 internal constant MAX_PUBLIC = 86;
    /// @notice Depth word of a `merge` key: levels + 16 * rank.
    uint256 internal constant RANK_UNIT = 16;

    uint256 private constant MIN_RECORDS = 16; // of a chunk
    uint256 private constant MAX_LEVELS = 7; // of a tensor's tree, above its pages
    uint256 private constant MIN_RANK = 8;
    uint256 private constant MAX_RANK = 64;
    uint256 private constant INDEXES_PER_WORD = 7;
    uint256 private constant BYTES_PER_WORD = 31;
    uint256 private constant Q8_0_BYTES = 34; // of a block: a float16 scale, 32 codes
    uint256 private constant INT8_BYTES = 36; // of a block: a float32 maximum, 32 codes

    /// @notice Whether a key of this kind may have so many slots.
    function fitsSlots(uint256 kind, uint256 slots) internal pure returns (bool) {
        if (kind == MEMBER || kind == ABSENT) return slots == 1;
        if (kind >= Q8_0) return slots >= 1 && slots <= MAX_BLOCKS;
        if (kind == SORTED) return slots == 16 || slots == 256;
        if (slots < MIN_RECORDS || slots > MAX_RECORDS) return false;
        while (kind == TREE && slots % 16 == 0) slots /= 16;
        return kind == EPOCH || slots == 1; // a tree chunk is a whole subtree
    }

    /// @notice Whether a key of this kind may have this depth word.
    function fitsDepth(uint256 kind, uint256 depth) internal pure returns (bool) {
        if (kind == EPOCH) return depth == 0;
        if (kind == MERGE) return _isRank(depth / RANK_UNIT) && _fitsLevels(depth % RANK_UNIT);
        if (kind >= Q8_0) return _fitsLevels(depth);
        return depth == 5 || depth == 6;
    }

    /// @notice Public inputs of a key of this kind; `slots` must fit.
    function publicCount(uint256 kind, uint256 slots) internal pure returns (uint256) {
        if (kind == EPOCH) return 5;
        if (kind == TREE) return 8;
        if (kind == SORTED) return 6;
        if (kind == MEMBER) return 4;
        if (kind == ABSENT) return 3;
        if (kind == MERGE) return 6 + indexWords(slots);
        return 1 + indexWords(slots) + codeWords(kind, slots);
    }

    function commitmentCount(uint256 kind) internal pure returns (uint256) {
        return kind == EPOCH ? 3 : 0;
    }

    /// @notice Public inputs that hold the numbers of `blocks` blocks.
    function indexWords(uint256 blocks) internal pure returns (uint256) {
        return (blocks + INDEXES_PER_WORD - 1) / INDEXES_PER_WORD;
    }

    /// @notice Public inputs that hold the bytes of `blocks` quantized blocks; none for `merge`.
    function codeWords(uint256 kind, uint256 blocks) internal pure returns (uint256) {
        if (kind == MERGE) return 0;
        return (blocks * (kind == Q8_0 ? Q8_0_BYTES : INT8_BYTES) + BYTES_PER_WORD - 1) / BYTES_PER_WORD;
    }

    /// @notice Rank of the `merge` keys that serve an adapter of rank r: the smallest of 8, 16, 32, 64 that is at least r; 0 if
    /// there is none.
    function paddedRank(uint256 r) internal pure returns (uint256 rank) {
        if (r == 0 || r > MAX_RANK) return 0;
        rank = MIN_RANK;
        while (rank < r) rank *= 2;
    }

    function _isRank(uint256 rank) private pure returns (bool) {
        return rank != 0 && paddedRank(rank) == rank;
    }

    function _fitsLevels(uint256 levels) private pure returns (bool) {
        return levels >= 1 && levels <= MAX_LEVELS;
    }
}
