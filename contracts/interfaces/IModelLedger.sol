// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "./IProofLedger.sol";
import {KeyId} from "../types/KeyId.sol";
import {RunId} from "../types/RunId.sol";

/// @title Anchored models, the blocks drawn from them, and the proofs that open those blocks.
/// @notice A writer of a run anchors what a merge (stage 1) or a quantization (stage 2) started
/// from and what it made. Then the hash of a later block of the chain draws blocks of weights, and
/// proofs open these blocks in order. Anchorings of one stage are numbered and all stay, so
/// everybody sees when a writer anchors again until the draw suits. docs/security-model.md says
/// what an accepted anchoring means and what it does not. The ledger sees neither the whole tables
/// nor the file.
interface IModelLedger {
    /// @notice A table of tensors: RFC 6962 root over their entries, and how many there are.
    struct Table {
        bytes32 root;
        uint64 entries;
    }

    /// @param base table of the tensors before the merge; zero in stage 2
    /// @param adapter table of A and B of each tensor of `merged`: two entries; zero in stage 2
    /// @param merged table of the tensors after the merge, or of those that are quantized
    /// @param artifact content digest of the merged model (stage 1) or SHA-256 of the file (stage
    /// 2)
    /// @param kind 8 = merge in stage 1; 6 = q8_0 or 7 = int8 in stage 2
    /// @param slots b: blocks that each proof opens
    /// @param scale the adapter's scale times 2^16, from 1 and below 2^32; zero in stage 2
    /// @param draws K: blocks drawn in all, before rounding up in each tensor
    /// @param blocks number of blocks of all tensors of the merged table
    struct Anchoring {
        Table base;
        Table adapter;
        Table merged;
        bytes32 artifact;
        uint64 kind;
        uint64 slots;
        uint64 scale;
        uint64 draws;
        uint64 blocks;
    }

    /// @param seed which blocks are drawn follows from it; 0 before the draw
    /// @param codesHash H_n after n proofs: H_0 = 0, H_i = keccak256(H_{i-1} || code words of proof
    /// i); stays 0 in stage 1
    /// @param logRoot RFC 6962 root of the run's log at anchoring
    /// @param logSize entries of that log
    /// @param blockNumber block of the anchoring; 0 if there is no such anchoring
    /// @param drawBlock block whose hash makes the seed
    /// @param nextTensor tensor that the next proof must be about; all tensors before are complete
    /// @param nextGroup group of its draws that the next proof must open
    /// @param blocksProved number of blocks of the complete tensors, drawn or not
    /// @param accepted whether every group of every tensor is proved
    /// @param missed whether the seed can no longer be drawn: the anchoring is then void
    struct Progress {
        bytes32 seed;
        bytes32 codesHash;
        bytes32 logRoot;
        uint64 logSize;
        uint64 blockNumber;
        uint64 drawBlock;
        uint64 nextTensor;
        uint64 nextGroup;
        uint64 blocksProved;
        bool accepted;
        bool missed;
    }

    /// @notice Shows that a tensor's root is in a table.
    /// @param root root of the tensor's tree of weights
    /// @param path inclusion proof of RFC 9162 section 2.1.3, of exact length, from the tensor's
    /// entry to the table's root
    struct TablePath {
        uint256 root;
        bytes32[] path;
    }

    /// @notice One proof about one group of draws. Anybody may send it, and chooses every field.
    /// The ledger computes the rest: number of blocks, depth, names of the adapter's entries.
    /// @param tensor t, place in the merged table
    /// @param group g: the proof opens draws g*b .. g*b + b - 1
    /// @param vkId key whose depth word is the tensor's (with the padded rank in stage 1)
    /// @param name of the tensor, UTF-8
    /// @param rows of the tensor; 1 for a vector
    /// @param columns of the tensor
    /// @param rank rows of A in stage 1; zero in stage 2
    /// @param openings paths of the tensor's entries: in stage 1 entry t of base, 2t (A) and 2t + 1
    /// (B) of adapter, t of merged; in stage 2 entry t of merged only
    /// @param codes code words of the blocks in the file, in stage 2; none in stage 1
    struct Sample {
        uint64 tensor;
        uint64 group;
        KeyId vkId;
        string name;
        uint64 rows;
        uint64 columns;
        uint64 rank;
        TablePath[] openings;
        uint256[] codes;
        IProofLedger.Proof proof;
    }

    /// @notice A model was anchored; its draw block comes DRAW_DELAY blocks later. `digest` is
    /// keccak256(abi.encode(anchoring, logSize, logRoot)).
    event ModelAnchored(
        RunId indexed runId,
        uint64 indexed stage,
        uint64 indexed number,
        Anchoring anchoring,
        uint64 logSize,
        bytes32 logRoot,
        bytes32 digest
    );
    /// @notice The draw seed of an anchoring was taken from the hash of its draw block.
    event ModelDrawn(
        RunId indexed runId,
        uint64 indexed stage,
        uint64 indexed number,
        bytes32 seed,
        bytes32 blockHash
    );
    /// @notice One group of draws was proved.
    event SampleProved(
        RunId indexed runId,
        uint64 indexed stage,
        uint64 indexed number,
        uint64 tensor,
        uint64 group,
        uint256[] codes
    );
    /// @notice Every group of every tensor was proved, and the tensors' blocks add up to the
    /// anchored number.
    event ModelAccepted(RunId indexed runId, uint64 indexed stage, uint64 indexed number);

