// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {PinnedKeys} from "../keys/PinnedKeys.sol";
import {Challenges} from "../seeds/Challenges.sol";
import {Datasets} from "./Datasets.sol";
import {Epochs} from "./Epochs.sol";

/// @title Proving chunks of anchored epochs, one or many in one call.
library EpochBatches {
    // One proof of a batch: A, B, C, three commitments, three poks, five public inputs.
    uint256 internal constant ITEM_BYTES = 800;

    /// @dev What the items of one dataset share, while a batch is read. `slots` is 0 before the
    /// first item.
    struct Shared {
        uint256 slots;
        uint32 dataset;
        uint24 chunks;
        address epochData;
        address batchData; // key data of the first wanted item; all others must have the same
        uint64 c; // chunk of the item that was wanted last
    }

    /// @notice Accepts the chunks that were not accepted before; the others have no effect.
    /// @dev Each chunk is accepted at once, so that the second of two equal items has no effect.
    /// All proofs are checked at the end; if they do not verify, the call reverts and undoes
    /// everything. No other contract is called before that.
    function proveAll(
        Epochs.Store storage store,
        PinnedKeys.Store storage keys,
        Datasets.Store storage datasets,
        IBatchVerifier verifier,
        IProofLedger.EpochItem[] calldata items
    ) internal {
        if (items.length == 0) revert IProofLedger.EmptyBatch();
        // Shortened below to the items that are wanted.
        bytes memory proofs = new bytes(items.length * ITEM_BYTES);
        uint256 wanted;
        Shared memory shared;
        for (uint256 i = 0; i < items.length; ++i) {
            IProofLedger.EpochItem calldata item = items[i];
            Epochs.Stored storage s = store.anchorings[item.runId][item.epoch][item.number];
            bytes32 seed = Epochs.seedOf(s, item.runId, item.epoch, item.number);
            (uint32 index, uint32 proved) = (s.dataset, s.chunksProved);
            Datasets.Stored storage dataset = datasets.list[index];
            if (shared.slots == 0 || shared.dataset != index)
                _readShared(shared, keys, dataset, index);
            if (
                !Epochs.isWanted(
                    s,
                    dataset,
                    shared.chunks,
                    proved,
                    item.c,
                    item.a,
                    item.b,
                    item.commitments
                )
            ) continue;
            if (wanted == 0) shared.batchData = shared.epochData;
            else if (shared.batchData != shared.epochData) revert IProofLedger.MixedKeys(i);
            shared.c = item.c;
            _write(proofs, wanted++, item, seed, item.c * shared.slots);
            _accept(s, shared, proved, item);
        }
        if (wanted == 0) return;
        assembly ("memory-safe") {
            mstore(proofs, mul(wanted, ITEM_BYTES))
        }
        requireValid(verifier, shared.batchData, proofs, wanted, shared.c);
    }

    /// @notice Reverts unless all proofs of a batch verify, with knowledge of U and P.
    /// @param c chunk of the proof, if the batch has one only
    function requireValid(
        IBatchVerifier verifier,
        address keyData,
        bytes memory proofs,
        uint256 count,
        uint64 c
    ) internal view {
        if (count == 1) {
            // Without the weights of a batch it costs less.
            if (!verifier.verify(keyData, proofs, Epochs.KNOWLEDGE_OF_U_AND_P))
                revert IProofLedger.ProofInvalid(c);
        } else if (!verifier.verifyBatch(keyData, proofs, Epochs.KNOWLEDGE_OF_U_AND_P)) {
            revert IProofLedger.BatchInvalid(count);
        }
    }

    /// Accepts the chunk of an item, whose proof is checked later, with all proofs of the batch.
    function _accept(
        Epochs.Stored storage s,
        Shared memory shared,
        uint32 proved,
        IProofLedger.EpochItem calldata item
    ) private {
        bool accepted = Epochs.accept(s, shared.chunks, proved, item.c, item.a, item.b);
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

    /// Reads what the items of a dataset share.
    function _readShared(
        Shared memory shared,
        PinnedKeys.Store storage keys,
        Datasets.Stored storage dataset,
        uint32 index
    ) private view {
        (shared.dataset, shared.chunks, shared.epochData) = (
            index,
            dataset.chunks,
            dataset.epochData
        );
        shared.slots = keys.list[dataset.epochKey].slots;
    }

    /// Writes the words of proof number `i` of a batch. The place of D's proof of knowledge stays
    /// zero, as it is in fresh memory.
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
