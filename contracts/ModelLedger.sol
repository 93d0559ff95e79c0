// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchVerifier} from "./BatchVerifier.sol";
import {IBatchVerifier} from "./interfaces/IBatchVerifier.sol";
import {IModelLedger} from "./interfaces/IModelLedger.sol";
import {IProofLedger} from "./interfaces/IProofLedger.sol";
import {IProvenanceRegistry} from "./interfaces/IProvenanceRegistry.sol";
import {BlockHashes} from "./libraries/seeds/BlockHashes.sol";
import {Kinds} from "./libraries/keys/Kinds.sol";
import {Models} from "./libraries/models/Models.sol";
import {PinnedKeys} from "./libraries/keys/PinnedKeys.sol";
import {Samples} from "./libraries/models/Samples.sol";
import {KeyId} from "./types/KeyId.sol";
import {RunId} from "./types/RunId.sol";

/// @title Anchored models, the blocks drawn from them, and the proofs that open those blocks.
/// @notice Immutable: it has no owner and no proxy, and no key is added later. The rules are in
/// libraries/models/Models.sol (anchoring, draw) and libraries/models/Samples.sol (proofs). Proofs
/// are judged by a contract of its own, since a contract's code may not be larger (EIP-170); its
/// code is part of this contract's creation code.
contract ModelLedger is IModelLedger {
    using PinnedKeys for PinnedKeys.Store;
    using Models for Models.Store;
    using Samples for Models.Store;

    /// @inheritdoc IModelLedger
    uint64 public constant override DRAW_DELAY = Models.DRAW_DELAY;

    /// @inheritdoc IModelLedger
    bool public immutable override usesHistory;

    IProvenanceRegistry private immutable _registry;
    IBatchVerifier private immutable _verifier;

    PinnedKeys.Store private _keys;
    Models.Store private _models;

    /// @param registry_ the ProvenanceRegistry whose runs may anchor models here
    /// @param pins the keys; every rule for keys is checked here
    constructor(address registry_, IProofLedger.KeyPin[] memory pins) {
        if (registry_.code.length == 0) revert BadRegistry(registry_);
        _registry = IProvenanceRegistry(registry_);
        _verifier = new BatchVerifier();
        usesHistory = BlockHashes.hasHistory();
        for (uint256 i = 0; i < pins.length; ++i) _keys.pin(pins[i], Kinds.MODEL_LEDGER);
    }

    /// @inheritdoc IModelLedger
    function anchorModel(
        RunId runId,
        uint64 stage,
        Anchoring calldata anchoring
    ) external override returns (uint64 number) {
        return _models.anchor(_registry, runId, stage, anchoring);
    }

    /// @inheritdoc IModelLedger
    function drawModel(
        RunId runId,
        uint64 stage,
        uint64 number
    ) external override returns (bytes32 seed) {
        return _models.draw(_registry, Models.Id(runId, stage, number), usesHistory);
    }

    /// @inheritdoc IModelLedger
    function proveSamples(
        RunId runId,
        uint64 stage,
        uint64 number,
        string calldata previous,
        Sample[] calldata items
    ) external override {
        _models.prove(_keys, _verifier, Models.Id(runId, stage, number), bytes(previous), items);
    }

    /// @inheritdoc IModelLedger
    function anchoringOf(
        RunId runId,
        uint64 stage,
        uint64 number
    ) external view override returns (Anchoring memory anchoring, Progress memory progress) {
        return _models.viewOf(_registry, Models.Id(runId, stage, number), usesHistory);
    }

    /// @inheritdoc IModelLedger
    function anchoringCount(RunId runId, uint64 stage) external view override returns (uint64) {
        return uint64(_models.anchorings[runId][stage].length);
    }

    /// @inheritdoc IModelLedger
    function keyOf(
        KeyId vkId
    ) external view override returns (address data, uint64 kind, uint64 slots, uint64 depth) {
        return _keys.describe(vkId);
    }

    /// @inheritdoc IModelLedger
    function batchVerifier() external view override returns (address) {
        return address(_verifier);
    }

    /// @inheritdoc IModelLedger
    function registry() external view override returns (address) {
        return address(_registry);
    }
}
