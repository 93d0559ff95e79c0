// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {RunId} from "../../types/RunId.sol";
import {Vm} from "../support/Test.sol";
import {ProofLedgerBatchFixture} from "./ProofLedgerBatchFixture.sol";

/// @dev A batch accepts what `proveEpoch` accepts, item by item.
contract ProofLedgerBatchTest is ProofLedgerBatchFixture {
    function test_acceptsChunksAndEpochsInOneCall() public {
        vm.recordLogs();
        ledger.proveEpochs(honest());
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 4, "an event for each chunk");
        for (uint256 i = 0; i < 4; ++i) {
            (uint64 c, , , bool accepted) = abi.decode(
                logs[i].data,
                (uint64, uint256, uint256, bool)
            );
            assertEq(uint256(c), i % 2, "chunk");
            assertTrue(accepted == (i % 2 == 1), "the last chunk of each epoch accepts it");
        }
        for (uint64 epoch = 0; epoch < 2; ++epoch) {
            IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, epoch, 0);
            assertTrue(a.accepted, "accepted");
            assertEq(uint256(a.chunksProved), 2, "chunks");
            assertEq(a.productA | a.productB, 0, "nothing is kept of agreeing products");
        }
    }

    /// A batch makes the same events and the same state as single calls.
    function test_sameAsSingly() public {
        // Anchoring 1 has other challenges, so only what does not depend on them is compared.
        anchor(0);
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](2);
        for (uint64 c = 0; c < 2; ++c) items[c] = item(0, 1, chunk(c, 3 + c, 9));
        vm.recordLogs();
        for (uint64 c = 0; c < 2; ++c) _single(item(0, 0, chunk(c, 3 + c, 9)));
        Vm.Log[] memory singly = vm.getRecordedLogs();
        ledger.proveEpochs(items);
        Vm.Log[] memory batched = vm.getRecordedLogs();
        assertEq(singly.length, batched.length, "events");
        for (uint256 i = 0; i < singly.length; ++i) {
            assertEq(keccak256(singly[i].data), keccak256(batched[i].data), "data");
            assertEq(singly[i].topics[0], batched[i].topics[0], "event");
            assertEq(uint256(batched[i].topics[3]), 1, "number");
        }
        (IProofLedger.Anchoring memory x, IProofLedger.Anchoring memory y) = (
            ledger.anchoringOf(runId, 0, 0),
            ledger.anchoringOf(runId, 0, 1)
        );
        y.seed = x.seed;
        assertEq(keccak256(abi.encode(x)), keccak256(abi.encode(y)), "state");
    }

    /// A batch may mix runs, chunks, epochs and anchorings.
    function test_acrossRunsAndAnchorings() public {
        RunId first = runId;
        anchor(0); // anchoring number 1
        runId = openRun(datasetId);
        anchor(7);
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](4);
        (items[0], items[1]) = (item(7, 0, chunk(1, 5, 3)), item(7, 0, chunk(0, 3, 5)));
        runId = first;
        (items[2], items[3]) = (item(0, 1, chunk(0, 2, 4)), item(1, 0, chunk(1, 9, 9)));
        ledger.proveEpochs(items);
        assertTrue(ledger.isChunkProved(first, 0, 1, 0), "second anchoring");
        assertTrue(!ledger.isChunkProved(first, 0, 0, 0), "not the first");
        assertTrue(ledger.isChunkProved(first, 1, 0, 1), "another epoch");
        assertTrue(ledger.anchoringOf(items[0].runId, 7, 0).accepted, "another run");
        assertEq(ledger.anchoringOf(first, 0, 1).productA, 2, "A");
        assertEq(ledger.anchoringOf(first, 0, 1).productB, 4, "B");
    }

    /// An item that is twice in a batch counts once, and so does its variant (-A, -B, C).
    function test_repeatedItemsCountOnce() public {
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](3);
        for (uint256 i = 0; i < 3; ++i) items[i] = item(0, 0, chunk(0, 7, 7));
        items[1].proof.a = Bn254.negate(items[1].proof.a);
        (items[1].proof.b[2], items[1].proof.b[3]) = (
            Bn254.Q - items[1].proof.b[2],
            Bn254.Q - items[1].proof.b[3]
        );
        vm.recordLogs();
        ledger.proveEpochs(items);
        assertEq(vm.getRecordedLogs().length, 1, "one event");
        IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, 0, 0);
        assertEq(uint256(a.chunksProved), 1, "counted once");
        assertEq(a.productA, 7, "multiplied once");
        assertTrue(!a.accepted, "chunk 1 is missing");
    }

    /// An item whose chunk was accepted before is skipped, whatever else it holds; the others
    /// count.
    function test_acceptedItemsAreSkipped() public {
        submit(Pin.Epoch, 0, 0, chunk(0, 3, 5));
        IProofLedger.EpochItem[] memory items = honest();
        IProofLedger.Proof memory junk;
        items[0].proof = junk;
        (items[0].a, items[0].b) = (0, R + 5);
        ledger.proveEpochs(items);
        assertTrue(ledger.anchoringOf(runId, 0, 0).accepted, "accepted");
        vm.recordLogs();
        ledger.proveEpochs(items);
        assertEq(vm.getRecordedLogs().length, 0, "silent when all are");
    }

    function test_emptyAndTooLarge() public {
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.EmptyBatch.selector));
        ledger.proveEpochs(new IProofLedger.EpochItem[](0));
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](65);
        IProofLedger.EpochItem[] memory few = honest();
        for (uint64 number = 1; number <= 33; ++number) anchor(0);
        for (uint256 i = 0; i < 65; ++i) {
            items[i] = few[i % 2]; // with the proof of another anchoring; the size is checked first
            items[i].number = uint64(1 + i / 2);
            items[i] = abi.decode(abi.encode(items[i]), (IProofLedger.EpochItem));
        }
        vm.expectRevert(abi.encodeWithSelector(Groth16Batch.BadBatchSize.selector, 65));
        ledger.proveEpochs(items);
    }

    /// An item whose chunk was accepted earlier has no effect, whatever else it holds. So nothing
    /// counts twice.
    function test_itemOfAChunkAcceptedBeforeIsWithoutEffect() public {
        IProofLedger.EpochItem[] memory items = honest();
        items[1].c = 0;
        ledger.proveEpochs(items);
        IProofLedger.Anchoring memory spoiled = ledger.anchoringOf(runId, items[1].epoch, 0);
        assertEq(uint256(spoiled.chunksProved), 1, "counted once");
        assertTrue(!spoiled.accepted, "the missing chunk is missing");
        assertTrue(ledger.anchoringOf(runId, items[2].epoch, 0).accepted, "the other epoch");
    }

    function test_everyKindOfKey() public {
        Pin[2] memory others = [Pin.EpochOther, Pin.EpochCeremony];
        for (uint256 i = 0; i < 2; ++i) {
            register(others[i]);
            runId = openRun(datasetId);
            anchor(0);
            IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](2);
            for (uint64 c = 0; c < 2; ++c) items[c] = item(others[i], 0, 0, chunk(c, 2 + c, 3 - c));
            ledger.proveEpochs(items);
            assertTrue(ledger.anchoringOf(runId, 0, 0).accepted, "accepted");
        }
    }

    function testFuzz_productsDecide(uint256 a, uint256 b, uint256 c) public {
        (a, b, c) = (bound(a, 1, R - 1), bound(b, 1, R - 1), bound(c, 1, R - 1));
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](2);
        (items[0], items[1]) = (item(0, 0, chunk(0, a, b)), item(0, 0, chunk(1, b, c)));
        ledger.proveEpochs(items);
        IProofLedger.Anchoring memory x = ledger.anchoringOf(runId, 0, 0);
        assertTrue(x.accepted == (a == c), "accepted exactly when the products agree");
        assertEq(x.productA, a == c ? 0 : mulmod(a, b, R), "A");
        assertEq(x.productB, a == c ? 0 : mulmod(b, c, R), "B");
    }

    function _single(IProofLedger.EpochItem memory x) private {
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
        );
    }
}
