// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The fixed table of the kinds of statements, and what their keys look like.
/// @notice Layouts: docs/formats/proofs.md and docs/formats/statements.md. Slots and depth are
/// words 2 and 3 of a key; their meaning depends on the kind.
/// @dev `python zk/generate_statements.py --write` makes the parts between markers from
/// zk/statements.json. Callers refuse an unknown kind with an error of their own. If one gets here,
/// the contract has a bug, and the function panics.
library Kinds {
    // generated: begin constants
    // the records fed in an epoch are the dataset's, in the drawn order
    uint64 internal constant EPOCH = 1;
    // the committed leaves are those under the dataset's root
    uint64 internal constant TREE = 2;
    // a chunk of the dataset is strictly increasing by the first half of the digest
    uint64 internal constant SORTED = 3;
    // a digest is that of one of the dataset's records
    uint64 internal constant MEMBER = 4;
    // a digest is that of none of a sorted dataset's records
    uint64 internal constant ABSENT = 5;
    // blocks of a GGUF Q8_0 file are the nearest codes of a tensor's blocks
    uint64 internal constant Q8_0 = 6;
    // blocks of a row-wise int8 file are the nearest codes of a tensor's blocks
    uint64 internal constant INT8 = 7;
    // blocks of the merged weights are the exactly rounded merge of base and adapter
    uint64 internal constant MERGE = 8;
    uint64 internal constant LAST = MERGE;

    uint64 internal constant MERGE_STAGE = 1;
    uint64 internal constant QUANTIZE_STAGE = 2;
    uint256 internal constant MAX_SLOTS = 1048576; // most slots of a circuit
    uint256 internal constant ARITY = 16; // children of a node of a Poseidon tree
    uint256 internal constant MAX_DEPTH = 6; // most levels of a dataset's tree
    uint256 internal constant MAX_RECORDS = 16777216; // most records of a dataset: 16^6
    uint256 internal constant MAX_LEVELS = 7; // most levels of a tensor's tree above its pages
    uint256 internal constant MAX_BLOCKS = 64; // most blocks of weights that one proof opens
    // ranks of merge keys; an adapter of lower rank is padded with zeros
    uint256 private constant MIN_RANK = 8;
    uint256 private constant MAX_RANK = 64;
    uint256 internal constant RANK_UNIT = 16; // depth word of a merge key: levels + 16 * rank
    uint256 internal constant INDEX_BITS = 32; // bits of a block's number in a public input
    uint256 internal constant INDEXES_PER_WORD = 7; // block numbers in one public input
    uint256 internal constant BYTES_PER_WORD = 31; // bytes of a deployed file in one public input
    // largest number of public inputs of a key
    uint256 internal constant MAX_PUBLIC = 86;

    // The kinds whose keys each contract pins; bit n stands for kind n.
    uint256 internal constant PROOF_LEDGER = (1 << EPOCH) | (1 << TREE);
    uint256 internal constant DATASET_AUDITS = (1 << SORTED) | (1 << MEMBER) | (1 << ABSENT);
    uint256 internal constant MODEL_LEDGER = (1 << Q8_0) | (1 << INT8) | (1 << MERGE);
    // generated: end constants

    /// @notice Whether there is a kind with this number.
    function isKnown(uint256 kind) internal pure returns (bool) {
        return kind != 0 && kind <= LAST;
    }

    // solhint-disable max-line-length
    // generated: begin rules
    /// @notice Whether a key of this kind may have this number of slots.
    function fitsSlots(uint256 kind, uint256 slots) internal pure returns (bool fits) {
        if (kind == EPOCH) return slots >= 1 && slots <= MAX_SLOTS;
        if (kind == TREE || kind == SORTED) {
            return
                slots == 16 ||
                slots == 256 ||
                slots == 4096 ||
                slots == 65536;
        }
        if (kind == MEMBER || kind == ABSENT) return slots == 1;
        if (kind == Q8_0 || kind == INT8 || kind == MERGE) return slots >= 1 && slots <= MAX_BLOCKS;
        assert(isKnown(kind));
    }

    /// @notice Whether a key of this kind with these slots may have this depth word.
    function fitsDepth(uint256 kind, uint256 slots, uint256 depth) internal pure returns (bool fits) {
        if (kind == EPOCH) return depth == 0;
        if (kind == TREE || kind == SORTED) {
            return depth >= 1 && depth <= MAX_DEPTH && ARITY ** depth >= slots;
        }
        if (kind == MEMBER || kind == ABSENT) return depth >= 1 && depth <= MAX_DEPTH;
        if (kind == Q8_0 || kind == INT8) return depth >= 1 && depth <= MAX_LEVELS;
        if (kind == MERGE) {
            return _isRank(depth / RANK_UNIT) && depth % RANK_UNIT >= 1 && depth % RANK_UNIT <= MAX_LEVELS;
        }
        assert(isKnown(kind));
    }

    /// @notice Number of public inputs of a key of this kind; `slots` must fit.
    function publicCount(uint256 kind, uint256 slots) internal pure returns (uint256 count) {
        if (kind == EPOCH) return 5;
        if (kind == TREE) return 8;
        if (kind == SORTED) return 6;
        if (kind == MEMBER) return 4;
        if (kind == ABSENT) return 3;
        if (kind == Q8_0 || kind == INT8) return 1 + indexWords(slots) + codeWords(kind, slots);
        if (kind == MERGE) return 6 + indexWords(slots);
        assert(isKnown(kind));
    }

    /// @notice Number of commitments of a key of this kind.
    function commitmentCount(uint256 kind) internal pure returns (uint256 count) {
        if (kind == EPOCH) return 3;
        assert(isKnown(kind));
    }

    /// @notice Stage whose anchorings take proofs of this kind; 0 if the kind is of no stage.
    function stageOf(uint256 kind) internal pure returns (uint64 stage) {
        if (kind == Q8_0 || kind == INT8) return QUANTIZE_STAGE;
        if (kind == MERGE) return MERGE_STAGE;
        assert(isKnown(kind));
    }

    /// @notice Bytes of a block of the deployed file; 0 for a kind that is not about such a file.
    function blockBytes(uint256 kind) internal pure returns (uint256 size) {
        if (kind == Q8_0) return 34;
        if (kind == INT8) return 36;
        assert(isKnown(kind));
    }
    // generated: end rules
    // solhint-enable max-line-length

    /// @notice How many public inputs hold the numbers of `blocks` blocks.
    function indexWords(uint256 blocks) internal pure returns (uint256) {
        return (blocks + INDEXES_PER_WORD - 1) / INDEXES_PER_WORD;
    }

    /// @notice How many public inputs hold the bytes of `blocks` blocks of the deployed file; 0 for
    /// a kind that is not about such a file.
    function codeWords(uint256 kind, uint256 blocks) internal pure returns (uint256) {
        uint256 size = blockBytes(kind);
        return size == 0 ? 0 : (blocks * size + BYTES_PER_WORD - 1) / BYTES_PER_WORD;
    }

    /// @notice Rank of the `merge` keys for an adapter of rank r: the smallest of 8, 16, 32, 64
    /// that is at least r; 0 if r is 0 or larger than 64.
    function paddedRank(uint256 r) internal pure returns (uint256 rank) {
        if (r == 0 || r > MAX_RANK) return 0;
        rank = MIN_RANK;
        while (rank < r) rank *= 2;
    }

    function _isRank(uint256 rank) private pure returns (bool) {
        return rank != 0 && paddedRank(rank) == rank;
    }
}
