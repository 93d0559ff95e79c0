// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetId} from "../types/DatasetId.sol";
import {KeyId} from "../types/KeyId.sol";
import {RunId} from "../types/RunId.sol";

/// @title Registered datasets, anchored epochs and the Groth16 statements shown about them.
/// @notice Three kinds of points are Pedersen commitments, one of each for every chunk: D commits
/// to the dataset's leaves, U to the leaves as they were fed in an epoch, P to the positions of the
/// drawn order. A dataset is registered once per epoch key, by one `tree` proof for each tree chunk
/// and one link proof for each epoch chunk. An epoch is anchored first, which fixes its points and
/// with them its challenges; then it is proved chunk by chunk. Anybody may submit proofs. What was
/// accepted before is accepted again without effect, so retries are safe. docs/security-model.md
/// says what an accepted epoch means and what it does not: the ledger does not see the batch
/// records.
interface IProofLedger {
    /// @notice A key that the contract is deployed with.
    /// @param vkId keccak256 of the key's bytes
    /// @param data contract whose code is 0x00 || the key's bytes
    struct KeyPin {
        KeyId vkId;
        address data;
    }

    /// @notice A, B and C of a Groth16 proof, in the coordinate order of EIP-197.
    struct Proof {
        uint256[2] a;
        uint256[4] b;
        uint256[2] c;
    }

    /// @notice The arguments of `proveEpoch`, for one chunk of a batch.
    struct EpochItem {
        RunId runId;
        uint64 epoch;
        uint64 number;
        uint64 c;
        uint256 a;
        uint256 b;
        uint256[2][3] commitments;
        uint256[2][2] poks;
        Proof proof;
    }

    /// @notice The proof of one chunk for `anchorAndProve`; its fields are those of `EpochItem`.
    struct ProvedChunk {
        uint256 a;
        uint256 b;
        uint256[2][2] poks;
        Proof proof;
    }

    /// @notice An epoch that is anchored and proved in one call.
    /// @param number the number that its anchoring will have; the challenges follow from it
    /// @param consumed as for `anchorEpoch`
    /// @param u as for `anchorEpoch`
    /// @param p as for `anchorEpoch`
    /// @param chunks the proofs of all its chunks, in order
    struct ProvedEpoch {
        uint64 epoch;
        uint64 number;
        uint64 consumed;
        uint256[2][] u;
        uint256[2][] p;
        ProvedChunk[] chunks;
    }

    /// @param owner who began the registration; the zero address if there is none
    /// @param epochKey vkId of the `epoch` key
    /// @param treeKey vkId of the `tree` key
    /// @param root Poseidon root of the dataset's tree
    /// @param depth depth of that tree
    /// @param count N: number of records
    /// @param slots n: slots of an epoch chunk
    /// @param chunks m = ceil(N/n): number of epoch chunks
    /// @param treesProved how many of the ceil(N / slots of the tree key) tree chunks are proved
    /// @param linksProved how many of the m links are proved
    /// @param finished whether epochs of this dataset may be anchored
    /// @param linkSeed the registration's challenges are hashed from it
    /// @param dHash keccak256 of all D points
    struct Dataset {
        address owner;
        KeyId epochKey;
        KeyId treeKey;
        uint256 root;
        uint64 depth;
        uint64 count;
        uint64 slots;
        uint64 chunks;
        uint64 treesProved;
        uint64 linksProved;
        bool finished;
        bytes32 linkSeed;
        bytes32 dHash;
    }

    /// @param datasetId registration of the dataset that the epoch is about
    /// @param seed the challenges gamma and delta are hashed from it, and it from what was anchored
    /// and all points; 0 if there is no such anchoring
    /// @param consumed T: positions 0 to T - 1 of the order were used
    /// @param logSize entries of the run's log at anchoring
    /// @param chunksProved chunks accepted so far
    /// @param blockNumber block of the anchoring
    /// @param accepted whether all chunks are proved and both products agree
    /// @param logRoot RFC 6962 root of the run's log at anchoring
    /// @param productA product mod r of all proved chunks' a; 0 before the first chunk and after
    /// acceptance
    /// @param productB product mod r of all proved chunks' b; 0 before the first chunk and after
    /// acceptance
    struct Anchoring {
        DatasetId datasetId;
        bytes32 seed;
        uint64 consumed;
        uint64 logSize;
        uint64 chunksProved;
        uint64 blockNumber;
        bool accepted;
        bytes32 logRoot;
        uint256 productA;
        uint256 productB;
    }

