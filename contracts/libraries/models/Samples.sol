// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Kinds} from "../keys/Kinds.sol";
import {Models} from "./Models.sol";
import {PinnedKeys} from "../keys/PinnedKeys.sol";
import {Rfc6962} from "../log/Rfc6962.sol";
import {Tensors} from "./Tensors.sol";

/// @title Proofs that open drawn blocks of an anchored model.
/// @notice They come in the order of (tensor, group). So one position tells what is proved, and one
/// hash covers all codes.
library Samples {
    using Models for Models.Store;
    using PinnedKeys for PinnedKeys.Store;

    uint256 private constant MIN_DRAWS = 2; // of each tensor
    uint256 private constant PROOF_BYTES = 8 * 32; // A, B, C

    /// @dev The state of an anchoring while a list of items is checked.
    struct Walk {
        uint8 kind;
        uint64 entries;
        uint64 tensor; // the next item's
        uint64 group;
        uint256 slots;
        uint256 scale;
        uint256 draws;
        uint256 blocks;
        uint256 blocksProved;
        bytes32 seed;
        bytes32 codesHash;
        bytes32 nameHash; // of the tensor that was proved last
        bytes name; // of that tensor, if the caller is right
        bytes32[] roots; // at i: root of the table that an item's opening i is about
    }

    /// @dev What an item's proof must show. It has no inputs if the item was proved before.
    struct Statement {
        uint8 key;
        bool verified;
        uint256[] inputs;
    }

    /// @notice Accepts the items that were not proved before; the others have no effect.
    /// @param previous name of the tensor before that of the first item that was not proved before,
    /// if that item opens the first group of its tensor
    function prove(
        Models.Store storage store,
        PinnedKeys.Store storage keys,
        IBatchVerifier verifier,
        Models.Id memory id,
        bytes memory previous,
        IModelLedger.Sample[] calldata items
    ) internal {
        Models.Stored storage s = store.find(id);
        if (s.seed == 0) revert IModelLedger.NotDrawn(id.runId, id.stage, id.number);
        Walk memory w = _start(s);
        w.name = previous;
        bool wasAccepted = w.tensor == w.entries;
        Statement[] memory statements = _walk(keys, w, items);
        _verifyAll(keys, verifier, statements, items);
        (s.nextTensor, s.nextGroup) = (uint24(w.tensor), uint32(w.group));
        (s.blocksProved, s.lastName) = (uint48(w.blocksProved), w.nameHash);
        if (w.codesHash != 0) s.codesHash = w.codesHash;
        _emit(id, statements, items);
        if (!wasAccepted && w.tensor == w.entries)
            emit IModelLedger.ModelAccepted(id.runId, id.stage, id.number);
    }

    /// Checks all of the items except their proofs; `w` moves behind the last.
    function _walk(
        PinnedKeys.Store storage keys,
        Walk memory w,
        IModelLedger.Sample[] calldata items
    ) private view returns (Statement[] memory statements) {
        statements = new Statement[](items.length);
        for (uint256 i = 0; i < items.length; ++i) {
            IModelLedger.Sample calldata item = items[i];
            if (item.tensor < w.tensor || (item.tensor == w.tensor && item.group < w.group)) {
                // Whoever proved it first changed which tensor is the previous one.
                if (sha256(bytes(item.name)) == w.nameHash) w.name = bytes(item.name);
                continue;
            }
            if (item.tensor != w.tensor || item.group != w.group) {
                revert IModelLedger.OutOfOrder(item.tensor, item.group, w.tensor, w.group);
            }
            statements[i] = _statement(keys, w, item);
        }
    }

    /// Checks all of an item except its proof, and moves `w` to the next item.
    function _statement(
        PinnedKeys.Store storage keys,
        Walk memory w,
        IModelLedger.Sample calldata item
    ) private view returns (Statement memory statement) {
        Tensors.Entry memory tensor = _open(w, item);
        _requireOrder(w, item, tensor.nameHash);
        statement.key = keys.find(item.vkId, w.kind);
        PinnedKeys.Pinned storage key = keys.list[statement.key];
        if (
            key.slots != w.slots ||
            key.depth != tensor.depth + Kinds.RANK_UNIT * Kinds.paddedRank(item.rank)
        ) {
            revert IModelLedger.WrongKey(item.vkId, key.slots, key.depth);
        }
        statement.inputs = _inputs(w, item, tensor);
        if (item.codes.length != 0)
            w.codesHash = keccak256(abi.encodePacked(w.codesHash, item.codes));
        _step(w, tensor.blocks);
    }

    /// The item's tensor. Reverts unless its entries are shown to be at their places in all tables.
    function _open(
        Walk memory w,
        IModelLedger.Sample calldata item
    ) private view returns (Tensors.Entry memory tensor) {
        uint256 blocks = item.rows * Tensors.blocksPerRow(item.columns);
        bool merges = w.kind == Kinds.MERGE;
        bool hasRank = merges ? Kinds.paddedRank(item.rank) != 0 : item.rank == 0;
        if (blocks == 0 || blocks > Tensors.MAX_BLOCKS || !hasRank) {
            revert IModelLedger.BadShape(item.tensor, item.rows, item.columns, item.rank);
        }
        if (item.openings.length != w.roots.length) {
            revert IModelLedger.WrongItemLength(item.tensor, w.roots.length, item.openings.length);
        }
        bytes memory name = bytes(item.name);
        tensor = Tensors.plain(name, item.rows, item.columns, item.openings[0].root);
        _requireInTable(w, item, 0, tensor, item.tensor, w.entries);
        if (!merges) return tensor;
        (uint64 place, uint64 places) = (2 * item.tensor, 2 * w.entries);
        _requireInTable(
            w,
            item,
            1,
            Tensors.loraA(tensor, name, item.rank, item.openings[1].root),
            place,
            places
        );
        _requireInTable(
            w,
            item,
            2,
            Tensors.loraB(tensor, name, item.rank, item.openings[2].root),
            place + 1,
            places
        );
        tensor.root = item.openings[3].root;
        _requireInTable(w, item, 3, tensor, item.tensor, w.entries);
    }

    function _requireInTable(
        Walk memory w,
        IModelLedger.Sample calldata item,
        uint256 opening,
        Tensors.Entry memory entry,
        uint64 place,
        uint64 places
    ) private view {
        bytes32[] calldata path = item.openings[opening].path;
        if (!Rfc6962.isIncluded(Tensors.leaf(entry), place, places, w.roots[opening], path)) {
            revert IModelLedger.NotInTable(item.tensor, opening);
        }
    }

    /// The tensors of a table are distinct and in the order of their names. One that stood in it
    /// twice would take draws away from the others. Every tensor has a first group, so each name is
    /// compared with the one before it; the tables of base and adapter have the same names.
    function _requireOrder(
        Walk memory w,
        IModelLedger.Sample calldata item,
        bytes32 nameHash
    ) private pure {
        bytes memory name = bytes(item.name);
        if (item.group == 0) {
            if (item.tensor == 0) w.name = "";
            else if (sha256(w.name) != w.nameHash) revert IModelLedger.WrongPrevious(item.tensor);
            if (!Tensors.isBefore(w.name, name)) revert IModelLedger.NamesNotInOrder(item.tensor);
        }
        (w.name, w.nameHash) = (name, nameHash);
    }

    /// Moves to the next group, or after a tensor's last group to the next tensor. The tensors'
    /// blocks must add up to the anchored number.
    function _step(Walk memory w, uint256 blocks) private pure {
        uint256 sum = w.blocksProved + blocks;
        bool isLast = w.tensor + 1 == w.entries;
        if (sum > w.blocks || (isLast && sum != w.blocks))
            revert IModelLedger.BlocksDiffer(uint64(w.blocks), sum);
        uint256 draws = (w.draws * blocks + w.blocks - 1) / w.blocks;
        if (draws < MIN_DRAWS) draws = MIN_DRAWS;
        uint256 groups = (draws + w.slots - 1) / w.slots;
        if (++w.group < groups) return;
        (w.tensor, w.group, w.blocksProved) = (w.tensor + 1, 0, sum);
    }

    /// Public inputs of the item's proof.
    function _inputs(
        Walk memory w,
        IModelLedger.Sample calldata item,
        Tensors.Entry memory tensor
    ) private pure returns (uint256[] memory inputs) {
        uint256 codes = Kinds.codeWords(w.kind, w.slots);
        if (item.codes.length != codes) {
            revert IModelLedger.WrongItemLength(item.tensor, codes, item.codes.length);
        }
        inputs = new uint256[](Kinds.publicCount(w.kind, w.slots));
        uint256 next = 0;
        for (; next < item.openings.length; ++next) inputs[next] = item.openings[next].root;
        if (w.kind == Kinds.MERGE) {
            (inputs[next], inputs[next + 1]) = (w.scale, Tensors.blocksPerRow(tensor.columns));
            next += 2;
        }
        next = _putIndexes(w, item, tensor.blocks, inputs, next);
        assert(next + codes <= inputs.length);
        uint256[] calldata words = item.codes;
        assembly ("memory-safe") {
            calldatacopy(add(add(inputs, 32), shl(5, next)), words.offset, shl(5, codes))
        }
    }

    /// Writes the numbers of the drawn blocks, from input `next` on; returns the input after them.
    function _putIndexes(
        Walk memory w,
        IModelLedger.Sample calldata item,
        uint64 blocks,
        uint256[] memory inputs,
        uint256 next
    ) private pure returns (uint256) {
        uint256 first = item.group * w.slots;
        for (uint256 i = 0; i < w.slots; ++i) {
            uint256 index = uint256(_draw(w.seed, item.tensor, first + i)) % blocks;
            inputs[next + i / Kinds.INDEXES_PER_WORD] |=
                index << (Kinds.INDEX_BITS * (i % Kinds.INDEXES_PER_WORD));
        }
        return next + Kinds.indexWords(w.slots);
    }

    /// keccak256(abi.encode(seed, tensor, draw)), computed in free memory.
    function _draw(
        bytes32 seed,
        uint256 tensor,
        uint256 draw
    ) private pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, seed)
            mstore(add(input, 32), tensor)
            mstore(add(input, 64), draw)
            digest := keccak256(input, 96)
        }
    }

    /// Verifies the proofs of each key together.
    function _verifyAll(
        PinnedKeys.Store storage keys,
        IBatchVerifier verifier,
        Statement[] memory statements,
        IModelLedger.Sample[] calldata items
    ) private view {
        for (uint256 i = 0; i < items.length; ++i) {
            if (statements[i].inputs.length == 0 || statements[i].verified) continue;
            _verify(keys.list[statements[i].key].data, verifier, statements, items, i);
        }
    }

    /// Verifies all proofs under item i's key.
    function _verify(
        address keyData,
        IBatchVerifier verifier,
        Statement[] memory statements,
        IModelLedger.Sample[] calldata items,
        uint256 i
    ) private view {
        (bytes memory batch, uint256 count) = _collect(statements, items, i);
        if (count > 1) {
            if (!verifier.verifyBatch(keyData, batch, 0)) revert IModelLedger.BatchInvalid(count);
        } else if (!verifier.verify(keyData, batch, 0)) {
            revert IModelLedger.SampleInvalid(items[i].tensor, items[i].group);
        }
    }

    /// The words of all proofs under item i's key. They are marked as verified: the caller reverts
    /// if one of them is not.
    function _collect(
        Statement[] memory statements,
        IModelLedger.Sample[] calldata items,
        uint256 i
    ) private pure returns (bytes memory batch, uint256 count) {
        uint256 size = statements[i].inputs.length * 32;
        batch = new bytes((items.length - i) * (PROOF_BYTES + size));
        for (uint256 j = i; j < items.length; ++j) {
            Statement memory statement = statements[j];
            if (
                statement.inputs.length == 0 ||
                statement.verified ||
                statement.key != statements[i].key
            ) continue;
            statement.verified = true;
            uint256 start = count++ * (PROOF_BYTES + size);
            uint256[] memory inputs = statement.inputs;
            IProofLedger.Proof calldata proof = items[j].proof;
            assembly ("memory-safe") {
                let to := add(add(batch, 32), start)
                calldatacopy(to, proof, PROOF_BYTES)
                mcopy(add(to, PROOF_BYTES), add(inputs, 32), size)
            }
        }
        uint256 length = count * (PROOF_BYTES + size);
        assembly ("memory-safe") {
            mstore(batch, length) // shorten it to what was written
        }
    }

    function _emit(
        Models.Id memory id,
        Statement[] memory statements,
        IModelLedger.Sample[] calldata items
    ) private {
        for (uint256 i = 0; i < items.length; ++i) {
            if (statements[i].inputs.length == 0) continue;
            (uint64 tensor, uint64 group) = (items[i].tensor, items[i].group);
            emit IModelLedger.SampleProved(
                id.runId,
                id.stage,
                id.number,
                tensor,
                group,
                items[i].codes
            );
        }
    }

    function _start(Models.Stored storage s) private view returns (Walk memory w) {
        (w.kind, w.slots, w.scale, w.draws) = (s.kind, s.slots, s.scale, s.draws);
        (w.blocks, w.entries, w.blocksProved) = (s.blocks, s.entries, s.blocksProved);
        (w.tensor, w.group) = (s.nextTensor, s.nextGroup);
        (w.seed, w.codesHash, w.nameHash) = (s.seed, s.codesHash, s.lastName);
        bool merges = w.kind == Kinds.MERGE;
        w.roots = new bytes32[](merges ? 4 : 1);
        w.roots[w.roots.length - 1] = s.merged;
        if (merges) (w.roots[0], w.roots[1], w.roots[2]) = (s.base, s.adapter, s.adapter);
    }
}
