// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "./IProofLedger.sol";
import {KeyId} from "../types/KeyId.sol";
import {RunId} from "../types/RunId.sol";

/// @title Anchored models, the blocks drawn from them, and the proofs that open those blocks.
/// @notice A writer of a run anchors what a merge (stage 1) or a quantization (stage 2) started
/// from and made; the hash of a later block then says which blocks of weights must be opened, and
/// proofs open them in order. Anchorings of one stage are numbered and all stay: a writer who
/// anchors again until the draw suits is seen doing so. What an accepted anchoring does and does
/// not mean is said in docs/security-model.md; the ledger sees neither the whole tables nor the
/// file.
interface IModelLedger {
    /// @notice A table of tensors: RFC 6962 root over their entries, and how many there are.
    struct Table {
        bytes32 root;
        uint64 entries;
    }

    /// @param base tensors before the merge; zero in stage 2
    /// @param adapter two entries for each tensor of `merged`; zero in stage 2
    /// @param merged tensors after the merge, or those that are quantized
    /// @param artifact content digest of the merged model (stage 1) or SHA-256 of the file (stage
    /// 2)
    /// @param kind 8 = merge in stage 1; 6 = q8_0 or 7 = int8 in stage 2
    /// @param slots blocks that each proof opens, b
    /// @param scale the adapter's factor times 2^16 (stage 1), below 2^32; zero in stage 2
    /// @param draws K, blocks drawn in all, before rounding up in each tensor
    /// @param blocks sum over the merged table
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

    /// @param seed source of the draws; 0 before the draw
    /// @param codesHash H_n after n proofs: H_0 = 0, H_i = keccak256(H_{i-1} || code words of proof
    /// i); stays 0 in stage 1
    /// @param logRoot RFC 6962 root of the run's log at anchoring
    /// @param logSize entries of that log
    /// @param blockNumber block of the anchoring; 0 if there is no such anchoring
    /// @param drawBlock block whose hash makes the seed
    /// @param nextTensor tensor that the next proof must open; all those before are complete
    /// @param nextGroup group of its draws that the next proof must open
    /// @param blocksProved blocks of the complete tensors
    /// @param accepted whether every group of every tensor is proved
    /// @param missed whether the draw can no longer be had: the anchoring is void
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

    /// @param root root of a tensor's tree
    /// @param path RFC 9162 section 2.1.3, exact length, from the tensor's entry to its table's
    /// root
    struct Opening {
        uint256 root;
        bytes32[] path;
    }

    /// @notice One proof; anybody may send it and choose every field. The ledger computes what is
    /// not here: block count, depth and the names of the adapter's entries.
    /// @param tensor t, place in the merged table
    /// @param group g: the proof opens draws g*b .. g*b + b - 1
    /// @param vkId key whose depth word is the tensor's (with the padded rank in stage 1)
    /// @param name of the tensor, UTF-8
    /// @param rows of the tensor; 1 for a vector
    /// @param columns of the tensor
    /// @param rank rows of A in stage 1; zero in stage 2
    /// @param openings base at t, A at 2t, B at 2t + 1 and merged at t in stage 1; merged at t in
    /// stage 2
    /// @param codes code words in stage 2; none in stage 1
    struct Sample {
        uint64 tensor;
        uint64 group;
        KeyId vkId;
        string name;
        uint64 rows;
        uint64 columns;
        uint64 rank;
        Opening[] openings;
        uint256[] codes;
        IProofLedger.Proof proof;
    }

    /// @notice A model was anchored; its draw block is DRAW_DELAY later. `digest` is
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
    /// @notice Every group of every tensor was proved, and the tensors' blocks add up.
    event ModelAccepted(RunId indexed runId, uint64 indexed stage, uint64 indexed number);

