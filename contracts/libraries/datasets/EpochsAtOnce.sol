// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../groth16/Bn254.sol";
import {Challenges} from "../seeds/Challenges.sol";
import {EpochBatches} from "./EpochBatches.sol";
import {Epochs} from "./Epochs.sol";

/// @title Anchoring epochs and proving all their chunks in one call.
/// @notice An anchoring fixes points before their challenges by hashing them; no block and no hash
/// of the chain comes between. So it may stand in the same call as the proofs. What it saves is
/// storage: hashes of chunks and products never leave memory.
library EpochsAtOnce {
    using Epochs for Epochs.Store;

    uint256 private constant ITEM_BYTES = EpochBatches.ITEM_BYTES;

    /// @dev The batch while it is written: the words of its proofs, and how many there are so far.
    struct Batch {
        bytes proofs;
        uint256 count;
    }

    /// @notice Anchors and accepts epochs.
    /// @dev All proofs are checked at the end; if they do not verify, the call reverts and undoes
    /// everything. No other contract is called before that.
    /// @param e what the epochs share, and `head`: see `Epochs.open`
    /// @param keyData bytes of the dataset's epoch key
    /// @param d all D points of the dataset
    function anchorAndProve(
        Epochs.Store storage store,
        IBatchVerifier verifier,
        Challenges.Epoch memory e,
        Epochs.Head memory head,
        address keyData,
        uint256[2][] calldata d,
        IProofLedger.ProvedEpoch[] calldata epochs
    ) internal {
        if (epochs.length == 0) revert IProofLedger.EmptyBatch();
        bytes32 dHash = Challenges.hashOf(d);
        if (dHash != e.dHash) revert IProofLedger.WrongDatasetPoints(e.dHash, dHash);
        Batch memory batch;
        batch.proofs = new bytes(epochs.length * e.chunks * ITEM_BYTES);
        for (uint256 i = 0; i < epochs.length; ++i) {
            IProofLedger.ProvedEpoch calldata epoch = epochs[i];
            Epochs.Stored storage s = store.fix(
                e,
                head,
                epoch.epoch,
                epoch.consumed,
                epoch.u,
                epoch.p
            );
            if (epoch.number != e.number) {
                revert IProofLedger.WrongNumber(
                    e.runId,
                    epoch.epoch,
                    epoch.number,
                    uint64(e.number)
                );
            }
            _accept(s, e, d, epoch, batch);
        }
        EpochBatches.requireValid(verifier, keyData, batch.proofs, batch.count, 0);
    }

    /// Accepts all chunks of an epoch, whose proofs are checked later, with all of the batch.
    function _accept(
        Epochs.Stored storage s,
        Challenges.Epoch memory e,
        uint256[2][] calldata d,
        IProofLedger.ProvedEpoch calldata epoch,
        Batch memory batch
    ) private {
        uint256 chunks = epoch.chunks.length;
        if (chunks != e.chunks) revert IProofLedger.WrongPointCount(uint64(e.chunks), chunks);
        (uint256 gamma, uint256 delta) = Challenges.fromSeed(s.seed);
        (uint256 productA, uint256 productB) = (1, 1);
        for (uint64 c = 0; c < chunks; ++c) {
            IProofLedger.ProvedChunk calldata chunk = epoch.chunks[c];
            (uint256 a, uint256 b) = (chunk.a, chunk.b);
            if (a == 0 || b == 0) revert IProofLedger.ZeroProduct(c);
            productA = mulmod(productA, a, Bn254.R);
            productB = mulmod(productB, b, Bn254.R);
            bytes memory item = abi.encode(
                chunk.proof,
                d[c],
                epoch.u[c],
                epoch.p[c],
                uint256(0), // D's proof of knowledge was checked when the dataset was registered
                uint256(0),
                chunk.poks,
                gamma,
                delta,
                c * e.slots,
                a,
                b
            );
            _append(batch, item);
            emit IProofLedger.EpochChunkProved(
                e.runId,
                epoch.epoch,
                epoch.number,
                c,
                a,
                b,
                c + 1 == chunks
            );
        }
        if (productA != productB)
            revert IProofLedger.EpochProductsDiffer(epoch.epoch, productA, productB);
        (s.chunksProved, s.accepted) = (uint32(chunks), true);
    }

    function _append(Batch memory batch, bytes memory item) private pure {
        bytes memory proofs = batch.proofs;
        uint256 place = batch.count++ * ITEM_BYTES;
        assert(place + ITEM_BYTES <= proofs.length && item.length == ITEM_BYTES);
        assembly ("memory-safe") {
            mcopy(add(add(proofs, 32), place), add(item, 32), mload(item))
        }
    }
}
