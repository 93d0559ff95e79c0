// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "./interfaces/IProvenanceRegistry.sol";
import {BlockHashes} from "./libraries/seeds/BlockHashes.sol";
import {Rfc6962} from "./libraries/log/Rfc6962.sol";
import {DatasetId} from "./types/DatasetId.sol";
import {ManifestDigest} from "./types/ManifestDigest.sol";
import {ModelDigest} from "./types/ModelDigest.sol";
import {RecordDigest} from "./types/RecordDigest.sol";
import {RunId} from "./types/RunId.sol";

/// @title Append-only logs of training runs, their seeds, releases and revocations.
/// @notice Immutable: it has no owner and no proxy. A new version is a new contract that names this
/// one in `supersedes`.
contract ProvenanceRegistry is IProvenanceRegistry {
    bytes32 private constant TAG_SEED = keccak256("provenance/v1/seed");

    /// @dev Takes two slots less than `Run`: its size and root are those of head `seq`.
    struct StoredRun {
        address owner;
        uint48 drawBlock;
        uint48 seq;
        RecordDigest preregistrationDigest;
        DatasetId datasetId;
        bytes32 seed;
    }

    struct StoredClaim {
        RunId runId;
        ManifestDigest manifestDigest;
        RecordDigest recordDigest;
        uint64 seq;
        uint64 index;
        uint64 blockNumber;
    }

    struct Entry {
        uint64 revokedBlock;
        bool claimed;
        string reason;
    }

    struct Revocation {
        uint64 blockNumber;
        string reason;
    }

    /// @inheritdoc IProvenanceRegistry
    uint64 public constant override DRAW_DELAY = 2;
    /// @inheritdoc IProvenanceRegistry
    address public immutable override supersedes;
    /// @inheritdoc IProvenanceRegistry
    bool public immutable override usesHistory;

    mapping(address owner => uint256 nonce) private _nonces;
    mapping(RunId runId => StoredRun run) private _runs;
    mapping(RunId runId => mapping(uint256 seq => Head head)) private _heads;
    mapping(RunId runId => mapping(address account => bool allowed)) private _writers;
    mapping(RunId runId => mapping(uint64 index => Entry entry)) private _entries;
    mapping(ModelDigest modelDigest => StoredClaim[] list) private _claims;
    mapping(ModelDigest modelDigest => mapping(address owner => uint64[] positions))
        private _claimsBy;
    mapping(DatasetId datasetId => mapping(address owner => Revocation revocation))
        private _datasetRevocations;
    mapping(RunId runId => uint64[] indices) private _revokedEntries;
    mapping(address signer => mapping(address by => SignerRevocation[] list))
        private _signerRevocations;

    /// @param supersedes_ the registry that this one replaces; zero if none
    constructor(address supersedes_) {
        supersedes = supersedes_;
        usesHistory = BlockHashes.hasHistory();
    }

    modifier onlyOwner(RunId runId) {
        if (_runs[runId].owner != msg.sender) revert NotOwner(runId, msg.sender);
        _;
    }

    /// @inheritdoc IProvenanceRegistry
    function openRun(
        RecordDigest preregistrationDigest,
        DatasetId datasetId
    ) external override returns (RunId runId) {
        if (RecordDigest.unwrap(preregistrationDigest) == 0) revert ZeroPreregistration();
        runId = _open(preregistrationDigest, datasetId, uint64(block.number) + DRAW_DELAY);
    }

    /// @inheritdoc IProvenanceRegistry
    function openLog() external override returns (RunId runId) {
        runId = _open(RecordDigest.wrap(0), DatasetId.wrap(0), 0);
    }

    /// @inheritdoc IProvenanceRegistry
    function drawSeed(RunId runId) external override returns (bytes32 seed) {
        StoredRun storage run = _runs[runId];
        if (run.owner == address(0)) revert UnknownRun(runId);
        uint64 drawBlock = run.drawBlock;
        if (drawBlock == 0) revert NoDraw(runId);
        if (run.seed != 0) revert AlreadyDrawn(runId, run.seed);
        if (block.number <= drawBlock) revert DrawTooEarly(runId, drawBlock, block.number);
        bytes32 blockHash = BlockHashes.hashOf(drawBlock, usesHistory);
        if (blockHash == 0) revert DrawMissed(runId, drawBlock, block.number);
        seed = keccak256(
            abi.encode(
                TAG_SEED,
                block.chainid,
                address(this),
                runId,
                run.preregistrationDigest,
                run.datasetId,
                blockHash
            )
        );
        run.seed = seed;
        emit SeedDrawn(runId, seed, drawBlock, blockHash);
    }

    /// @inheritdoc IProvenanceRegistry
    function setWriter(
        RunId runId,
        address writer,
        bool allowed
    ) external override onlyOwner(runId) {
        if (writer == msg.sender) revert OwnerIsWriter(runId, writer);
        _writers[runId][writer] = allowed;
        emit WriterSet(runId, writer, allowed);
    }

    /// @inheritdoc IProvenanceRegistry
    function commit(
        RunId runId,
        uint64 seq,
        bytes32 newRoot,
        uint64 newSize,
        bytes32[] calldata consistencyProof
    ) external override {
        if (!isWriter(runId, msg.sender)) revert NotWriter(runId, msg.sender);
        uint48 last = _runs[runId].seq;
        if (seq != uint64(last) + 1) revert WrongSequence(runId, uint64(last) + 1, seq);
        Head storage old = _heads[runId][last]; // head 0 is never written: size 0, the empty log
        uint64 oldSize = old.size;
        if (newSize <= oldSize) revert SizeNotGrown(runId, oldSize, newSize);
        if (!Rfc6962.isConsistent(oldSize, old.root, newSize, newRoot, consistencyProof)) {
            revert NotConsistent(runId, oldSize, newSize);
        }
        _runs[runId].seq = last + 1;
        _heads[runId][seq] = Head(newRoot, newSize, uint64(block.number), uint64(block.timestamp));
        emit HeadCommitted(runId, seq, msg.sender, oldSize, newSize, newRoot);
    }

    /// @inheritdoc IProvenanceRegistry
    function release(
        RunId runId,
        uint64 seq,
        ModelDigest modelDigest,
        ManifestDigest manifestDigest,
        RecordDigest recordDigest,
        uint64 index,
        bytes32[] calldata inclusionProof
    ) external override onlyOwner(runId) {
        Head memory head = _heads[runId][seq];
        if (head.size == 0) revert UnknownHead(runId, seq);
        if (_entries[runId][index].claimed) revert AlreadyReleased(runId, index);
        bytes32 entry = sha256(
            abi.encodePacked(
                "provenance/v1/release",
                bytes1(0),
                runId,
                modelDigest,
                manifestDigest,
                recordDigest
            )
        );
        bytes32 leaf = Rfc6962.leaf(abi.encodePacked(entry));
        if (!Rfc6962.isIncluded(leaf, index, head.size, head.root, inclusionProof)) {
            revert NotIncluded(runId, seq, index);
        }
        _entries[runId][index].claimed = true;
        _claimsBy[modelDigest][msg.sender].push(uint64(_claims[modelDigest].length));
        _claims[modelDigest].push(
            StoredClaim(runId, manifestDigest, recordDigest, seq, index, uint64(block.number))
        );
        emit Released(modelDigest, runId, msg.sender, seq, index, manifestDigest, recordDigest);
    }

    /// @inheritdoc IProvenanceRegistry
    function revoke(
        RunId runId,
        uint64 index,
        string calldata reason
    ) external override onlyOwner(runId) {
        uint64 size = _heads[runId][_runs[runId].seq].size;
        if (index >= size) revert IndexOutOfRange(runId, index, size);
        Entry storage entry = _entries[runId][index];
        if (entry.revokedBlock != 0) revert AlreadyRevoked(RunId.unwrap(runId), entry.revokedBlock);
        entry.revokedBlock = uint64(block.number);
        entry.reason = reason;
        _revokedEntries[runId].push(index);
        emit Revoked(runId, index, reason);
    }

    /// @inheritdoc IProvenanceRegistry
    function revokeDataset(DatasetId datasetId, string calldata reason) external override {
        Revocation storage revocation = _datasetRevocations[datasetId][msg.sender];
        if (revocation.blockNumber != 0)
            revert AlreadyRevoked(DatasetId.unwrap(datasetId), revocation.blockNumber);
        revocation.blockNumber = uint64(block.number);
        revocation.reason = reason;
        emit DatasetRevoked(datasetId, msg.sender, reason);
    }

    /// @inheritdoc IProvenanceRegistry
    function revokeSigner(
        address signer,
        uint64 fromBlock,
        string calldata reason
    ) external override {
        if (fromBlock > block.number + 1) revert FromBlockAhead(fromBlock, block.number);
        SignerRevocation[] storage all = _signerRevocations[signer][msg.sender];
        uint256 count = all.length;
        // Whoever stole a key may have been first to revoke it, from a block that suits them.
        if (count != 0 && fromBlock >= all[count - 1].fromBlock)
            revert AlreadyRevoked(bytes32(uint256(uint160(signer))), all[count - 1].blockNumber);
        SignerRevocation storage said = all.push();
        said.blockNumber = uint64(block.number);
        said.fromBlock = fromBlock;
        said.reason = reason;
        emit SignerRevoked(signer, msg.sender, fromBlock, reason);
    }

    /// @inheritdoc IProvenanceRegistry
    function runOf(RunId runId) external view override returns (Run memory) {
        StoredRun storage run = _runs[runId];
        uint48 seq = run.seq;
        Head storage head = _heads[runId][seq];
        return
            Run({
                owner: run.owner,
                drawBlock: run.drawBlock,
                seq: seq,
                size: head.size,
                root: head.root,
                preregistrationDigest: run.preregistrationDigest,
                datasetId: run.datasetId,
                seed: run.seed
            });
    }

    /// @inheritdoc IProvenanceRegistry
    function headAt(RunId runId, uint64 seq) external view override returns (Head memory) {
        return _heads[runId][seq];
    }

    /// @inheritdoc IProvenanceRegistry
    function nonceOf(address owner) external view override returns (uint256) {
        return _nonces[owner];
    }

    /// @inheritdoc IProvenanceRegistry
    function runsOf(
        address owner,
        uint256 start,
        uint256 limit
    ) external view override returns (RunId[] memory runIds, uint256 total) {
        total = _nonces[owner];
        runIds = new RunId[](_pageLength(total, start, limit));
        for (uint256 i = 0; i < runIds.length; ++i) runIds[i] = runIdOf(owner, start + i);
    }

    /// @inheritdoc IProvenanceRegistry
    function claims(
        ModelDigest modelDigest,
        address owner
    ) external view override returns (Claim[] memory list) {
        uint64[] storage positions = _claimsBy[modelDigest][owner];
        list = new Claim[](positions.length);
        for (uint256 i = 0; i < list.length; ++i) list[i] = _claimAt(modelDigest, positions[i]);
    }

    /// @inheritdoc IProvenanceRegistry
    function lineageOf(
        ModelDigest modelDigest,
        uint256 start,
        uint256 limit
    ) external view override returns (Claim[] memory page, uint256 total) {
        total = _claims[modelDigest].length;
        page = new Claim[](_pageLength(total, start, limit));
        for (uint256 i = 0; i < page.length; ++i) page[i] = _claimAt(modelDigest, start + i);
    }

    /// @inheritdoc IProvenanceRegistry
    function revocationOf(
        RunId runId,
        uint64 index
    ) external view override returns (uint64 blockNumber, string memory reason) {
        Entry storage entry = _entries[runId][index];
        return (entry.revokedBlock, entry.reason);
    }

    /// @inheritdoc IProvenanceRegistry
    function datasetRevocationOf(
        DatasetId datasetId,
        address owner
    ) external view override returns (uint64 blockNumber, string memory reason) {
        Revocation storage revocation = _datasetRevocations[datasetId][owner];
        return (revocation.blockNumber, revocation.reason);
    }

    /// @inheritdoc IProvenanceRegistry
    function revokedEntriesOf(
        RunId runId,
        uint256 start,
        uint256 limit
    ) external view override returns (uint64[] memory indices, uint256 total) {
        uint64[] storage all = _revokedEntries[runId];
        total = all.length;
        indices = new uint64[](_pageLength(total, start, limit));
        for (uint256 i = 0; i < indices.length; ++i) indices[i] = all[start + i];
    }

    /// @inheritdoc IProvenanceRegistry
    function revocationsOfSignerBy(
        address signer,
        address by,
        uint256 start,
        uint256 limit
    ) external view override returns (SignerRevocation[] memory page, uint256 total) {
        SignerRevocation[] storage all = _signerRevocations[signer][by];
        total = all.length;
        page = new SignerRevocation[](_pageLength(total, start, limit));
        for (uint256 i = 0; i < page.length; ++i) page[i] = all[start + i];
    }

    /// @inheritdoc IProvenanceRegistry
    function isWriter(RunId runId, address account) public view override returns (bool) {
        if (account == address(0)) return false; // an unknown run has the zero address as owner
        return _runs[runId].owner == account || _writers[runId][account];
    }

    /// @inheritdoc IProvenanceRegistry
    function runIdOf(address owner, uint256 nonce) public view override returns (RunId) {
        return RunId.wrap(keccak256(abi.encode(block.chainid, address(this), owner, nonce)));
    }

    function _open(
        RecordDigest preregistrationDigest,
        DatasetId datasetId,
        uint64 drawBlock
    ) private returns (RunId runId) {
        uint256 nonce = _nonces[msg.sender]++;
        runId = runIdOf(msg.sender, nonce);
        StoredRun storage run = _runs[runId];
        run.owner = msg.sender;
        if (drawBlock != 0) {
            run.drawBlock = uint48(drawBlock);
            run.preregistrationDigest = preregistrationDigest;
            run.datasetId = datasetId;
        }
        emit RunOpened(runId, msg.sender, datasetId, nonce, preregistrationDigest, drawBlock);
    }

    function _claimAt(
        ModelDigest modelDigest,
        uint256 position
    ) private view returns (Claim memory) {
        StoredClaim storage stored = _claims[modelDigest][position];
        RunId runId = stored.runId;
        uint64 index = stored.index;
        return
            Claim({
                runId: runId,
                owner: _runs[runId].owner,
                seq: stored.seq,
                index: index,
                blockNumber: stored.blockNumber,
                revokedBlock: _entries[runId][index].revokedBlock,
                manifestDigest: stored.manifestDigest,
                recordDigest: stored.recordDigest
            });
    }

    function _pageLength(
        uint256 total,
        uint256 start,
        uint256 limit
    ) private pure returns (uint256) {
        if (start >= total) return 0;
        return limit < total - start ? limit : total - start;
    }
}
