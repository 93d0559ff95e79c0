// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Registered datasets, anchored epochs and the Groth16 statements shown about them.
interface IProofLedger {
    struct KeyPin {
        bytes32 vkId; // keccak256 of the key's bytes
        address data; // contract whose code is 0x00 || bytes
    }

    /// A, B, C in EIP-197 order.
    struct Proof {
        uint256[2] a;
        uint256[4] b;
        uint256[2] c;
    }

    struct Dataset {
        address owner;
        bytes32 epochKey;
        bytes32 treeKey;
        uint256 root;
        uint64 depth;
        uint64 count;
        uint64 slots; // n
        uint64 chunks; // m
        uint64 treesProved;
        uint64 linksProved;
        bool finished;
        bytes32 linkSeed;
        bytes32 dHash; // keccak of all D points
    }

    struct Anchoring {
        bytes32 datasetId;
        bytes32 seed; // the epoch seed, source of gamma and delta
        uint64 consumed; // T
        uint64 logSize;
        uint64 chunksProved;
        uint64 blockNumber;
        bool accepted;
        bytes32 logRoot;
        bytes32 uHash;
        bytes32 pHash;
        uint256 productA;
        uint256 productB;
    }

    event DatasetBegun(bytes32 indexed datasetId, address indexed owner, uint256 indexed root, uint64 depth, uint64 count, bytes32 epochKey, bytes32 treeKey, bytes32 dHash);
    event TreeProved(bytes32 indexed datasetId, uint64 indexed chunk);
    event LinkProved(bytes32 indexed datasetId, uint64 indexed chunk);
    event DatasetFinished(bytes32 indexed datasetId);
    event EpochAnchored(bytes32 indexed runId, uint64 indexed epoch, uint64 indexed number, bytes32 datasetId, uint64 consumed, uint64 logSize, bytes32 logRoot, bytes32 uHash, bytes32 pHash, bytes32 seed);
    event EpochChunkProved(bytes32 indexed runId, uint64 indexed epoch, uint64 indexed number, uint64 chunk, uint256 a, uint256 b);
    event EpochAccepted(bytes32 indexed runId, uint64 indexed epoch, uint64 indexed number);

    function beginDataset(bytes32 epochKey, bytes32 treeKey, uint256 root, uint64 depth, uint64 count, uint256[2][] calldata d, uint256[2][] calldata poks) external returns (bytes32 datasetId);
    function proveTree(bytes32 datasetId, uint64 k, uint256 t, uint256 z, Proof calldata proof) external;
    function proveLink(bytes32 datasetId, uint64 c, uint256[2] calldata d, uint256 a, uint256 b, Proof calldata proof) external;
    function finishDataset(bytes32 datasetId) external;
    function anchorEpoch(bytes32 runId, uint64 epoch, bytes32 datasetId, uint64 consumed, uint256[2][] calldata u, uint256[2][] calldata p) external returns (uint64 number);
    /// commitments: D, U, P; poks: of U, P.
    function proveEpoch(bytes32 runId, uint64 epoch, uint64 number, uint64 c, uint256 a, uint256 b, uint256[2][3] calldata commitments, uint256[2][2] calldata poks, Proof calldata proof) external;

    function datasetOf(bytes32 datasetId) external view returns (Dataset memory);
    function anchoringOf(bytes32 runId, uint64 epoch, uint64 number) external view returns (Anchoring memory);
    function anchoringCount(bytes32 runId, uint64 epoch) external view returns (uint64);
    function chunkHash(bytes32 runId, uint64 epoch, uint64 number, uint64 c) external view returns (bytes32);
    function challengesOf(bytes32 seed) external pure returns (uint256 gamma, uint256 delta);
    function keyOf(bytes32 vkId) external view returns (address data, uint64 kind, uint64 slots, uint64 depth);
    function registry() external view returns (address);
}
