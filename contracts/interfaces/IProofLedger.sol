// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetId} from "../types/DatasetId.sol";
import {KeyId} from "../types/KeyId.sol";
import {RunId} from "../types/RunId.sol";

/// @title Registered datasets, anchored epochs and the Groth16 statements shown about them.
/// @notice A dataset is registered once per epoch key by one `tree` proof per tree chunk and one
/// link proof per epoch chunk. An epoch is anchored (its points become fixed, and with them its
/// challenges) and then proved chunk by chunk. Proofs may be submitted by anybody; an item that was
/// accepted before is accepted again without effect, so retries are safe. What an accepted epoch
/// does and does not mean is said in docs/security-model.md: the ledger does not see the batch
/// records.
interface IProofLedger {
    /// @param vkId keccak256 of the key's bytes
    /// @param data contract whose code is 0x00 || bytes
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

    /// @param owner who began the registration; the zero address if there is none
    /// @param epochKey vkId of the `epoch` key
    /// @param treeKey vkId of the `tree` key
    /// @param root Poseidon root R of the dataset tree
    /// @param depth depth of that tree
    /// @param count number of records, N
    /// @param slots slots of an epoch chunk, n
    /// @param chunks number of epoch chunks, m = ceil(N/n)
    /// @param treesProved tree chunks proved, of ceil(N / slots of the tree key)
    /// @param linksProved link proofs accepted, of `chunks`
    /// @param finished whether epochs may be anchored on it
    /// @param linkSeed source of the registration's challenges
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

    /// @param datasetId registration whose D points are rearranged
    /// @param seed source of gamma and delta, made of everything below and all points; 0 if there
    /// is no such anchoring
    /// @param consumed T: the first T positions were used
    /// @param logSize entries of the run's log at anchoring
    /// @param chunksProved chunks accepted so far
    /// @param blockNumber block of the anchoring
    /// @param accepted whether all chunks are proved and both products agree
    /// @param logRoot RFC 6962 root of the run's log at anchoring
    /// @param productA product of the proved chunks' a, mod r; 0 before the first, and once
    /// accepted
    /// @param productB product of the proved chunks' b, mod r; 0 before the first, and once
    /// accepted
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

    /// @notice A registration was begun; its D points passed their knowledge checks.
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
    /// @notice The D points were shown to hold the leaves of the dataset tree.
    event DatasetFinished(DatasetId indexed datasetId);
    /// @notice The points of an epoch were fixed. uHash and pHash are keccak256 of all U and all P
    /// points.
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
    /// @notice One chunk of an anchored epoch was proved, with these products. `accepted` says that
    /// it was the last one and that the products agree: the epoch is then accepted.
    event EpochChunkProved(
        RunId indexed runId,
        uint64 indexed epoch,
        uint64 indexed number,
        uint64 chunk,
        uint256 a,
        uint256 b,
        bool accepted
    );

    /// @notice The registry has no code.
    error BadRegistry(address registry);
    /// @notice No pinned key of the wanted kind has this id.
    error UnknownKey(KeyId vkId, uint64 kind);
    /// @notice n must be a multiple of the tree chunk's leaves.
    error SlotsMismatch(uint64 slots, uint64 treeSlots);
    /// @notice The depth is not the one for this many records, or not the tree key's.
    error WrongDepth(uint64 depth, uint64 count, uint64 keyDepth);
    /// @notice The dataset root is not below r.
    error RootNotInField(uint256 root);
    /// @notice Between 1 and 16^6 records.
    error BadCount(uint64 count);
    /// @notice There must be one point (and one proof) per epoch chunk.
    error WrongPointCount(uint64 expected, uint256 actual);
    /// @notice This very registration exists.
    error DatasetExists(DatasetId datasetId);
    /// @notice There is no such registration.
    error UnknownDataset(DatasetId datasetId);
    /// @notice The registration lacks proofs.
    error DatasetIncomplete(DatasetId datasetId, uint64 treesProved, uint64 linksProved);
    /// @notice The registration was not finished.
    error DatasetNotFinished(DatasetId datasetId);
    /// @notice The run declared another dataset.
    error WrongDataset(RunId runId, DatasetId expected, DatasetId actual);
    /// @notice There is no such chunk.
    error ChunkOutOfRange(uint64 chunk, uint64 chunks);
    /// @notice A point is not the registered or anchored one of this chunk.
    error WrongPoint(uint64 chunk, bytes32 expected, bytes32 actual);
    /// @notice A product of zero hides every other factor.
    error ZeroProduct(uint64 chunk);
    /// @notice The proofs of a chunk contradict each other: the D point does not hold the tree's
    /// leaves.
    error ProductsDiffer(uint64 chunk, uint256 left, uint256 right);
    /// @notice The proof of knowledge of the registered D points does not verify.
    error KnowledgeNotProved();
    /// @notice The proof does not verify for these public inputs and points.
    error ProofInvalid(uint64 chunk);
    /// @notice A batch without an item.
    error EmptyBatch();
    /// @notice Item `index` of a batch is of another epoch key than the items before it.
    error MixedKeys(uint256 index);
    /// @notice At least one of these proofs does not verify; `proveEpoch` tells which.
    error BatchInvalid(uint256 proofs);
    /// @notice Only the run's writers anchor its epochs.
    error NotRunWriter(RunId runId, address sender);
    /// @notice The seed was not drawn (or there is no such run).
    error SeedNotDrawn(RunId runId);
    /// @notice The run's log has no head yet.
    error LogIsEmpty(RunId runId);
    /// @notice More positions consumed than the dataset has records.
    error TooManyConsumed(uint64 consumed, uint64 count);
    /// @notice There is no such anchoring.
    error UnknownAnchoring(RunId runId, uint64 epoch, uint64 number);

