// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bitmap} from "./Bitmap.sol";
import {Bn254} from "../groth16/Bn254.sol";
import {Challenges} from "../seeds/Challenges.sol";
import {Kinds} from "../keys/Kinds.sol";
import {PinnedKeys} from "../keys/PinnedKeys.sol";
import {VerifyingKey} from "../keys/VerifyingKey.sol";
import {DatasetId} from "../../types/DatasetId.sol";

/// @title Registration of datasets: D points tied to the leaves of a Poseidon tree.
/// @notice Below, g is the index of a leaf or of an empty slot, L_g the leaf under the dataset's
/// root, and D_i the entry that D holds for slot i. The `tree` proofs of a chunk show
/// t = prod(gamma + L_g + delta*g) and z = prod(gamma + delta*g) over the tree's leaves. The link
/// proof shows a = prod(gamma + D_i + delta*g) and b = prod(gamma + delta*g) over all slots. Then
/// a * prod z = b * prod t says that D holds the leaves in order, and 0 in the empty slots. No loop
/// over the empty slots is needed.
library Datasets {
    using Bitmap for mapping(uint256 => uint256);
    using PinnedKeys for PinnedKeys.Store;
    using VerifyingKey for VerifyingKey.Key;

    uint256 private constant SMALL_COUNT = 16 ** 5;
    uint256 private constant D = 0; // position of D among a proof's commitments

    /// @param left a * prod z so far; 0 before the first factor
    /// @param right b * prod t so far
    struct Products {
        uint256 left;
        uint256 right;
    }

    struct Stored {
        address owner;
        uint32 treesProved;
        uint32 linksProved;
        // The next six fields share a slot, the only one that an epoch proof reads.
        uint32 count;
        uint24 chunks;
        uint8 epochKey;
        uint8 treeKey;
        bool finished;
        address epochData; // bytes of the epoch key
        uint256 root;
        bytes32 linkSeed;
        bytes32 dHash;
        mapping(uint256 chunk => bytes32 digest) dChunks;
        mapping(uint256 chunk => Products products) products;
        mapping(uint256 word => uint256 bits) trees;
        mapping(uint256 word => uint256 bits) links;
    }

    struct Store {
        uint256 count;
        mapping(uint256 index => Stored dataset) list;
        mapping(DatasetId datasetId => uint256 position) positions; // index in `list` + 1
    }

    /// @notice Begins a registration, and sets the slots, chunks and dHash of `r`.
    function begin(
        Store storage store,
        PinnedKeys.Store storage keys,
        IBatchVerifier verifier,
        Challenges.Registration memory r,
        uint256[2][] calldata d,
        uint256[2][] calldata poks
    ) internal returns (DatasetId datasetId) {
        uint8 epochKey = keys.find(r.epochKey, Kinds.EPOCH);
        uint8 treeKey = keys.find(r.treeKey, Kinds.TREE);
        _requireShape(keys, epochKey, treeKey, r);
        r.slots = keys.list[epochKey].slots;
        r.chunks = (r.count + r.slots - 1) / r.slots;
        if (d.length != r.chunks) revert IProofLedger.WrongPointCount(uint64(r.chunks), d.length);
        if (poks.length != r.chunks)
            revert IProofLedger.WrongPointCount(uint64(r.chunks), poks.length);
        r.dHash = Challenges.hashOf(d);
        bytes32 seed = Challenges.linkSeed(r);
        datasetId = Challenges.datasetId(seed);
        if (store.positions[datasetId] != 0) revert IProofLedger.DatasetExists(datasetId);
        if (!verifier.verifyKnowledge(keys.list[epochKey].data, D, d, poks))
            revert IProofLedger.KnowledgeNotProved();

        Stored storage s = store.list[store.count];
        store.positions[datasetId] = ++store.count;
        s.owner = r.owner;
        (s.count, s.chunks) = (uint32(r.count), uint24(r.chunks));
        (s.epochKey, s.treeKey, s.epochData) = (epochKey, treeKey, keys.list[epochKey].data);
        (s.root, s.linkSeed, s.dHash) = (r.root, seed, r.dHash);
        for (uint256 c = 0; c < d.length; ++c) s.dChunks[c] = Challenges.hashOf(d[c]);
        emit IProofLedger.DatasetBegun(
            datasetId,
            r.owner,
            r.root,
            uint64(r.depth),
            uint64(r.count),
            r.epochKey,
            r.treeKey,
            r.dHash
        );
    }

    /// @notice Accepts tree chunk `k` with its products t, z; nothing happens if it was accepted
    /// before.
    function proveTree(
        Store storage store,
        PinnedKeys.Store storage keys,
        IBatchVerifier verifier,
        DatasetId datasetId,
        uint64 k,
        uint256[2] memory tz,
        IProofLedger.Proof calldata proof
    ) internal {
        Stored storage s = require_(store, datasetId);
        uint256 count = s.count;
        uint256 slots = keys.list[s.treeKey].slots;
        uint256 trees = (count + slots - 1) / slots; // empty chunks need no proof
        if (k >= trees) revert IProofLedger.ChunkOutOfRange(k, uint64(trees));
        if (s.trees.has(k)) return;
        if (tz[0] == 0 || tz[1] == 0) revert IProofLedger.ZeroProduct(k);
        (uint256 used, uint256 last) = k == trees - 1 ? (count - k * slots, 1) : (slots, 0);
        (uint256 gamma, uint256 delta) = Challenges.fromSeed(s.linkSeed);
        // abi.encode of static values is their words in order.
        bytes memory item = abi.encode(proof, s.root, k, used, last, gamma, delta, tz);
        if (!verifier.verify(keys.list[s.treeKey].data, item, 0))
            revert IProofLedger.ProofInvalid(k);
        s.trees.add(k);
        ++s.treesProved;
        _multiply(s.products[(k * slots) / keys.list[s.epochKey].slots], tz[1], tz[0]);
        emit IProofLedger.TreeProved(datasetId, k);
    }

    /// @notice Accepts the link of epoch chunk `c` with its products a, b; nothing happens if it
    /// was accepted before.
    function proveLink(
        Store storage store,
        IBatchVerifier verifier,
        DatasetId datasetId,
        uint64 c,
        uint256[2] calldata d,
        uint256[2] memory ab,
        IProofLedger.Proof calldata proof
    ) internal {
        Stored storage s = require_(store, datasetId);
        requireChunk(s, c);
        if (s.links.has(c)) return;
        requireD(s, c, d);
        if (ab[0] == 0 || ab[1] == 0) revert IProofLedger.ZeroProduct(c);
        VerifyingKey.Key memory key = VerifyingKey.load(s.epochData);
        uint256 start = c * key.slots();
        (uint256 gamma, uint256 delta) = Challenges.fromSeed(s.linkSeed);
        // No proof of knowledge is needed here. U stays at infinity and P is computed below, so
        // everybody knows what they commit to. Knowledge of D was checked when the registration
        // began.
        uint256[2] memory u;
        uint256[6] memory poks;
        bytes memory item = abi.encode(
            proof,
            d,
            u,
            _orderByIndex(key, start),
            poks,
            gamma,
            delta,
            start,
            ab
        );
        if (!verifier.verify(s.epochData, item, 0)) revert IProofLedger.ProofInvalid(c);
        s.links.add(c);
        ++s.linksProved;
        _multiply(s.products[c], ab[0], ab[1]);
        emit IProofLedger.LinkProved(datasetId, c);
    }

    /// @notice Finishes the registration if all chunks are proved and their products agree; nothing
    /// happens if it was finished before.
    function finish(
        Store storage store,
        PinnedKeys.Store storage keys,
        DatasetId datasetId
    ) internal {
        Stored storage s = require_(store, datasetId);
        if (s.finished) return;
        uint256 treeSlots = keys.list[s.treeKey].slots;
        uint256 trees = (s.count + treeSlots - 1) / treeSlots;
        if (s.treesProved != trees || s.linksProved != s.chunks) {
            revert IProofLedger.DatasetIncomplete(datasetId, s.treesProved, s.linksProved);
        }
        for (uint64 c = 0; c < s.chunks; ++c) {
            Products memory products = s.products[c];
            if (products.left == 0 || products.left != products.right) {
                revert IProofLedger.ProductsDiffer(c, products.left, products.right);
            }
        }
        s.finished = true;
        emit IProofLedger.DatasetFinished(datasetId);
    }

    /// @notice The registration with this id.
    function require_(
        Store storage store,
        DatasetId datasetId
    ) internal view returns (Stored storage) {
        uint256 position = store.positions[datasetId];
        if (position == 0) revert IProofLedger.UnknownDataset(datasetId);
        return store.list[position - 1];
    }

    function requireChunk(Stored storage s, uint64 c) internal view {
        if (c >= s.chunks) revert IProofLedger.ChunkOutOfRange(c, s.chunks);
    }

    /// @notice Reverts unless `d` is the registered D point of a chunk, of which the owner showed
    /// knowledge.
    function requireD(Stored storage s, uint64 c, uint256[2] calldata d) internal view {
        bytes32 actual = Challenges.hashOf(d);
        bytes32 expected = s.dChunks[c];
        if (actual != expected) revert IProofLedger.WrongPoint(c, expected, actual);
    }

    /// @notice A registration as readers see it.
    function viewOf(
        Store storage store,
        PinnedKeys.Store storage keys,
        DatasetId datasetId
    ) internal view returns (IProofLedger.Dataset memory v) {
        uint256 position = store.positions[datasetId];
        if (position == 0) return v;
        Stored storage s = store.list[position - 1];
        v.owner = s.owner;
        v.epochKey = keys.list[s.epochKey].vkId;
        v.treeKey = keys.list[s.treeKey].vkId;
        v.root = s.root;
        v.depth = keys.list[s.treeKey].depth;
        v.count = s.count;
        v.slots = keys.list[s.epochKey].slots;
        v.chunks = s.chunks;
        v.treesProved = s.treesProved;
        v.linksProved = s.linksProved;
        v.finished = s.finished;
        v.linkSeed = s.linkSeed;
        v.dHash = s.dHash;
    }

    function _multiply(Products storage products, uint256 left, uint256 right) private {
        // 0 only before the first factor: no factor is zero, and r is prime.
        bool first = products.left == 0;
        products.left = first ? left : mulmod(products.left, left, Bn254.R);
        products.right = first ? right : mulmod(products.right, right, Bn254.R);
    }

    function _requireShape(
        PinnedKeys.Store storage keys,
        uint8 epochKey,
        uint8 treeKey,
        Challenges.Registration memory r
    ) private view {
        if (r.count == 0 || r.count > Kinds.MAX_RECORDS)
            revert IProofLedger.BadCount(uint64(r.count));
        uint64 slots = keys.list[epochKey].slots;
        uint64 treeSlots = keys.list[treeKey].slots;
        if (slots % treeSlots != 0) revert IProofLedger.SlotsMismatch(slots, treeSlots);
        uint256 keyDepth = keys.list[treeKey].depth;
        if (r.depth != keyDepth || r.depth != (r.count <= SMALL_COUNT ? 5 : 6)) {
            revert IProofLedger.WrongDepth(uint64(r.depth), uint64(r.count), uint64(keyDepth));
        }
    }

    /// The commitment P to the vector P_i = start + i, without blinding: I_0 + start * S.
    function _orderByIndex(
        VerifyingKey.Key memory key,
        uint256 start
    ) private view returns (uint256[2] memory) {
        uint256 offset = key.orderBase();
        uint256[2] memory base = key.g1(offset);
        return start == 0 ? base : Bn254.add(base, Bn254.mul(key.g1(offset + 2), start));
    }
}
