// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Append-only logs of training runs, their seeds, releases and revocations.
interface IProvenanceRegistry {
    struct Run {
        address owner;
        uint64 drawBlock; // block whose hash makes the seed; 0 for a standing log
        uint64 seq; // number of heads committed
        uint64 size; // entries under the latest head
        bytes32 root; // RFC 6962 root of the latest head
        bytes32 preregistrationDigest;
        bytes32 datasetId;
        bytes32 seed; // 0 until drawn
    }

    struct Head {
        bytes32 root;
        uint64 size;
        uint64 blockNumber;
        uint64 timestamp;
    }

    struct Claim {
        bytes32 runId;
        address owner;
        uint64 seq;
        uint64 index;
        uint64 blockNumber;
        uint64 revokedBlock; // 0 if not revoked
        bytes32 manifestDigest;
        bytes32 recordDigest;
    }

    event RunOpened(bytes32 indexed runId, address indexed owner, bytes32 indexed datasetId, uint256 nonce, bytes32 preregistrationDigest, uint64 drawBlock);
    event SeedDrawn(bytes32 indexed runId, bytes32 seed, uint64 drawBlock, bytes32 blockHash);
    event WriterSet(bytes32 indexed runId, address indexed writer, bool allowed);
    event HeadCommitted(bytes32 indexed runId, uint64 indexed seq, address indexed writer, uint64 oldSize, uint64 newSize, bytes32 newRoot);
    event Released(bytes32 indexed modelDigest, bytes32 indexed runId, address indexed owner, uint64 seq, uint64 index, bytes32 manifestDigest, bytes32 recordDigest);
    event Revoked(bytes32 indexed runId, uint64 indexed index, string reason);
    event DatasetRevoked(bytes32 indexed datasetId, address indexed owner, string reason);

    function openRun(bytes32 preregistrationDigest, bytes32 datasetId) external returns (bytes32 runId);
    function openLog() external returns (bytes32 runId);
    function drawSeed(bytes32 runId) external returns (bytes32 seed);
    function setWriter(bytes32 runId, address writer, bool allowed) external;
    function commit(bytes32 runId, uint64 seq, bytes32 newRoot, uint64 newSize, bytes32[] calldata consistencyProof) external;
    function release(bytes32 runId, uint64 seq, bytes32 modelDigest, bytes32 manifestDigest, bytes32 recordDigest, uint64 index, bytes32[] calldata inclusionProof) external;
    function revoke(bytes32 runId, uint64 index, string calldata reason) external;
    function revokeDataset(bytes32 datasetId, string calldata reason) external;

    function runOf(bytes32 runId) external view returns (Run memory);
    function headAt(bytes32 runId, uint64 seq) external view returns (Head memory);
    function isWriter(bytes32 runId, address account) external view returns (bool);
    function nonceOf(address owner) external view returns (uint256);
    function runIdOf(address owner, uint256 nonce) external view returns (bytes32);
    function runsOf(address owner, uint256 start, uint256 limit) external view returns (bytes32[] memory runIds, uint256 total);
    function claims(bytes32 modelDigest, address owner) external view returns (Claim[] memory);
    function lineageOf(bytes32 modelDigest, uint256 start, uint256 limit) external view returns (Claim[] memory page, uint256 total);
    function revocationOf(bytes32 runId, uint64 index) external view returns (uint64 blockNumber, string memory reason);
    function datasetRevocationOf(bytes32 datasetId, address owner) external view returns (uint64 blockNumber, string memory reason);
    function supersedes() external view returns (address);
    function DRAW_DELAY() external view returns (uint64);
}