    /// @notice A registration was begun. The owner showed knowledge of what its D points commit to.
    event DatasetBegun(
        DatasetId indexed datasetId,
        address indexed owner,
        uint256 indexed root,
        uint64 depth,
        uint64 count,
        KeyId epochKey,
        KeyId treeKey,
        bytes32 dHash
    );
    /// @notice Tree chunk `chunk` was proved.
    event TreeProved(DatasetId indexed datasetId, uint64 indexed chunk);
    /// @notice The link of epoch chunk `chunk` was proved.
    event LinkProved(DatasetId indexed datasetId, uint64 indexed chunk);
    /// @notice The D points were shown to commit to the leaves of the dataset's tree.
    event DatasetFinished(DatasetId indexed datasetId);
    /// @notice The points of an epoch were fixed. `uHash` and `pHash` are keccak256 of all U points
    /// and of all P points.
    event EpochAnchored(
        RunId indexed runId,
        uint64 indexed epoch,
        uint64 indexed number,
        DatasetId datasetId,
        uint64 consumed,
        uint64 logSize,
        bytes32 logRoot,
        bytes32 uHash,
        bytes32 pHash,
        bytes32 seed
    );
    /// @notice One chunk of an anchored epoch was proved, with these products. `accepted` is true
    /// if it was the last chunk and the products of all chunks agree: the epoch is then accepted.
    event EpochChunkProved(
        RunId indexed runId,
        uint64 indexed epoch,
        uint64 indexed number,
        uint64 chunk,
        uint256 a,
        uint256 b,
        bool accepted
    );

    /// @notice The registry's address has no code.
    error BadRegistry(address registry);
    /// @notice No pinned key of this kind has this id.
    error UnknownKey(KeyId vkId, uint64 kind);
    /// @notice The epoch key's slots are not a multiple of the tree key's leaves per chunk.
    error SlotsMismatch(uint64 slots, uint64 treeSlots);
    /// @notice The depth is not the one for this many records, or not the tree key's.
    error WrongDepth(uint64 depth, uint64 count, uint64 keyDepth);
    /// @notice The dataset's root is not below r.
    error RootNotInField(uint256 root);
    /// @notice The number of records is not between 1 and 16^6.
    error BadCount(uint64 count);
    /// @notice There is not one point, or not one proof of knowledge, for each epoch chunk.
    error WrongPointCount(uint64 expected, uint256 actual);
    /// @notice This very registration was begun before.
    error DatasetExists(DatasetId datasetId);
    /// @notice There is no such registration.
    error UnknownDataset(DatasetId datasetId);
    /// @notice Proofs of the registration are missing.
    error DatasetIncomplete(DatasetId datasetId, uint64 treesProved, uint64 linksProved);
    /// @notice The registration was not finished.
    error DatasetNotFinished(DatasetId datasetId);
    /// @notice The run declared another dataset when it was opened.
    error WrongDataset(RunId runId, DatasetId expected, DatasetId actual);
    /// @notice There is no such chunk.
    error ChunkOutOfRange(uint64 chunk, uint64 chunks);
    /// @notice The points are not the registered or anchored ones of this chunk. `expected` and
    /// `actual` are keccak256 of them.
    error WrongPoint(uint64 chunk, bytes32 expected, bytes32 actual);
    /// @notice A product is zero: multiplied with others it would hide them.
    error ZeroProduct(uint64 chunk);
    /// @notice The products of a chunk's tree and link proofs differ: D does not commit to the
    /// tree's leaves.
    error ProductsDiffer(uint64 chunk, uint256 left, uint256 right);
    /// @notice The proofs of knowledge of the D points do not verify.
    error KnowledgeNotProved();
    /// @notice The proof does not verify for these public inputs and points.
    error ProofInvalid(uint64 chunk);
    /// @notice The batch has no item.
    error EmptyBatch();
    /// @notice Item `index` of a batch is under another epoch key than the items before it.
    error MixedKeys(uint256 index);
    /// @notice At least one of this number of proofs does not verify. Send them one by one with
    /// `proveEpoch` to learn which.
    error BatchInvalid(uint256 proofs);
    /// @notice The sender is not a writer of the run, and only writers anchor its epochs.
    error NotRunWriter(RunId runId, address sender);
    /// @notice The run's seed was not drawn, or there is no such run.
    error SeedNotDrawn(RunId runId);
    /// @notice The run's log has no head yet.
    error LogIsEmpty(RunId runId);
    /// @notice No position of the epoch is said to be used, so there is nothing to prove.
    error NothingConsumed(RunId runId, uint64 epoch);
    /// @notice More positions are said to be used than the dataset has records.
    error TooManyConsumed(uint64 consumed, uint64 count);
    /// @notice The run's log has another head than the one that the proofs were made for. They are
    /// proofs of other challenges now.
    error HeadMoved(RunId runId, uint64 expected, uint64 actual);
    /// @notice The epoch's next anchoring has another number than the one that its proofs were made
    /// for.
    error WrongNumber(RunId runId, uint64 epoch, uint64 expected, uint64 actual);
    /// @notice The D points are not the registered ones; both values are keccak256 of all points.
    error WrongDatasetPoints(bytes32 expected, bytes32 actual);
    /// @notice The products of all chunks differ: the epoch did not use the dataset in the order
    /// that P commits to.
    error EpochProductsDiffer(uint64 epoch, uint256 a, uint256 b);
    /// @notice There is no such anchoring.
    error UnknownAnchoring(RunId runId, uint64 epoch, uint64 number);

