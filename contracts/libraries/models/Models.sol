// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProvenanceRegistry} from "../../interfaces/IProvenanceRegistry.sol";
import {BlockHashes} from "../seeds/BlockHashes.sol";
import {Kinds} from "../keys/Kinds.sol";
import {RunId} from "../../types/RunId.sol";

/// @title Anchoring of models, and their draws.
/// @notice Preimages: docs/formats/statements.md. Everything is fixed before the draw block, whose
/// hash decides which blocks of weights must be opened.
library Models {
    bytes32 private constant TAG_DRAW = keccak256("provenance/v1/draw");

    uint64 internal constant DRAW_DELAY = 2;

    uint256 private constant MAX_ENTRIES = 2 ** 24;
    uint256 private constant MAX_BLOCKS = 2 ** 48;
    uint256 private constant MAX_SCALE = 2 ** 32;
    uint256 private constant MAX_DRAWS = 2 ** 32;

    struct Id {
        RunId runId;
        uint64 stage;
        uint64 number;
    }

    struct Stored {
        // The next nine fields share a slot, the only one that every proof reads and writes.
        uint8 kind;
        uint8 slots;
        uint32 scale;
        uint32 draws;
        uint48 blocks;
        uint24 entries; // of the merged table
        uint24 nextTensor; // all tensors before it are complete; `entries` once accepted
        uint32 nextGroup;
        uint48 blocksProved; // blocks of the complete tensors
        bytes32 seed;
        bytes32 lastName; // SHA-256 of the name of the tensor that was proved last
        bytes32 merged;
        bytes32 codesHash;
        bytes32 artifact;
        bytes32 base;
        bytes32 adapter;
        uint48 blockNumber; // shares a slot with headSeq
        uint64 headSeq; // number of the head with which the registry knows the log's size and root
    }

    struct Store {
        mapping(RunId runId => mapping(uint64 stage => Stored[] list)) anchorings;
    }

    /// @notice Anchors a model under the next number.
    function anchor(
        Store storage store,
        IProvenanceRegistry registry,
        RunId runId,
        uint64 stage,
        IModelLedger.Anchoring calldata a
    ) internal returns (uint64 number) {
        IProvenanceRegistry.Run memory run = registry.runOf(runId);
        if (run.owner != msg.sender && !registry.isWriter(runId, msg.sender)) {
            // The owner is always a writer, so the registry is asked about others only.
            revert IModelLedger.NotRunWriter(runId, msg.sender);
        }
        if (run.seq == 0) revert IModelLedger.LogIsEmpty(runId);
        _requireStage(stage, a);
        _requireRanges(a);
        Stored[] storage list = store.anchorings[runId][stage];
        number = uint64(list.length);
        Stored storage s = list.push();
        (s.kind, s.slots, s.scale, s.draws) = (
            uint8(a.kind),
            uint8(a.slots),
            uint32(a.scale),
            uint32(a.draws)
        );
        (s.blocks, s.entries) = (uint48(a.blocks), uint24(a.merged.entries));
        (s.merged, s.artifact) = (a.merged.root, a.artifact);
        if (stage == Kinds.MERGE_STAGE) (s.base, s.adapter) = (a.base.root, a.adapter.root);
        (s.blockNumber, s.headSeq) = (uint48(block.number), run.seq);
        bytes32 digest = _digest(a, run.size, run.root);
        emit IModelLedger.ModelAnchored(runId, stage, number, a, run.size, run.root, digest);
    }

    /// @notice Draws the seed of an anchoring.
    /// @param history whether block hashes come from the history contract of EIP-2935
    function draw(
        Store storage store,
        IProvenanceRegistry registry,
        Id memory id,
        bool history
    ) internal returns (bytes32 seed) {
        Stored storage s = find(store, id);
        if (s.seed != 0) revert IModelLedger.AlreadyDrawn(s.seed);
        uint64 drawBlock = s.blockNumber + DRAW_DELAY;
        if (block.number <= drawBlock) revert IModelLedger.DrawTooEarly(drawBlock, block.number);
        bytes32 blockHash = BlockHashes.hashOf(drawBlock, history);
        if (blockHash == 0) revert IModelLedger.DrawMissed(drawBlock, block.number);
        IProvenanceRegistry.Head memory head = registry.headAt(id.runId, s.headSeq);
        bytes32 digest = _digest(_anchoring(s), head.size, head.root);
        seed = keccak256(
            abi.encode(
                TAG_DRAW,
                block.chainid,
                address(this),
                id.runId,
                id.stage,
                id.number,
                digest,
                blockHash
            )
        );
        s.seed = seed;
        emit IModelLedger.ModelDrawn(id.runId, id.stage, id.number, seed, blockHash);
    }

    /// @notice The anchoring with this number.
    function find(Store storage store, Id memory id) internal view returns (Stored storage) {
        Stored[] storage list = store.anchorings[id.runId][id.stage];
        if (id.number >= list.length)
            revert IModelLedger.UnknownAnchoring(id.runId, id.stage, id.number);
        return list[id.number];
    }

    /// @notice An anchoring as readers see it.
    function viewOf(
        Store storage store,
        IProvenanceRegistry registry,
        Id memory id,
        bool history
    )
        internal
        view
        returns (IModelLedger.Anchoring memory anchoring, IModelLedger.Progress memory progress)
    {
        Stored[] storage list = store.anchorings[id.runId][id.stage];
        if (id.number >= list.length) return (anchoring, progress);
        Stored storage s = list[id.number];
        IProvenanceRegistry.Head memory head = registry.headAt(id.runId, s.headSeq);
        uint64 drawBlock = s.blockNumber + DRAW_DELAY;
        anchoring = _anchoring(s);
        progress = IModelLedger.Progress({
            seed: s.seed,
            codesHash: s.codesHash,
            logRoot: head.root,
            logSize: head.size,
            blockNumber: s.blockNumber,
            drawBlock: drawBlock,
            nextTensor: s.nextTensor,
            nextGroup: s.nextGroup,
            blocksProved: s.blocksProved,
            accepted: s.nextTensor == s.entries,
            missed: s.seed == 0 &&
                block.number > drawBlock &&
                BlockHashes.hashOf(drawBlock, history) == 0
        });
    }

    /// @dev abi.encode of a static struct is that of its fields in order.
    function _digest(
        IModelLedger.Anchoring memory a,
        uint64 logSize,
        bytes32 logRoot
    ) private pure returns (bytes32) {
        return keccak256(abi.encode(a, logSize, logRoot));
    }

    /// Rebuilds the anchoring from what is stored. The merged table's number of entries gives those
    /// of the other tables.
    function _anchoring(Stored storage s) private view returns (IModelLedger.Anchoring memory a) {
        uint64 entries = s.entries;
        a.merged = IModelLedger.Table(s.merged, entries);
        if (s.kind == Kinds.MERGE) {
            a.base = IModelLedger.Table(s.base, entries);
            a.adapter = IModelLedger.Table(s.adapter, 2 * entries);
        }
        a.artifact = s.artifact;
        (a.kind, a.slots, a.scale, a.draws, a.blocks) = (
            s.kind,
            s.slots,
            s.scale,
            s.draws,
            s.blocks
        );
    }

    /// Stage 1 has three tables and a scale; stage 2 has one table only. A merge with scale 0, or
    /// one that changes nothing, would fit any adapter.
    function _requireStage(uint64 stage, IModelLedger.Anchoring calldata a) private pure {
        bool known = Kinds.isKnown(a.kind) && stage != 0 && Kinds.stageOf(a.kind) == stage;
        if (!known) revert IModelLedger.WrongStage(stage, a.kind);
        bool merges = stage == Kinds.MERGE_STAGE;
        uint256 entries = merges ? a.merged.entries : 0;
        if (a.base.entries != entries || (a.base.root != 0) != merges)
            revert IModelLedger.BadAnchoring("base");
        if (a.base.root == a.merged.root) revert IModelLedger.BadAnchoring("merged");
        if (a.adapter.entries != 2 * entries || (a.adapter.root != 0) != merges) {
            revert IModelLedger.BadAnchoring("adapter");
        }
        if ((a.scale != 0) != merges || a.scale >= MAX_SCALE)
            revert IModelLedger.BadAnchoring("scale");
    }

    function _requireRanges(IModelLedger.Anchoring calldata a) private pure {
        if (a.merged.root == 0 || a.merged.entries == 0 || a.merged.entries >= MAX_ENTRIES) {
            revert IModelLedger.BadAnchoring("merged");
        }
        if (a.artifact == 0) revert IModelLedger.BadAnchoring("artifact");
        if (!Kinds.fitsSlots(a.kind, a.slots)) revert IModelLedger.BadAnchoring("slots");
        if (a.draws == 0 || a.draws >= MAX_DRAWS) revert IModelLedger.BadAnchoring("draws");
        if (a.blocks == 0 || a.blocks >= MAX_BLOCKS) revert IModelLedger.BadAnchoring("blocks");
    }
}