    /// @notice The registry has no code.
    error BadRegistry(address registry);
    /// @notice Only the run's writers anchor its models.
    error NotRunWriter(RunId runId, address sender);
    /// @notice The run's log has no head yet.
    error LogIsEmpty(RunId runId);
    /// @notice There is no such stage, or it has no statement of this kind.
    error WrongStage(uint64 stage, uint64 kind);
    /// @notice A field of the anchoring is out of range, or must be zero in this stage.
    error BadAnchoring(string field);
    /// @notice There is no such anchoring.
    error UnknownAnchoring(RunId runId, uint64 stage, uint64 number);
    /// @notice An anchoring is drawn once.
    error AlreadyDrawn(bytes32 seed);
    /// @notice The hash of the draw block does not exist yet.
    error DrawTooEarly(uint64 drawBlock, uint256 blockNumber);
    /// @notice The hash of the draw block is no longer available: the anchoring is void.
    error DrawMissed(uint64 drawBlock, uint256 blockNumber);
    /// @notice Nothing is proved before the draw.
    error NotDrawn(RunId runId, uint64 stage, uint64 number);
    /// @notice Proofs come in the order of tensors and groups.
    error OutOfOrder(uint64 tensor, uint64 group, uint64 nextTensor, uint64 nextGroup);
    /// @notice The tensors' blocks do not add up to what was anchored.
    error BlocksDiffer(uint64 anchored, uint256 actual);
    /// @notice A tensor has between 1 and 2^32 blocks.
    error BadShape(uint64 tensor, uint64 rows, uint64 columns, uint64 rank);
    /// @notice The key opens another number of blocks, or trees of another depth or rank.
    error WrongKey(KeyId vkId, uint64 slots, uint64 depth);
    /// @notice A proof has another number of openings or code words than its statement.
    error WrongItemLength(uint64 tensor, uint256 expected, uint256 actual);
    /// @notice The tensor's entry is not shown to be at its place in the table; `opening` counts
    /// the item's openings.
    error NotInTable(uint64 tensor, uint256 opening);
    /// @notice The proof of this group does not verify.
    error SampleInvalid(uint64 tensor, uint64 group);
    /// @notice At least one of these proofs of one key does not verify; sent alone, each says
    /// whether it does.
    error BatchInvalid(uint256 proofs);

    /// @notice Fixes a model before its draw, by a writer of the run; the run's log must have a
    /// head.
    /// @param stage 1 = merge, 2 = quantization
    /// @return number of this anchoring, from 0
    function anchorModel(
        RunId runId,
        uint64 stage,
        Anchoring calldata anchoring
    ) external returns (uint64 number);

    /// @notice Draws the seed of an anchoring, by anyone, once, while the hash of its draw block
    /// can be had: 8,191 blocks where the EIP-2935 history contract exists, else 256.
    /// @return seed keccak256(abi.encode(TAG_DRAW, chainid, contract, runId, stage, number, digest
    /// of the anchoring, block hash))
    function drawModel(RunId runId, uint64 stage, uint64 number) external returns (bytes32 seed);

    /// @notice Opens groups of drawn blocks, by anyone, in the order of (tensor, group). Items that
    /// lie behind what is proved are skipped, so a list may be sent again; proofs of one key are
    /// checked in one pairing call, at most 64. All verify, or nothing is accepted.
    function proveSamples(
        RunId runId,
        uint64 stage,
        uint64 number,
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
    /// @return depth levels of the tensor's tree above its pages; + 16 * rank for merge
    function keyOf(
        KeyId vkId
    ) external view returns (address data, uint64 kind, uint64 slots, uint64 depth);

    /// @notice The contract that checks several proofs of one key; this ledger created it.
    function batchVerifier() external view returns (address);

    /// @notice The ProvenanceRegistry whose runs may anchor models here.
    function registry() external view returns (address);

    /// @notice Blocks between an anchoring and the block that makes its seed.
    // solhint-disable-next-line func-name-mixedcase
    function DRAW_DELAY() external view returns (uint64);
}