    /// @notice Begins the registration of (root, depth, count) by the sender for one epoch key. All
    /// D points are checked for knowledge here, once: without that check a later proof could be
    /// forged.
    /// @param depth 5 up to 16^5 records, else 6
    /// @param d commitment to the leaves of each epoch chunk
    /// @param poks proof of knowledge for each point of `d`
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

    /// @notice Shows that tree chunk `k` opens under the root, and its products at the
    /// registration's challenges.
    /// @param t product over the chunk's leaves of (gamma + leaf + delta * index)
    /// @param z product over the chunk's leaves of (gamma + delta * index)
    function proveTree(
        DatasetId datasetId,
        uint64 k,
        uint256 t,
        uint256 z,
        Proof calldata proof
    ) external;

    /// @notice Shows the products of epoch chunk `c` at the registration's challenges: an `epoch`
    /// proof whose U is infinity and whose P is the order by index, computed here.
    /// @param d the registered D point of the chunk
    /// @param a product over the slots of (gamma + D_i + delta * g)
    /// @param b product over the slots of (gamma + delta * g)
    function proveLink(
        DatasetId datasetId,
        uint64 c,
        uint256[2] calldata d,
        uint256 a,
        uint256 b,
        Proof calldata proof
    ) external;

    /// @notice Compares the products of trees and links, chunk by chunk; afterwards epochs may be
    /// anchored.
    function finishDataset(DatasetId datasetId) external;

    /// @notice Fixes the points of an epoch, by a writer of the run. Anchorings of one epoch are
    /// numbered from 0; all stay.
    /// @param consumed T, the positions used; at most the dataset's count
    /// @param u commitment per chunk to the leaves in order of use
    /// @param p commitment per chunk to the permutation
    /// @return number of this anchoring
    function anchorEpoch(
        RunId runId,
        uint64 epoch,
        DatasetId datasetId,
        uint64 consumed,
        uint256[2][] calldata u,
        uint256[2][] calldata p
    ) external returns (uint64 number);

    /// @notice Shows the products of chunk `c` of an anchored epoch. The ledger sets start = c * n.
    /// @param a product over the slots of (gamma + D_i + delta * P_i)
    /// @param b product over the slots of (gamma + U_j + delta * (start + j))
    /// @param commitments D (the registered point), U, P (the anchored ones)
    /// @param poks proofs of knowledge of U, P
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

    /// @notice Does what `proveEpoch` does for each item, in order, with all proofs checked in one
    /// pairing call: chunks, epochs, anchorings and runs of one epoch key may be mixed. Each item
    /// passes every check of `proveEpoch`; one that was accepted before, or earlier in the batch,
    /// has no effect. All proofs verify, or the call reverts and nothing was accepted.
    /// @param items at least one, at most 64 that were not accepted before
    function proveEpochs(EpochItem[] calldata items) external;

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

    /// @notice keccak256(U_c || P_c) of an anchored chunk; 0 if there is none.
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

    /// @notice The contract that checks the proofs of a batch; this ledger created it.
    function batchVerifier() external view returns (address);

    /// @notice The ProvenanceRegistry whose runs may anchor epochs here.
    function registry() external view returns (address);
}