    /// @notice Begins the registration of the dataset (root, depth, count) under one epoch key; the
    /// sender becomes its owner. The proofs of knowledge of all D points are checked here, once.
    /// Without this check later proofs could be forged.
    /// @param depth 5 for up to 16^5 records, else 6
    /// @param d for each epoch chunk the commitment to its leaves
    /// @param poks for each point of `d` the proof that its maker knows what it commits to
    /// @return datasetId keccak256(abi.encode(TAG_DATASET, link seed))
    function beginDataset(
        KeyId epochKey,
        KeyId treeKey,
        uint256 root,
        uint64 depth,
        uint64 count,
        uint256[2][] calldata d,
        uint256[2][] calldata poks
    ) external returns (DatasetId datasetId);

    /// @notice Shows the products t and z of tree chunk `k`, whose leaves are under the root. gamma
    /// and delta are the registration's challenges.
    /// @param t product over the chunk's leaves of (gamma + leaf + delta * index)
    /// @param z product over the chunk's leaves of (gamma + delta * index)
    function proveTree(
        DatasetId datasetId,
        uint64 k,
        uint256 t,
        uint256 z,
        Proof calldata proof
    ) external;

    /// @notice Shows the products a and b of epoch chunk `c`, whose leaves D commits to. gamma and
    /// delta are the registration's challenges. The proof is of kind `epoch`: its U is the point at
    /// infinity, and its P, computed here, commits to the leaves' own indices g.
    /// @param d the registered D point of the chunk
    /// @param a product over the chunk's slots of (gamma + leaf + delta * g)
    /// @param b product over the chunk's slots of (gamma + delta * g)
    function proveLink(
        DatasetId datasetId,
        uint64 c,
        uint256[2] calldata d,
        uint256 a,
        uint256 b,
        Proof calldata proof
    ) external;

    /// @notice Compares the products of trees and links, chunk by chunk. Afterwards epochs may be
    /// anchored.
    function finishDataset(DatasetId datasetId) external;

    /// @notice Fixes the points of an epoch. The sender must be a writer of the run. Anchorings of
    /// one epoch are numbered from 0, and all stay.
    /// @param consumed T: how many positions were used; at least 1, at most the dataset's count
    /// @param u for each chunk the commitment to the leaves in the order they were fed
    /// @param p for each chunk the commitment to the positions of its leaves
    /// @return number of this anchoring
    function anchorEpoch(
        RunId runId,
        uint64 epoch,
        DatasetId datasetId,
        uint64 consumed,
        uint256[2][] calldata u,
        uint256[2][] calldata p
    ) external returns (uint64 number);

