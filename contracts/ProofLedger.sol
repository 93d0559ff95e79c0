// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchVerifier} from "./BatchVerifier.sol";
import {IBatchVerifier} from "./interfaces/IBatchVerifier.sol";
import {IProofLedger} from "./interfaces/IProofLedger.sol";
import {IProvenanceRegistry} from "./interfaces/IProvenanceRegistry.sol";
import {Bn254} from "./libraries/groth16/Bn254.sol";
import {Challenges} from "./libraries/seeds/Challenges.sol";
import {Datasets} from "./libraries/datasets/Datasets.sol";
import {EpochBatches} from "./libraries/datasets/EpochBatches.sol";
import {Epochs} from "./libraries/datasets/Epochs.sol";
import {EpochsAtOnce} from "./libraries/datasets/EpochsAtOnce.sol";
import {Kinds} from "./libraries/keys/Kinds.sol";
import {PinnedKeys} from "./libraries/keys/PinnedKeys.sol";
import {DatasetId} from "./types/DatasetId.sol";
import {KeyId} from "./types/KeyId.sol";
import {RunId} from "./types/RunId.sol";

/// @title Registered datasets, anchored epochs and the Groth16 statements shown about them.
/// @notice Immutable: it has no owner and no proxy, and no key is added later. The rules are in
/// libraries/datasets/Datasets.sol (registration) and libraries/datasets/Epochs.sol. Proofs are
/// judged by a contract of its own, since a contract's code may not be larger (EIP-170); its code
/// is part of this contract's creation code.
contract ProofLedger is IProofLedger {
    using PinnedKeys for PinnedKeys.Store;
    using Datasets for Datasets.Store;
    using EpochBatches for Epochs.Store;
    using EpochsAtOnce for Epochs.Store;
    using Epochs for Epochs.Store;

    IProvenanceRegistry private immutable _registry;
    IBatchVerifier private immutable _verifier;

    PinnedKeys.Store private _keys;
    Datasets.Store private _datasets;
    Epochs.Store private _epochs;

    /// @param registry_ the ProvenanceRegistry whose runs may anchor epochs here
    /// @param pins the keys; every rule for keys is checked here
    constructor(address registry_, KeyPin[] memory pins) {
        if (registry_.code.length == 0) revert BadRegistry(registry_);
        _registry = IProvenanceRegistry(registry_);
        _verifier = new BatchVerifier();
        for (uint256 i = 0; i < pins.length; ++i) _keys.pin(pins[i], Kinds.PROOF_LEDGER);
    }

    /// @inheritdoc IProofLedger
    function beginDataset(
        KeyId epochKey,
        KeyId treeKey,
        uint256 root,
        uint64 depth,
        uint64 count,
        uint256[2][] calldata d,
        uint256[2][] calldata poks
    ) external override returns (DatasetId datasetId) {
        if (root >= Bn254.R) revert RootNotInField(root);
        Challenges.Registration memory registration = Challenges.Registration({
            owner: msg.sender,
            epochKey: epochKey,
            treeKey: treeKey,
            root: root,
            depth: depth,
            count: count,
            slots: 0, // the next three are filled in by `begin`
            chunks: 0,
            dHash: 0
        });
        return _datasets.begin(_keys, _verifier, registration, d, poks);
    }

    /// @inheritdoc IProofLedger
    function proveTree(
        DatasetId datasetId,
        uint64 k,
        uint256 t,
        uint256 z,
        Proof calldata proof
    ) external override {
        _datasets.proveTree(_keys, _verifier, datasetId, k, [t, z], proof);
    }

    /// @inheritdoc IProofLedger
    function proveLink(
        DatasetId datasetId,
        uint64 c,
        uint256[2] calldata d,
        uint256 a,
        uint256 b,
        Proof calldata proof
    ) external override {
        _datasets.proveLink(_verifier, datasetId, c, d, [a, b], proof);
    }

    /// @inheritdoc IProofLedger
    function finishDataset(DatasetId datasetId) external override {
        _datasets.finish(_keys, datasetId);
    }

    /// @inheritdoc IProofLedger
    function anchorEpoch(
        RunId runId,
        uint64 epoch,
        DatasetId datasetId,
        uint64 consumed,
        uint256[2][] calldata u,
        uint256[2][] calldata p
    ) external override returns (uint64 number) {
        Epochs.Id memory id = Epochs.Id(runId, epoch, 0); // `anchor` sets the number
        return _epochs.anchor(_keys, _datasets, _registry, id, datasetId, consumed, u, p);
    }

    /// @inheritdoc IProofLedger
    function proveEpoch(
        RunId,
        uint64,
        uint64,
        uint64,
        uint256,
        uint256,
        uint256[2][3] calldata,
        uint256[2][2] calldata,
        Proof calldata
    ) external override {
        // The arguments are static, so they lie in the calldata as one `EpochItem` does.
        EpochItem[] calldata items;
        assembly ("memory-safe") {
            items.offset := 4
            items.length := 1
        }
        _epochs.proveAll(_keys, _datasets, _verifier, items);
    }

    /// @inheritdoc IProofLedger
    function proveEpochs(EpochItem[] calldata items) external override {
        _epochs.proveAll(_keys, _datasets, _verifier, items);
    }

    /// @inheritdoc IProofLedger
    function anchorAndProve(
        RunId runId,
        DatasetId datasetId,
        uint64 headSeq,
        uint256[2][] calldata d,
        ProvedEpoch[] calldata epochs
    ) external override {
        (Challenges.Epoch memory e, Epochs.Head memory head) = Epochs.open(
            _keys,
            _datasets,
            _registry,
            runId,
            datasetId
        );
        if (head.seq != headSeq) revert HeadMoved(runId, headSeq, head.seq);
        address keyData = _datasets.list[head.dataset].epochData;
        _epochs.anchorAndProve(_verifier, e, head, keyData, d, epochs);
    }

    /// @inheritdoc IProofLedger
    function datasetOf(DatasetId datasetId) external view override returns (Dataset memory) {
        return _datasets.viewOf(_keys, datasetId);
    }

    /// @inheritdoc IProofLedger
    function anchoringOf(
        RunId runId,
        uint64 epoch,
        uint64 number
    ) external view override returns (Anchoring memory) {
        return _epochs.viewOf(_datasets, _registry, Epochs.Id(runId, epoch, number));
    }

    /// @inheritdoc IProofLedger
    function anchoringCount(RunId runId, uint64 epoch) external view override returns (uint64) {
        return _epochs.count(runId, epoch);
    }

    /// @inheritdoc IProofLedger
    function chunkHash(
        RunId runId,
        uint64 epoch,
        uint64 number,
        uint64 c
    ) external view override returns (bytes32) {
        return _epochs.find(Epochs.Id(runId, epoch, number)).chunkHashes[c];
    }

    /// @inheritdoc IProofLedger
    function isChunkProved(
        RunId runId,
        uint64 epoch,
        uint64 number,
        uint64 c
    ) external view override returns (bool) {
        return _epochs.isChunkProved(_datasets, Epochs.Id(runId, epoch, number), c);
    }

    /// @inheritdoc IProofLedger
    function keyOf(
        KeyId vkId
    ) external view override returns (address data, uint64 kind, uint64 slots, uint64 depth) {
        return _keys.describe(vkId);
    }

    /// @inheritdoc IProofLedger
    function batchVerifier() external view override returns (address) {
        return address(_verifier);
    }

    /// @inheritdoc IProofLedger
    function registry() external view override returns (address) {
        return address(_registry);
    }

    /// @inheritdoc IProofLedger
    function challengesOf(
        bytes32 seed
    ) external pure override returns (uint256 gamma, uint256 delta) {
        return Challenges.fromSeed(seed);
    }
}
