// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {Bitmap} from "./Bitmap.sol";
import {Bn254} from "../groth16/Bn254.sol";
import {Challenges} from "../seeds/Challenges.sol";
import {Datasets} from "./Datasets.sol";
import {PinnedKeys} from "../keys/PinnedKeys.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {RunId} from "../../types/RunId.sol";

/// @title Anchoring and proving of epochs.
/// @notice One pair of challenges serves a whole epoch and is hashed from all its points. So the
/// products a and b over all chunks agree only if U holds the leaves of D in the order of P, except
/// with a probability of at most N / r.
library Epochs {
    using Bitmap for mapping(uint256 => uint256);
    using Datasets for Datasets.Store;
    using Datasets for Datasets.Stored;

    uint256 internal constant KNOWLEDGE_OF_U_AND_P = 6; // D passed its check at registration

    struct Id {
        RunId runId;
        uint64 epoch;
        uint64 number;
    }

    struct Stored {
        bytes32 seed;
        // The next seven fields share a slot.
        uint32 consumed;
        uint32 chunksProved;
        uint64 headSeq; // number of the head with which the registry knows the log's size and root
        uint48 blockNumber;
        uint32 dataset; // index in the store of datasets
        bool accepted;
        uint32 count; // number of anchorings of this epoch; only in anchoring 0
        uint256 productA; // both products are cleared on acceptance: they agreed
        uint256 productB;
        mapping(uint256 chunk => bytes32 digest) chunkHashes;
        mapping(uint256 word => uint256 bits) proved; // the last chunk is not added: then all are
    }

    /// @dev What a run's anchorings point to: number of its latest head, place of its dataset.
    struct Head {
        uint64 seq;
        uint32 dataset;
    }

    struct Store {
        mapping(RunId => mapping(uint64 epoch => mapping(uint64 number => Stored))) anchorings;
    }

    /// @notice Anchors an epoch under the next number.
    function anchor(
        Store storage store,
        PinnedKeys.Store storage keys,
        Datasets.Store storage datasets,
        IProvenanceRegistry registry,
        Id memory id,
        DatasetId datasetId,
        uint64 consumed,
        uint256[2][] calldata u,
        uint256[2][] calldata p
    ) internal returns (uint64 number) {
        (Challenges.Epoch memory e, Head memory head) = open(
            keys,
            datasets,
            registry,
            id.runId,
            datasetId
        );
        Stored storage s = fix(store, e, head, id.epoch, consumed, u, p);
        for (uint256 c = 0; c < u.length; ++c) s.chunkHashes[c] = Challenges.hashOf(u[c], p[c]);
        return uint64(e.number);
    }

    /// @notice What all epochs of a run share: those fields of the preimage, and the run's head.
    /// Reverts unless the sender may anchor the run's epochs.
    function open(
        PinnedKeys.Store storage keys,
        Datasets.Store storage datasets,
        IProvenanceRegistry registry,
        RunId runId,
        DatasetId datasetId
    ) internal view returns (Challenges.Epoch memory e, Head memory head) {
        IProvenanceRegistry.Run memory run = registry.runOf(runId);
        if (run.owner != msg.sender && !registry.isWriter(runId, msg.sender)) {
            // The owner is always a writer, so the registry is asked about others only.
            revert IProofLedger.NotRunWriter(runId, msg.sender);
        }
        if (run.seed == 0) revert IProofLedger.SeedNotDrawn(runId);
        if (run.datasetId != datasetId)
            revert IProofLedger.WrongDataset(runId, run.datasetId, datasetId);
        if (run.seq == 0) revert IProofLedger.LogIsEmpty(runId);
        Datasets.Stored storage dataset = datasets.require_(datasetId);
        if (!dataset.finished) revert IProofLedger.DatasetNotFinished(datasetId);
        (e.registry, e.runId, e.runSeed) = (address(registry), runId, run.seed);
        (e.logSize, e.logRoot, e.datasetId) = (run.size, run.root, datasetId);
        (e.count, e.chunks, e.dHash) = (dataset.count, dataset.chunks, dataset.dHash);
        PinnedKeys.Pinned storage key = keys.list[dataset.epochKey];
        (e.epochKey, e.slots) = (key.vkId, key.slots);
        head = Head(run.seq, uint32(datasets.positions[datasetId] - 1));
    }

    /// @notice Fixes the points of an epoch under its next number, and sets the fields of `e` that
    /// differ between epochs. The hashes of chunks are left to the caller.
    function fix(
        Store storage store,
        Challenges.Epoch memory e,
        Head memory head,
        uint64 epoch,
        uint64 consumed,
        uint256[2][] calldata u,
        uint256[2][] calldata p
    ) internal returns (Stored storage s) {
        if (consumed == 0) revert IProofLedger.NothingConsumed(e.runId, epoch);
        if (consumed > e.count) revert IProofLedger.TooManyConsumed(consumed, uint64(e.count));
        if (u.length != e.chunks) revert IProofLedger.WrongPointCount(uint64(e.chunks), u.length);
        if (p.length != e.chunks) revert IProofLedger.WrongPointCount(uint64(e.chunks), p.length);
        uint64 number = count(store, e.runId, epoch);
        (e.epoch, e.number, e.consumed) = (epoch, number, consumed);
        (e.uHash, e.pHash) = (Challenges.hashOf(u), Challenges.hashOf(p));
        s = find(store, Id(e.runId, epoch, number));
        s.seed = Challenges.epochSeed(e);
        s.consumed = uint32(consumed);
        s.headSeq = head.seq;
        s.blockNumber = uint48(block.number);
        s.dataset = head.dataset;
        if (number == 0) s.count = 1;
        else store.anchorings[e.runId][epoch][0].count = uint32(number) + 1;
        _emitAnchored(e, s.seed);
    }

    /// @notice How many times an epoch was anchored.
    function count(Store storage store, RunId runId, uint64 epoch) internal view returns (uint64) {
        return store.anchorings[runId][epoch][0].count;
    }

    function find(Store storage store, Id memory id) internal view returns (Stored storage) {
        return store.anchorings[id.runId][id.epoch][id.number];
    }

    function isChunkProved(
        Store storage store,
        Datasets.Store storage datasets,
        Id memory id,
        uint64 c
    ) internal view returns (bool) {
        Stored storage s = find(store, id);
        if (s.seed == 0) return false;
        uint24 chunks = datasets.list[s.dataset].chunks;
        return c < chunks && _isProved(s, chunks, s.chunksProved, c);
    }

    /// @notice An anchoring as readers see it.
    function viewOf(
        Store storage store,
        Datasets.Store storage datasets,
        IProvenanceRegistry registry,
        Id memory id
    ) internal view returns (IProofLedger.Anchoring memory v) {
        Stored storage s = find(store, id);
        if (s.seed == 0) return v;
        IProvenanceRegistry.Head memory head = registry.headAt(id.runId, s.headSeq);
        v.datasetId = Challenges.datasetId(datasets.list[s.dataset].linkSeed);
        v.seed = s.seed;
        v.consumed = s.consumed;
        v.logSize = head.size;
        v.chunksProved = s.chunksProved;
        v.blockNumber = s.blockNumber;
        v.accepted = s.accepted;
        v.logRoot = head.root;
        v.productA = s.productA;
        v.productB = s.productB;
    }

    /// Accepts chunk `c` after `proved` others, and multiplies its products to theirs. Returns
    /// whether the epoch is accepted with it: it was the last chunk, and the products agree.
    function accept(
        Stored storage s,
        uint24 chunks,
        uint32 proved,
        uint64 c,
        uint256 a,
        uint256 b
    ) internal returns (bool accepted) {
        bool first = proved == 0;
        uint256 productA = first ? a : mulmod(s.productA, a, Bn254.R);
        uint256 productB = first ? b : mulmod(s.productB, b, Bn254.R);
        ++proved; // at most `chunks`
        // The products are not zero: no factor is, and r is prime.
        accepted = proved == chunks && productA == productB;
        (s.chunksProved, s.accepted) = (proved, accepted);
        if (!accepted) (s.productA, s.productB) = (productA, productB);
        else if (!first) (s.productA, s.productB) = (0, 0);
        if (proved != chunks) s.proved.add(c);
    }

    function _emitAnchored(Challenges.Epoch memory e, bytes32 seed) private {
        emit IProofLedger.EpochAnchored(
            e.runId,
            uint64(e.epoch),
            uint64(e.number),
            e.datasetId,
            uint64(e.consumed),
            uint64(e.logSize),
            e.logRoot,
            e.uHash,
            e.pHash,
            seed
        );
    }

    /// The seed of an anchoring, which must exist.
    function seedOf(
        Stored storage s,
        RunId runId,
        uint64 epoch,
        uint64 number
    ) internal view returns (bytes32 seed) {
        seed = s.seed;
        if (seed == 0) revert IProofLedger.UnknownAnchoring(runId, epoch, number);
    }

    /// False if a chunk was accepted before; nothing else is then checked. Else true, or it reverts
    /// if the chunk's points or products are wrong. The caller checks the proof.
    function isWanted(
        Stored storage s,
        Datasets.Stored storage dataset,
        uint24 chunks,
        uint32 proved,
        uint64 c,
        uint256 a,
        uint256 b,
        uint256[2][3] calldata commitments
    ) internal view returns (bool) {
        if (c >= chunks) revert IProofLedger.ChunkOutOfRange(c, chunks);
        if (_isProved(s, chunks, proved, c)) return false;
        dataset.requireD(c, commitments[0]);
        bytes32 actual = Challenges.hashOf(commitments[1], commitments[2]);
        bytes32 expected = s.chunkHashes[c];
        if (actual != expected) revert IProofLedger.WrongPoint(c, expected, actual);
        if (a == 0 || b == 0) revert IProofLedger.ZeroProduct(c);
        return true;
    }

    function _isProved(
        Stored storage s,
        uint24 chunks,
        uint32 proved,
        uint64 c
    ) private view returns (bool) {
        return proved == chunks || (proved != 0 && s.proved.has(c));
    }
}
