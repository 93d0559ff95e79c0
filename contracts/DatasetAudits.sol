// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetAudits} from "./interfaces/IDatasetAudits.sol";
import {IProofLedger} from "./interfaces/IProofLedger.sol";
import {Groth16} from "./libraries/groth16/Groth16.sol";
import {Kinds} from "./libraries/keys/Kinds.sol";
import {PinnedKeys} from "./libraries/keys/PinnedKeys.sol";
import {DatasetId} from "./types/DatasetId.sol";
import {KeyId} from "./types/KeyId.sol";

/// @title Statements about registered datasets: sorted, member, absent.
/// @notice Immutable: it has no owner and no proxy, and no key is added later.
contract DatasetAudits is IDatasetAudits {
    using PinnedKeys for PinnedKeys.Store;

    /// @dev What a finished registration says about its tree, which never changes, and whether the
    /// dataset was shown to be sorted. `count` is 0 before the first proof.
    struct Dataset {
        uint256 root;
        uint32 count;
        uint8 depth;
        bool sorted;
    }

    /// @dev Ends of a chunk. No leaf is 0, so `first` is 0 exactly if the chunk is not proved.
    struct Ends {
        uint256 first;
        uint256 next;
    }

    /// @param proved chunks accepted
    /// @param joints how many proved chunks have a `next` that is the `first` of the following one
    struct SortedSet {
        uint32 proved;
        uint32 joints;
        bool complete;
        mapping(uint256 chunk => Ends ends) chunks;
    }

    IProofLedger private immutable _ledger;

    PinnedKeys.Store private _keys;
    mapping(DatasetId datasetId => Dataset dataset) private _datasets;
    mapping(DatasetId datasetId => mapping(KeyId vkId => SortedSet set)) private _sets;
    mapping(DatasetId datasetId => mapping(uint64 kind => mapping(bytes32 digest => bool shown)))
        private _shown;

    /// @param ledger_ the ProofLedger whose registrations the statements are about
    /// @param pins the keys; every rule for keys is checked here
    constructor(address ledger_, IProofLedger.KeyPin[] memory pins) {
        if (ledger_.code.length == 0) revert BadLedger(ledger_);
        _ledger = IProofLedger(ledger_);
        for (uint256 i = 0; i < pins.length; ++i) _keys.pin(pins[i], Kinds.DATASET_AUDITS);
    }

    /// @inheritdoc IDatasetAudits
    function proveSorted(
        DatasetId datasetId,
        KeyId vkId,
        uint64 k,
        uint256 first,
        uint256 next,
        IProofLedger.Proof calldata proof
    ) external override {
        Dataset storage dataset = _find(datasetId);
        uint8 key = _findKey(vkId, Kinds.SORTED, dataset.depth);
        uint256 slots = _keys.list[key].slots;
        uint256 chunks = (dataset.count + slots - 1) / slots;
        if (k >= chunks) revert IProofLedger.ChunkOutOfRange(k, uint64(chunks));
        SortedSet storage set = _sets[datasetId][vkId];
        Ends storage ends = set.chunks[k];
        if (set.complete || (first != 0 && ends.first == first && ends.next == next)) return;
        bool more = k + 1 < chunks;
        if (first == 0 || (next != 0) != more) revert BadEnds(k, first, next);

        uint256[] memory inputs = new uint256[](6);
        (inputs[0], inputs[1]) = (dataset.root, k);
        // Public inputs `used` and `more`.
        (inputs[2], inputs[3]) = more ? (slots, uint256(1)) : (dataset.count - k * slots, 0);
        (inputs[4], inputs[5]) = (first, next);
        if (!_verify(key, inputs, proof)) revert IProofLedger.ProofInvalid(k);
        _accept(set, k, Ends(first, next));
        emit ChunkSorted(datasetId, vkId, k, first, next);
        if (set.proved != chunks || set.joints != chunks - 1) return;
        set.complete = true;
        dataset.sorted = true;
        emit DatasetSorted(datasetId, vkId);
    }

    /// @inheritdoc IDatasetAudits
    function proveMember(
        DatasetId datasetId,
        KeyId vkId,
        bytes32 digest,
        IProofLedger.Proof calldata proof
    ) external override {
        Dataset storage dataset = _find(datasetId);
        if (_prove(dataset, datasetId, vkId, Kinds.MEMBER, digest, proof))
            emit MemberShown(datasetId, digest);
    }

    /// @inheritdoc IDatasetAudits
    function proveAbsent(
        DatasetId datasetId,
        KeyId vkId,
        bytes32 digest,
        IProofLedger.Proof calldata proof
    ) external override {
        Dataset storage dataset = _find(datasetId);
        if (!dataset.sorted) revert NotSorted(datasetId);
        if (_prove(dataset, datasetId, vkId, Kinds.ABSENT, digest, proof))
            emit AbsenceShown(datasetId, digest);
    }

    /// @inheritdoc IDatasetAudits
    function isSorted(DatasetId datasetId) external view override returns (bool) {
        return _datasets[datasetId].sorted;
    }

    /// @inheritdoc IDatasetAudits
    function isSortedUnder(DatasetId datasetId, KeyId vkId) external view override returns (bool) {
        return _sets[datasetId][vkId].complete;
    }

    /// @inheritdoc IDatasetAudits
    function sortedChunk(
        DatasetId datasetId,
        KeyId vkId,
        uint64 k
    ) external view override returns (uint256 first, uint256 next) {
        Ends storage ends = _sets[datasetId][vkId].chunks[k];
        return (ends.first, ends.next);
    }

    /// @inheritdoc IDatasetAudits
    function isMember(DatasetId datasetId, bytes32 digest) external view override returns (bool) {
        return _shown[datasetId][Kinds.MEMBER][digest];
    }

    /// @inheritdoc IDatasetAudits
    function isAbsent(DatasetId datasetId, bytes32 digest) external view override returns (bool) {
        return _shown[datasetId][Kinds.ABSENT][digest];
    }

    /// @inheritdoc IDatasetAudits
    function keyOf(
        KeyId vkId
    ) external view override returns (address data, uint64 kind, uint64 slots, uint64 depth) {
        return _keys.describe(vkId);
    }

    /// @inheritdoc IDatasetAudits
    function ledger() external view override returns (address) {
        return address(_ledger);
    }

    /// Shows one statement about a digest; false if it was shown before.
    function _prove(
        Dataset storage dataset,
        DatasetId datasetId,
        KeyId vkId,
        uint64 kind,
        bytes32 digest,
        IProofLedger.Proof calldata proof
    ) private returns (bool) {
        if (digest == 0) revert ZeroDigest();
        uint8 key = _findKey(vkId, kind, dataset.depth);
        if (_shown[datasetId][kind][digest]) return false;
        uint256[] memory inputs = new uint256[](Kinds.publicCount(kind, 1));
        (inputs[0], inputs[1]) = (dataset.root, dataset.count);
        inputs[2] = uint256(digest) >> 128;
        if (kind == Kinds.MEMBER) inputs[3] = uint128(uint256(digest));
        if (!_verify(key, inputs, proof)) revert DigestProofInvalid(datasetId, digest);
        _shown[datasetId][kind][digest] = true;
        return true;
    }

    /// Stores the ends of a chunk, and updates the counts of proved chunks and of joints.
    function _accept(SortedSet storage set, uint256 k, Ends memory ends) private {
        if (set.chunks[k].first == 0) ++set.proved;
        uint32 before = _jointsAt(set, k);
        set.chunks[k] = ends;
        set.joints = set.joints + _jointsAt(set, k) - before;
    }

    /// The dataset of a registration; reads it from the ledger on first use.
    function _find(DatasetId datasetId) private returns (Dataset storage dataset) {
        dataset = _datasets[datasetId];
        if (dataset.count != 0) return dataset;
        IProofLedger.Dataset memory registration = _ledger.datasetOf(datasetId);
        if (registration.owner == address(0)) revert IProofLedger.UnknownDataset(datasetId);
        if (!registration.finished) revert IProofLedger.DatasetNotFinished(datasetId);
        dataset.root = registration.root;
        dataset.count = uint32(registration.count);
        dataset.depth = uint8(registration.depth);
    }

    /// How many joints chunk k has with its neighbours: 0, 1 or 2.
    function _jointsAt(SortedSet storage set, uint256 k) private view returns (uint32 joints) {
        Ends storage ends = set.chunks[k];
        if (ends.first == 0) return 0;
        if (k != 0 && set.chunks[k - 1].next == ends.first) ++joints;
        if (ends.next != 0 && set.chunks[k + 1].first == ends.next) ++joints;
    }

    function _findKey(KeyId vkId, uint64 kind, uint8 depth) private view returns (uint8 key) {
        key = _keys.find(vkId, kind);
        uint16 actual = _keys.list[key].depth;
        if (actual != depth) revert WrongKeyDepth(vkId, depth, actual);
    }

    function _verify(
        uint8 key,
        uint256[] memory inputs,
        IProofLedger.Proof calldata proof
    ) private view returns (bool) {
        uint256[] memory none = new uint256[](0);
        return
            Groth16.verify(
                _keys.load(key),
                Groth16.Proof(proof.a, proof.b, proof.c, none, none),
                0,
                inputs
            );
    }
}