    /// @notice The registry's address has no code.
    error BadRegistry(address registry);
    /// @notice The sender is not a writer of the run, and only writers anchor its models.
    error NotRunWriter(RunId runId, address sender);
    /// @notice The run's log has no head yet.
    error LogIsEmpty(RunId runId);
    /// @notice There is no such stage, or no statement of this kind is of this stage.
    error WrongStage(uint64 stage, uint64 kind);
    /// @notice A field of the anchoring is out of range, or must be zero in this stage, or a
    /// merge's merged table is its base table.
    error BadAnchoring(string field);
    /// @notice There is no such anchoring.
    error UnknownAnchoring(RunId runId, uint64 stage, uint64 number);
    /// @notice The seed of this anchoring was drawn already; it is drawn only once.
    error AlreadyDrawn(bytes32 seed);
    /// @notice The hash of the draw block does not exist yet.
    error DrawTooEarly(uint64 drawBlock, uint256 blockNumber);
    /// @notice The hash of the draw block is no longer available: the anchoring is void.
    error DrawMissed(uint64 drawBlock, uint256 blockNumber);
    /// @notice The seed was not drawn yet; proofs come after the draw.
    error NotDrawn(RunId runId, uint64 stage, uint64 number);
    /// @notice The proof is not the next one in the order of tensors and groups.
    error OutOfOrder(uint64 tensor, uint64 group, uint64 nextTensor, uint64 nextGroup);
    /// @notice The tensors' blocks do not add up to the anchored number.
    error BlocksDiffer(uint64 anchored, uint256 actual);
    /// @notice The tensor does not have between 1 and 2^32 blocks, or no merge key takes the rank
    /// (which must be zero in stage 2).
    error BadShape(uint64 tensor, uint64 rows, uint64 columns, uint64 rank);
    /// @notice The key opens another number of blocks, or is for trees of another depth or rank.
    error WrongKey(KeyId vkId, uint64 slots, uint64 depth);
    /// @notice The item has another number of openings or code words than its statement.
    error WrongItemLength(uint64 tensor, uint256 expected, uint256 actual);
    /// @notice A path does not show that the tensor's entry is at its place in the table; `opening`
    /// is the path's position in the item's `openings`.
    error NotInTable(uint64 tensor, uint256 opening);
    /// @notice The name that was given for the tensor before this one is not its name.
    error WrongPrevious(uint64 tensor);
    /// @notice The tensor's name does not come after that of the tensor before it.
    error NamesNotInOrder(uint64 tensor);
    /// @notice The proof of this group does not verify.
    error SampleInvalid(uint64 tensor, uint64 group);
    /// @notice At least one of this number of proofs under one key does not verify. Send them one
    /// by one to learn which.
    error BatchInvalid(uint256 proofs);

    /// @notice Fixes a model before its draw. The sender must be a writer of the run, and the run's
    /// log must have a head.
    /// @param stage 1 = merge, 2 = quantization
    /// @return number of this anchoring; the first one of a stage has 0
    function anchorModel(
        RunId runId,
        uint64 stage,
        Anchoring calldata anchoring
    ) external returns (uint64 number);

    /// @notice Draws the seed of an anchoring. Anybody may do so, once, while the hash of its draw
    /// block is available: for 8,191 blocks if `usesHistory`, else for 256.
    /// @return seed keccak256(abi.encode(TAG_DRAW, chainid, contract, runId, stage, number, digest
    /// of the anchoring, block hash))
    function drawModel(RunId runId, uint64 stage, uint64 number) external returns (bytes32 seed);

    /// @notice Opens groups of drawn blocks, in the order of (tensor, group). Anybody may do so.
    /// Items that were proved before are skipped, so a list may be sent again. Proofs of one key,
    /// at most 64, are checked in one pairing call. Either all verify, or nothing is accepted.
    /// @param previous name of the tensor before that of the first item. It is looked at only if
    /// the first item that was not proved before opens group 0 of a tensor other than the first
    function proveSamples(
        RunId runId,
        uint64 stage,
        uint64 number,
        string calldata previous,
        Sample[] calldata items
    ) external;

    /// @notice An anchoring; all fields 0 if there is none with this number.
    function anchoringOf(
        RunId runId,
        uint64 stage,
        uint64 number
    ) external view returns (Anchoring memory anchoring, Progress memory progress);

    /// @notice How many times a stage of a run was anchored, void anchorings included.
    function anchoringCount(RunId runId, uint64 stage) external view returns (uint64);

    /// @notice A pinned key; all fields 0 if there is none with this id.
    /// @return data contract that holds the key's bytes
    /// @return kind 6 = q8_0, 7 = int8, 8 = merge
    /// @return slots blocks that a proof opens
    /// @return depth levels of the tensor's tree above its pages; for merge plus 16 * rank
    function keyOf(
        KeyId vkId
    ) external view returns (address data, uint64 kind, uint64 slots, uint64 depth);

    /// @notice The contract that judges all proofs for this ledger, which created it.
    function batchVerifier() external view returns (address);

    /// @notice The ProvenanceRegistry whose runs may anchor models here.
    function registry() external view returns (address);

    /// @notice Whether block hashes come from the history contract of EIP-2935. It is so if that
    /// contract had its canonical code and knew the parent block when this one was created.
    function usesHistory() external view returns (bool);

    /// @notice How many blocks after an anchoring the block comes whose hash makes its seed.
    // solhint-disable-next-line func-name-mixedcase
    function DRAW_DELAY() external view returns (uint64);
}
