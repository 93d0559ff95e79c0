// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {Bitmap} from "./Bitmap.sol";
import {Bn254} from "../groth16/Bn254.sol";
import {Challenges} from "../seeds/Challenges.sol";
import {Datasets} from "./Datasets.sol";
import {Groth16} from "../groth16/Groth16.sol";
import {PinnedKeys} from "../keys/PinnedKeys.sol";
import {VerifyingKey} from "../keys/VerifyingKey.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {RunId} from "../../types/RunId.sol";

/// @title Anchoring and proving of epochs.
/// @notice One pair of challenges serves a whole epoch and comes from all its points; the products of all chunks then agree
/// only if U is D rearranged by P.
library Epochs {
    using Bitmap for mapping(uint256 => uint256);
    using Datasets for Datasets.Store;
    using Datasets for Datasets.Stored;
    using PinnedKeys for PinnedKeys.Store;
    using VerifyingKey for VerifyingKey.Key;

    uint256 private constant KNOWLEDGE_OF_U_AND_P = 6; // D passed its check at registration
    uint256 private constant ITEM_BYTES = 800; // of a batch: A, B, C, three commitments, three poks, five public inputs

    struct Id {
        RunId runId;
        uint64 epoch;
        uint64 number;
    }

    struct Stored {
        bytes32 seed;
        // The next seven share a slot.
        uint32 consumed;
        uint32 chunksProved;
        uint64 headSeq; // size and root of the log are the registry's, under this head
        uint48 blockNumber;
        uint32 dataset; // index in the store of datasets
        bool accepted;
        uint32 count; // anchorings of this epoch; kept in number 0 only
        uint256 productA; // of both nothing is kept when accepted: they agreed
        uint256 productB;
        mapping(uint256 chunk => bytes32 digest) chunkHashes;
        mapping(uint256 word => uint256 bits) proved; // not written by the last chunk: then all are
    }

    /// @dev What the items of one dataset share while a batch is walked. `slots` is 0 before the first.
    struct Ground {
        uint256 slots;
        uint32 dataset;
        uint24 chunks;
        address epochData;
        address batchData; // of the first item that is wanted
    }

    struct Store {
        mapping(RunId runId => mapping(uint64 epoch => mapping(uint64 number => Stored anchoring))) anchorings;
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
        IProvenanceRegistry.Run memory run = registry.runOf(id.runId);
        if (run.owner != msg.sender && !registry.isWriter(id.runId, msg.sender)) {
            revert IProofLedger.NotRunWriter(id.runId, msg.sender); // an owner is a writer always: no need to ask
        }
        if (run.seed == 0) revert IProofLedger.SeedNotDrawn(id.runId);
        if (run.datasetId != datasetId) revert IProofLedger.WrongDataset(id.runId, run.datasetId, datasetId);
        if (run.seq == 0) revert IProofLedger.LogIsEmpty(id.runId);

        Challenges.Epoch memory e = _describe(keys, datasets, datasetId, consumed, u, p);
        e.registry = address(registry);
        (e.runId, e.runSeed, e.epoch) = (id.runId, run.seed, id.epoch);
        (e.logSize, e.logRoot) = (run.size, run.root);
        number = id.number = count(store, id.runId, id.epoch);
        e.number = number;

        Stored storage s = find(store, id);
        s.seed = Challenges.epochSeed(e);
        s.consumed = uint32(consumed);
        s.headSeq = run.seq;
        s.blockNumber = uint48(block.number);
        s.dataset = uint32(datasets.positions[datasetId] - 1);
        for (uint256 c = 0; c < u.length; ++c) s.chunkHashes[c] = Challenges.hashOf(u[c], p[c]);
        if (number == 0) s.count = 1;
        else store.anchorings[id.runId][id.epoch][0].count = uint32(number) + 1;
        _emitAnchored(e, s.seed);
    }

    /// @notice Accepts chunk `c` with its products a, b; nothing happens if it was accepted before.
    function prove(
        Store storage store,
        Datasets.Store storage datasets,
        Id memory id,
        uint64 c,
        uint256[2] memory ab,
        uint256[2][3] calldata commitments,
        uint256[2][2] calldata poks,
        IProofLedger.Proof calldata proof
    ) internal {
        Stored storage s = find(store, id);
        bytes32 seed = _seed(s, id.runId, id.epoch, id.number);
        Datasets.Stored storage dataset = datasets.list[s.dataset];
        (uint24 chunks, uint32 proved) = (dataset.chunks, s.chunksProved);
        if (!_isWanted(s, dataset, chunks, proved, c, ab[0], ab[1], commitments)) return;
        VerifyingKey.Key memory key = VerifyingKey.load(dataset.epochData);
        if (
            !Groth16.verify(
                key,
                _proof(commitments, poks, proof),
                KNOWLEDGE_OF_U_AND_P,
                Datasets.epochInputs(seed, c * key.slots(), ab)
            )
        ) revert IProofLedger.ProofInvalid(c);
        bool accepted = _accept(s, chunks, proved, c, ab[0], ab[1]);
        emit IProofLedger.EpochChunkProved(id.runId, id.epoch, id.number, c, ab[0], ab[1], accepted);
    }

    /// @notice Accepts the chunks of a batch, as `prove` would one after another.
    /// @dev Chunks are accepted as they come, so that the second of two equal items has no effect; all proofs are checked at the
    /// end, and if they do not verify everything is undone. Nothing is called in between.
    function proveAll(
        Store storage store,
        PinnedKeys.Store storage keys,
        Datasets.Store storage datasets,
        IBatchVerifier verifier,
        IProofLedger.EpochItem[] calldata items
    ) internal {
        if (items.length == 0) revert IProofLedger.EmptyBatch();
        bytes memory proofs = new bytes(items.length * ITEM_BYTES); // cut to those that are wanted, below
        uint256 wanted;
        Ground memory ground;
        for (uint256 i = 0; i < items.length; ++i) {
            IProofLedger.EpochItem calldata item = items[i];
            Stored storage s = store.anchorings[item.runId][item.epoch][item.number];
            bytes32 seed = _seed(s, item.runId, item.epoch, item.number);
            (uint32 index, uint32 proved) = (s.dataset, s.chunksProved);
            Datasets.Stored storage dataset = datasets.list[index];
            if (ground.slots == 0 || ground.dataset != index) _stand(ground, keys, dataset, index);
            if (!_isWanted(s, dataset, ground.chunks, proved, item.c, item.a, item.b, item.commitments)) continue;
            if (wanted == 0) ground.batchData = ground.epochData;
            else if (ground.batchData != ground.epochData) revert IProofLedger.MixedKeys(i);
            _write(proofs, wanted++, item, seed, item.c * ground.slots);
            bool accepted = _accept(s, ground.chunks, proved, item.c, item.a, item.b);
            emit IProofLedger.EpochChunkProved(
                item.runId,
                item.epoch,
                item.number,
                item.c,
                item.a,
                item.b,
                accepted
            );
        }
        if (wanted == 0) return;
        assembly ("memory-safe") {
            mstore(proofs, mul(wanted, ITEM_BYTES))
        }
        if (!verifier.verifyBatch(ground.batchData, proofs, KNOWLEDGE_OF_U_AND_P)) revert IProofLedger.BatchInvalid(wanted);
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

    /// Counts chunk `c`, the one after `proved` others; says whether it completes an epoch whose products agree.
    function _accept(
        Stored storage s,
        uint24 chunks,
        uint32 proved,
        uint64 c,
        uint256 a,
        uint256 b
    ) private returns (bool accepted) {
        bool first = proved == 0;
        uint256 productA = first ? a : mulmod(s.productA, a, Bn254.R);
        uint256 productB = first ? b : mulmod(s.productB, b, Bn254.R);
        ++proved; // never beyond the chunks
        accepted = proved == chunks && productA == productB; // not zero: no factor is, and r is prime
        (s.chunksProved, s.accepted) = (proved, accepted);
        if (!accepted) (s.productA, s.productB) = (productA, productB);
        else if (!first) (s.productA, s.productB) = (0, 0);
        if (proved != chunks) s.proved.add(c);
    }

    /// Reads what the items of a dataset share.
    function _stand(
        Ground memory ground,
        PinnedKeys.Store storage keys,
        Datasets.Stored storage dataset,
        uint32 index
    ) private view {
        (ground.dataset, ground.chunks, ground.epochData) = (index, dataset.chunks, dataset.epochData);
        ground.slots = keys.list[dataset.epochKey].slots;
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

    /// The part of the preimage that comes from the registration and the caller.
    function _describe(
        PinnedKeys.Store storage keys,
        Datasets.Store storage datasets,
        DatasetId datasetId,
        uint64 consumed,
        uint256[2][] calldata u,
        uint256[2][] calldata p
    ) private view returns (Challenges.Epoch memory e) {
        Datasets.Stored storage dataset = datasets.require_(datasetId);
        if (!dataset.finished) revert IProofLedger.DatasetNotFinished(datasetId);
        (e.count, e.chunks) = (dataset.count, dataset.chunks);
        if (consumed > e.count) revert IProofLedger.TooManyConsumed(consumed, uint64(e.count));
        if (u.length != e.chunks) revert IProofLedger.WrongPointCount(uint64(e.chunks), u.length);
        if (p.length != e.chunks) revert IProofLedger.WrongPointCount(uint64(e.chunks), p.length);
        PinnedKeys.Pinned storage key = keys.list[dataset.epochKey];
        (e.epochKey, e.slots) = (key.vkId, key.slots);
        (e.datasetId, e.consumed) = (datasetId, consumed);
        (e.dHash, e.uHash, e.pHash) = (dataset.dHash, Challenges.hashOf(u), Challenges.hashOf(p));
    }

    /// The seed of an anchoring, which must exist.
    function _seed(Stored storage s, RunId runId, uint64 epoch, uint64 number) private view returns (bytes32 seed) {
        seed = s.seed;
        if (seed == 0) revert IProofLedger.UnknownAnchoring(runId, epoch, number);
    }

    /// Everything that a chunk must satisfy besides its proof; false if it was accepted before, whatever is submitted now.
    function _isWanted(
        Stored storage s,
        Datasets.Stored storage dataset,
        uint24 chunks,
        uint32 proved,
        uint64 c,
        uint256 a,
        uint256 b,
        uint256[2][3] calldata commitments
    ) private view returns (bool) {
        if (c >= chunks) revert IProofLedger.ChunkOutOfRange(c, chunks);
        if (_isProved(s, chunks, proved, c)) return false;
        dataset.requireD(c, commitments[0]);
        bytes32 actual = Challenges.hashOf(commitments[1], commitments[2]);
        bytes32 expected = s.chunkHashes[c];
        if (actual != expected) revert IProofLedger.WrongPoint(c, expected, actual);
        if (a == 0 || b == 0) revert IProofLedger.ZeroProduct(c);
        return true;
    }

    function _isProved(Stored storage s, uint24 chunks, uint32 proved, uint64 c) private view returns (bool) {
        return proved == chunks || (proved != 0 && s.proved.has(c));
    }

    function _proof(
        uint256[2][3] calldata commitments,
        uint256[2][2] calldata poks,
        IProofLedger.Proof calldata proof
    ) private pure returns (Groth16.Proof memory) {
        uint256[] memory points = new uint256[](6);
        uint256[] memory knowledge = new uint256[](6); // none for D
        assembly ("memory-safe") {
            calldatacopy(add(points, 32), commitments, 192)
            calldatacopy(add(knowledge, 96), poks, 128)
        }
        return Groth16.Proof(proof.a, proof.b, proof.c, points, knowledge);
    }

    /// Writes the words of proof number `i` of a batch. Memory is fresh: the place of D's proof of knowledge stays zero.
    function _write(
        bytes memory proofs,
        uint256 i,
        IProofLedger.EpochItem calldata item,
        bytes32 seed,
        uint256 start
    ) private pure {
        uint256[2][3] calldata commitments = item.commitments;
        uint256[2][2] calldata poks = item.poks;
        IProofLedger.Proof calldata proof = item.proof;
        (uint256 gamma, uint256 delta) = Challenges.fromSeed(seed);
        (uint256 a, uint256 b) = (item.a, item.b);
        assembly ("memory-safe") {
            let to := add(add(proofs, 32), mul(i, ITEM_BYTES))
            calldatacopy(to, proof, 256)
            calldatacopy(add(to, 256), commitments, 192)
            calldatacopy(add(to, 512), poks, 128)
            mstore(add(to, 640), gamma)
            mstore(add(to, 672), delta)
            mstore(add(to, 704), start)
            mstore(add(to, 736), a)
            mstore(add(to, 768), b)
        }
    }
}