    /// @notice Shows the products of chunk `c` of an anchored epoch. D_i, P_i and U_j are entries
    /// of the vectors that D, P and U commit to; start = c * n is set by the ledger.
    /// @param a product over the slots of (gamma + D_i + delta * P_i)
    /// @param b product over the slots of (gamma + U_j + delta * (start + j))
    /// @param commitments D (the registered point), U and P (the anchored points)
    /// @param poks proofs of knowledge of U and of P
    function proveEpoch(
        RunId runId,
        uint64 epoch,
        uint64 number,
        uint64 c,
        uint256 a,
        uint256 b,
        uint256[2][3] calldata commitments,
        uint256[2][2] calldata poks,
        Proof calldata proof
    ) external;

    /// @notice Does what `proveEpoch` does, for each item in order, but checks all proofs in one
    /// pairing call. Items may be of several chunks, epochs, anchorings and runs, under one epoch
    /// key. Each item must pass every check of `proveEpoch`. An item that was accepted before, or
    /// earlier in the batch, has no effect. Unless all proofs verify, the call reverts and nothing
    /// is accepted.
    /// @param items at least one, at most 64 that were not accepted before
    function proveEpochs(EpochItem[] calldata items) external;

    /// @notice Does what `anchorEpoch` and then `proveEpochs` for all chunks do, for each epoch in
    /// order, in one call and with one pairing call. The sender must be a writer of the run. The
    /// challenges follow from the points, from the run's head and from each anchoring's number, so
    /// they are known before the call, and the points are fixed by their hash as they are when an
    /// epoch is anchored first. Either every epoch is accepted, or the call reverts and nothing is
    /// anchored. `chunkHash` stays 0 for these anchorings.
    /// @param headSeq number of the run's head that the challenges were computed with
    /// @param d all registered D points of the dataset
    /// @param epochs at least one, with at most 64 chunks together
    function anchorAndProve(
        RunId runId,
        DatasetId datasetId,
        uint64 headSeq,
        uint256[2][] calldata d,
        ProvedEpoch[] calldata epochs
    ) external;

    /// @notice A registration; all fields 0 if there is none with this id.
    function datasetOf(DatasetId datasetId) external view returns (Dataset memory);

    /// @notice An anchoring; all fields 0 if there is none with this number.
    function anchoringOf(
        RunId runId,
        uint64 epoch,
        uint64 number
    ) external view returns (Anchoring memory);

    /// @notice How many times an epoch of a run was anchored.
    function anchoringCount(RunId runId, uint64 epoch) external view returns (uint64);

    /// @notice keccak256(U || P) of the points of a chunk that `anchorEpoch` anchored; 0 if there
    /// is none.
    function chunkHash(
        RunId runId,
        uint64 epoch,
        uint64 number,
        uint64 c
    ) external view returns (bytes32);

    /// @notice Whether a chunk of an anchoring was accepted.
    function isChunkProved(
        RunId runId,
        uint64 epoch,
        uint64 number,
        uint64 c
    ) external view returns (bool);

    /// @notice gamma = keccak256(abi.encode(seed, 0)) mod r and delta = keccak256(abi.encode(seed,
    /// 1)) mod r.
    function challengesOf(bytes32 seed) external pure returns (uint256 gamma, uint256 delta);

    /// @notice A pinned key; all fields 0 if there is none with this id.
    /// @return data contract that holds the key's bytes
    /// @return kind 1 = epoch, 2 = tree
    /// @return slots n of an epoch key, leaves per chunk of a tree key
    /// @return depth of the tree; 0 for an epoch key
    function keyOf(
        KeyId vkId
    ) external view returns (address data, uint64 kind, uint64 slots, uint64 depth);

    /// @notice The contract that judges all proofs for this ledger, which created it.
    function batchVerifier() external view returns (address);

    /// @notice The ProvenanceRegistry whose runs may anchor epochs here.
    function registry() external view returns (address);
}
