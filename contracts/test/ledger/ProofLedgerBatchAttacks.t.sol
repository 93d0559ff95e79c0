// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {RunId} from "../../types/RunId.sol";
import {ProofLedgerBatchFixture} from "./ProofLedgerBatchFixture.sol";

/// @dev Every attack on one item is tried at every position of a batch.
contract ProofLedgerBatchAttacksTest is ProofLedgerBatchFixture {
    /// One bad proof at any position reverts the batch; the error tells how many were checked.
    function test_oneBadProofUndoesAll() public {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 what = 0; what < 6; ++what) {
                IProofLedger.EpochItem[] memory items = honest();
                spoil(items[i], what);
                vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
                ledger.proveEpochs(items);
                expectNothing();
            }
        }
        ledger.proveEpochs(honest());
    }

    /// Errors +X in A of one proof and -X in A of another, and the same in C and in poks: without
    /// weights they would cancel.
    function test_errorsThatCancel() public {
        for (uint256 what = 0; what < 4; ++what) {
            IProofLedger.EpochItem[] memory items = honest();
            shift(items[0], what, 99);
            shift(items[3], what, R - 99);
            vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
            ledger.proveEpochs(items);
        }
    }

    /// All checks besides that of the proof, at every position: D, U and P, products, chunk,
    /// anchoring.
    function test_everyCheckOfASingleProof() public {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 k = 0; k < 3; ++k) {
                IProofLedger.EpochItem[] memory items = honest();
                items[i].commitments[k] = Bn254.add(items[i].commitments[k], sim.g1(99));
                _expectSameRefusal(items, i);
                // The sum of the commitments does not change.
                uint256 other = (k + 1) % 3;
                items[i].commitments[other] = Bn254.add(
                    items[i].commitments[other],
                    sim.g1(R - 99)
                );
                _expectSameRefusal(items, i);
            }
            IProofLedger.EpochItem[] memory batch = honest();
            batch[i].a = 0;
            _expectSameRefusal(batch, i);
            (batch[i].a, batch[i].b) = (7, 0);
            _expectSameRefusal(batch, i);
            batch = honest();
            if (batch[i].c == 0) {
                batch[i].c = 1; // the other chunk, whose own item comes later
                _expectSameRefusal(batch, i);
            }
            batch[i].c = 2;
            _expectSameRefusal(batch, i);
            batch = honest();
            batch[i].number = 1;
            _expectSameRefusal(batch, i);
            batch[i].epoch = 9;
            _expectSameRefusal(batch, i);
            batch[i].runId = RunId.wrap(keccak256("no run"));
            _expectSameRefusal(batch, i);
        }
    }

    /// D + X in one item and D - X in another are refused: neither is the registered point.
    function test_registeredPointsShiftedAcrossItems() public {
        IProofLedger.EpochItem[] memory items = honest();
        items[0].commitments[0] = Bn254.add(items[0].commitments[0], sim.g1(99));
        items[2].commitments[0] = Bn254.add(items[2].commitments[0], sim.g1(R - 99));
        _expectSameRefusal(items, 0);
    }

    /// U + X and P - X are anchored: only the proofs of knowledge show that something is wrong.
    function test_anchoredPointsShiftedAgainstEachOther() public {
        uint256[2][] memory u = points(2, 1);
        uint256[2][] memory p = points(2, 2);
        u[0] = Bn254.add(u[0], sim.g1(99));
        p[0] = Bn254.add(p[0], sim.g1(R - 99));
        vm.prank(OWNER);
        ledger.anchorEpoch(runId, 2, datasetId, COUNT, u, p);
        IProofLedger.EpochItem[] memory items = honest();
        for (uint256 i = 0; i < 4; ++i) {
            items = honest();
            items[i] = item(2, 0, chunk(0, 7, 7));
            (items[i].commitments[1], items[i].commitments[2]) = (u[0], p[0]);
            vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
            ledger.proveEpochs(items);
        }
    }

    /// Products plus k r. The ledger sets the other public inputs.
    function test_productsBelowR() public {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 times = 1; times <= 5; times += 2) {
                IProofLedger.EpochItem[] memory items = honest();
                items[i].a += times * R;
                vm.expectRevert(
                    abi.encodeWithSelector(Groth16Batch.InputNotInField.selector, i, 3, items[i].a)
                );
                ledger.proveEpochs(items);
                items = honest();
                items[i].b += times * R;
                vm.expectRevert(
                    abi.encodeWithSelector(Groth16Batch.InputNotInField.selector, i, 4, items[i].b)
                );
                ledger.proveEpochs(items);
            }
        }
    }

    /// Valid proofs of two anchorings, each submitted for the other.
    function test_itemsSwappedBetweenAnchorings() public {
        IProofLedger.EpochItem[] memory items = honest();
        (items[0].epoch, items[2].epoch) = (items[2].epoch, items[0].epoch);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
        ledger.proveEpochs(items);
        items = honest();
        (items[0].proof, items[2].proof) = (items[2].proof, items[0].proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
        ledger.proveEpochs(items);
    }

    /// An epoch under another key in the batch, and proofs made with another key.
    function test_anotherKey() public {
        RunId first = runId;
        register(Pin.EpochOther);
        runId = openRun(datasetId);
        anchor(0);
        IProofLedger.EpochItem memory other = item(Pin.EpochOther, 0, 0, chunk(0, 7, 7));
        // Proofs of knowledge made under the first key.
        IProofLedger.EpochItem memory wrong = item(0, 0, chunk(0, 7, 7));
        runId = first;
        IProofLedger.EpochItem[] memory items = honest();
        items[2] = other;
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.MixedKeys.selector, 2));
        ledger.proveEpochs(items);
        items = new IProofLedger.EpochItem[](1);
        items[0] = wrong;
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.ProofInvalid.selector, 0));
        ledger.proveEpochs(items);
        items[0] = other;
        ledger.proveEpochs(items);
    }

    /// With too little gas a valid batch reverts as a whole; nothing is recorded.
    function testFuzz_starvedGas(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 50_000, 1_200_000);
        IProofLedger.EpochItem[] memory items = honest();
        try ledger.proveEpochs{gas: gasLimit}(items) {
            assertTrue(ledger.anchoringOf(runId, 1, 0).accepted, "recorded");
        } catch (bytes memory reason) {
            if (reason.length != 0)
                assertTrue(bytes4(reason) == Bn254.LowGas.selector, "another reason");
            expectNothing();
        }
    }

    /// The ledger's verifier is at the address of the first contract that the ledger created. So
    /// nobody can have put another one there.
    function test_theVerifierIsTheLedgersOwn() public {
        address created = address(
            // EIP-161: a contract's first nonce is 1.
            uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(ledger), hex"01"))))
        );
        assertEq(ledger.batchVerifier(), created, "address");
        assertEq(created.codehash, deploy("BatchVerifier", "").codehash, "code");
        // The ledger would believe a verifier that accepts everything.
        vm.etch(created, hex"600160005260206000f3");
        IProofLedger.EpochItem[] memory items = honest();
        spoil(items[0], 0);
        ledger.proveEpochs(items);
        assertTrue(
            IBatchVerifier(created).verifyBatch(address(0), "", 0),
            "so the address must be the ledger's to choose"
        );
    }

    /// The batch reverts with the error that `proveEpoch` gives for item i.
    function _expectSameRefusal(IProofLedger.EpochItem[] memory items, uint256 i) private {
        IProofLedger.EpochItem memory x = items[i];
        try
            ledger.proveEpoch(
                x.runId,
                x.epoch,
                x.number,
                x.c,
                x.a,
                x.b,
                x.commitments,
                x.poks,
                x.proof
            )
        {
            assertTrue(false, "accepted singly");
        } catch (bytes memory reason) {
            vm.expectRevert(reason);
            ledger.proveEpochs(items);
            expectNothing();
        }
    }
}
