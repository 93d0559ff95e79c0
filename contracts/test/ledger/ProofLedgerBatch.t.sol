// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "../../interfaces/IBatchVerifier.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {RunId} from "../../types/RunId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";
import {Vm} from "../support/Test.sol";

/// @dev Batches of epoch chunks: what they accept is what `proveEpoch` accepts, item by item, and every attack on one item is
/// tried at every position. Two epochs of two chunks are anchored.
contract ProofLedgerBatchTest is LedgerFixture {
    function setUp() public override {
        super.setUp();
        register(Pin.Epoch);
        runId = openRun(datasetId);
        anchor(0);
        anchor(1);
    }

    function test_acceptsChunksAndEpochsInOneCall() public {
        vm.recordLogs();
        ledger.proveEpochs(_honest());
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 4, "an event for each chunk");
        for (uint256 i = 0; i < 4; ++i) {
            (uint64 c, , , bool accepted) = abi.decode(logs[i].data, (uint64, uint256, uint256, bool));
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

    /// The same events and the same state as one call after another.
    function test_sameAsSingly() public {
        anchor(0); // number 1 has other challenges, so only what does not depend on the proof is compared
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](2);
        for (uint64 c = 0; c < 2; ++c) items[c] = _item(0, 1, chunk(c, 3 + c, 9));
        vm.recordLogs();
        for (uint64 c = 0; c < 2; ++c) _single(_item(0, 0, chunk(c, 3 + c, 9)));
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

    /// Runs, datasets' chunks, epochs and anchorings mixed.
    function test_acrossRunsAndAnchorings() public {
        RunId first = runId;
        anchor(0); // number 1
        runId = openRun(datasetId);
        anchor(7);
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](4);
        (items[0], items[1]) = (_item(7, 0, chunk(1, 5, 3)), _item(7, 0, chunk(0, 3, 5)));
        runId = first;
        (items[2], items[3]) = (_item(0, 1, chunk(0, 2, 4)), _item(1, 0, chunk(1, 9, 9)));
        ledger.proveEpochs(items);
        assertTrue(ledger.isChunkProved(first, 0, 1, 0), "second anchoring");
        assertTrue(!ledger.isChunkProved(first, 0, 0, 0), "not the first");
        assertTrue(ledger.isChunkProved(first, 1, 0, 1), "another epoch");
        assertTrue(ledger.anchoringOf(items[0].runId, 7, 0).accepted, "another run");
        assertEq(ledger.anchoringOf(first, 0, 1).productA, 2, "A");
        assertEq(ledger.anchoringOf(first, 0, 1).productB, 4, "B");
    }

    /// The same item twice in one batch, and its twin (-A, -B, C), count once.
    function test_repeatedItemsCountOnce() public {
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](3);
        for (uint256 i = 0; i < 3; ++i) items[i] = _item(0, 0, chunk(0, 7, 7));
        items[1].proof.a = Bn254.negate(items[1].proof.a);
        (items[1].proof.b[2], items[1].proof.b[3]) = (Bn254.Q - items[1].proof.b[2], Bn254.Q - items[1].proof.b[3]);
        vm.recordLogs();
        ledger.proveEpochs(items);
        assertEq(vm.getRecordedLogs().length, 1, "one event");
        IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, 0, 0);
        assertEq(uint256(a.chunksProved), 1, "counted once");
        assertEq(a.productA, 7, "multiplied once");
        assertTrue(!a.accepted, "chunk 1 is missing");
    }

    /// What was accepted before is passed over, whatever comes with it now; the rest counts.
    function test_acceptedItemsAreSkipped() public {
        submit(Pin.Epoch, 0, 0, chunk(0, 3, 5));
        IProofLedger.EpochItem[] memory items = _honest();
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
        IProofLedger.EpochItem[] memory few = _honest();
        for (uint64 number = 1; number <= 33; ++number) anchor(0);
        for (uint256 i = 0; i < 65; ++i) {
            items[i] = few[i % 2]; // its proof is another anchoring's; the size is refused first
            items[i].number = uint64(1 + i / 2);
            items[i] = abi.decode(abi.encode(items[i]), (IProofLedger.EpochItem));
        }
        vm.expectRevert(abi.encodeWithSelector(Groth16Batch.BadBatchSize.selector, 65));
        ledger.proveEpochs(items);
    }

    /// One bad proof at any position reverts all, and names how many were checked.
    function test_oneBadProofUndoesAll() public {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 what = 0; what < 6; ++what) {
                IProofLedger.EpochItem[] memory items = _honest();
                _spoil(items[i], what);
                vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
                ledger.proveEpochs(items);
                _expectNothing();
            }
        }
        ledger.proveEpochs(_honest());
    }

    /// A + X in one proof and A - X in another, likewise C, and poks: without weights the errors would cancel.
    function test_errorsThatCancel() public {
        for (uint256 what = 0; what < 4; ++what) {
            IProofLedger.EpochItem[] memory items = _honest();
            _shift(items[0], what, 99);
            _shift(items[3], what, R - 99);
            vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
            ledger.proveEpochs(items);
        }
    }

    /// Every check that is not the proof's: D, U and P, products, chunk, anchoring, at every position.
    function test_everyCheckOfASingleProof() public {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 k = 0; k < 3; ++k) {
                IProofLedger.EpochItem[] memory items = _honest();
                items[i].commitments[k] = Bn254.add(items[i].commitments[k], sim.g1(99));
                _expectSameRefusal(items, i);
                // The sum of the commitments stays what it was.
                uint256 other = (k + 1) % 3;
                items[i].commitments[other] = Bn254.add(items[i].commitments[other], sim.g1(R - 99));
                _expectSameRefusal(items, i);
            }
            IProofLedger.EpochItem[] memory batch = _honest();
            batch[i].a = 0;
            _expectSameRefusal(batch, i);
            (batch[i].a, batch[i].b) = (7, 0);
            _expectSameRefusal(batch, i);
            batch = _honest();
            if (batch[i].c == 0) {
                batch[i].c = 1; // the other chunk, whose own item comes later
                _expectSameRefusal(batch, i);
            }
            batch[i].c = 2;
            _expectSameRefusal(batch, i);
            batch = _honest();
            batch[i].number = 1;
            _expectSameRefusal(batch, i);
            batch[i].epoch = 9;
            _expectSameRefusal(batch, i);
            batch[i].runId = RunId.wrap(keccak256("no run"));
            _expectSameRefusal(batch, i);
        }
    }

    /// An item that names a chunk accepted before it is without effect, whatever it holds: nothing counts twice.
    function test_itemOfAChunkAcceptedBeforeIsWithoutEffect() public {
        IProofLedger.EpochItem[] memory items = _honest();
        items[1].c = 0;
        ledger.proveEpochs(items);
        IProofLedger.Anchoring memory spoiled = ledger.anchoringOf(runId, items[1].epoch, 0);
        assertEq(uint256(spoiled.chunksProved), 1, "counted once");
        assertTrue(!spoiled.accepted, "the missing chunk is missing");
        assertTrue(ledger.anchoringOf(runId, items[2].epoch, 0).accepted, "the other epoch");
    }

    /// D + X in one item and D - X in another: neither is the registered point.
    function test_registeredPointsShiftedAcrossItems() public {
        IProofLedger.EpochItem[] memory items = _honest();
        items[0].commitments[0] = Bn254.add(items[0].commitments[0], sim.g1(99));
        items[2].commitments[0] = Bn254.add(items[2].commitments[0], sim.g1(R - 99));
        _expectSameRefusal(items, 0);
    }

    /// U + X with P - X, anchored like that: only their proofs of knowledge tell.
    function test_anchoredPointsShiftedAgainstEachOther() public {
        uint256[2][] memory u = points(2, 1);
        uint256[2][] memory p = points(2, 2);
        u[0] = Bn254.add(u[0], sim.g1(99));
        p[0] = Bn254.add(p[0], sim.g1(R - 99));
        vm.prank(OWNER);
        ledger.anchorEpoch(runId, 2, datasetId, COUNT, u, p);
        IProofLedger.EpochItem[] memory items = _honest();
        for (uint256 i = 0; i < 4; ++i) {
            items = _honest();
            items[i] = _item(2, 0, chunk(0, 7, 7));
            (items[i].commitments[1], items[i].commitments[2]) = (u[0], p[0]);
            vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
            ledger.proveEpochs(items);
        }
    }

    /// x + k r for the products; the other inputs are the ledger's.
    function test_productsBelowR() public {
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 times = 1; times <= 5; times += 2) {
                IProofLedger.EpochItem[] memory items = _honest();
                items[i].a += times * R;
                vm.expectRevert(abi.encodeWithSelector(Groth16Batch.InputNotInField.selector, i, 3, items[i].a));
                ledger.proveEpochs(items);
                items = _honest();
                items[i].b += times * R;
                vm.expectRevert(abi.encodeWithSelector(Groth16Batch.InputNotInField.selector, i, 4, items[i].b));
                ledger.proveEpochs(items);
            }
        }
    }

    /// Valid proofs of two anchorings, each submitted for the other.
    function test_itemsSwappedBetweenAnchorings() public {
        IProofLedger.EpochItem[] memory items = _honest();
        (items[0].epoch, items[2].epoch) = (items[2].epoch, items[0].epoch);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
        ledger.proveEpochs(items);
        items = _honest();
        (items[0].proof, items[2].proof) = (items[2].proof, items[0].proof);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4));
        ledger.proveEpochs(items);
    }

    /// Another key's epoch in the batch, and proofs made with another key.
    function test_anotherKey() public {
        RunId first = runId;
        register(Pin.EpochDistinct);
        runId = openRun(datasetId);
        anchor(0);
        IProofLedger.EpochItem memory other = _item(Pin.EpochDistinct, 0, 0, chunk(0, 7, 7));
        IProofLedger.EpochItem memory wrong = _item(0, 0, chunk(0, 7, 7)); // proofs of knowledge under the first key
        runId = first;
        IProofLedger.EpochItem[] memory items = _honest();
        items[2] = other;
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.MixedKeys.selector, 2));
        ledger.proveEpochs(items);
        items = new IProofLedger.EpochItem[](1);
        items[0] = wrong;
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 1));
        ledger.proveEpochs(items);
        items[0] = other;
        ledger.proveEpochs(items);
    }

    function test_everyKindOfKey() public {
        Pin[2] memory others = [Pin.EpochDistinct, Pin.EpochCeremony];
        for (uint256 i = 0; i < 2; ++i) {
            register(others[i]);
            runId = openRun(datasetId);
            anchor(0);
            IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](2);
            for (uint64 c = 0; c < 2; ++c) items[c] = _item(others[i], 0, 0, chunk(c, 2 + c, 3 - c));
            ledger.proveEpochs(items);
            assertTrue(ledger.anchoringOf(runId, 0, 0).accepted, "accepted");
        }
    }

    function testFuzz_productsDecide(uint256 a, uint256 b, uint256 c) public {
        (a, b, c) = (bound(a, 1, R - 1), bound(b, 1, R - 1), bound(c, 1, R - 1));
        IProofLedger.EpochItem[] memory items = new IProofLedger.EpochItem[](2);
        (items[0], items[1]) = (_item(0, 0, chunk(0, a, b)), _item(0, 0, chunk(1, b, c)));
        ledger.proveEpochs(items);
        IProofLedger.Anchoring memory x = ledger.anchoringOf(runId, 0, 0);
        assertTrue(x.accepted == (a == c), "accepted exactly when the products agree");
        assertEq(x.productA, a == c ? 0 : mulmod(a, b, R), "A");
        assertEq(x.productB, a == c ? 0 : mulmod(b, c, R), "B");
    }

    /// With too little gas a valid batch reverts as a whole; nothing is ever recorded as false or by half.
    function testFuzz_starvedGas(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 50_000, 1_200_000);
        IProofLedger.EpochItem[] memory items = _honest();
        try ledger.proveEpochs{gas: gasLimit}(items) {
            assertTrue(ledger.anchoringOf(runId, 1, 0).accepted, "recorded");
        } catch (bytes memory reason) {
            if (reason.length != 0) assertTrue(bytes4(reason) == Bn254.LowGas.selector, "another reason");
            _expectNothing();
        }
    }

    /// The ledger's verifier is the contract that it created first: nobody can have put another one there.
    function test_theVerifierIsTheLedgersOwn() public {
        address created = address(
            uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(ledger), hex"01")))) // EIP-161: the first nonce is 1
        );
        assertEq(ledger.batchVerifier(), created, "address");
        assertEq(created.codehash, deploy("BatchVerifier", "").codehash, "code");
        vm.etch(created, hex"600160005260206000f3"); // a verifier that accepts everything would be believed
        IProofLedger.EpochItem[] memory items = _honest();
        _spoil(items[0], 0);
        ledger.proveEpochs(items);
        assertTrue(IBatchVerifier(created).verifyBatch(address(0), "", 0), "so the address must be the ledger's to choose");
    }

    function _honest() private view returns (IProofLedger.EpochItem[] memory items) {
        items = new IProofLedger.EpochItem[](4);
        for (uint64 i = 0; i < 4; ++i) items[i] = _item(i / 2, 0, chunk(i % 2, 3 + 2 * (i % 2), 5 - 2 * (i % 2)));
    }

    function _item(uint64 epoch, uint64 number, Chunk memory x) private view returns (IProofLedger.EpochItem memory) {
        return _item(Pin.Epoch, epoch, number, x);
    }

    function _item(
        Pin pin,
        uint64 epoch,
        uint64 number,
        Chunk memory x
    ) private view returns (IProofLedger.EpochItem memory) {
        return
            IProofLedger.EpochItem({
                runId: runId,
                epoch: epoch,
                number: number,
                c: x.c,
                a: x.ab[0],
                b: x.ab[1],
                commitments: commitments(x),
                poks: poksOf(pin, x),
                proof: epochProof(seedOf(epoch, number), x)
            });
    }

    function _single(IProofLedger.EpochItem memory x) private {
        ledger.proveEpoch(x.runId, x.epoch, x.number, x.c, x.a, x.b, x.commitments, x.poks, x.proof);
    }

    /// What `proveEpoch` answers to item i is what the batch answers.
    function _expectSameRefusal(IProofLedger.EpochItem[] memory items, uint256 i) private {
        IProofLedger.EpochItem memory x = items[i];
        try ledger.proveEpoch(x.runId, x.epoch, x.number, x.c, x.a, x.b, x.commitments, x.poks, x.proof) {
            assertTrue(false, "accepted singly");
        } catch (bytes memory reason) {
            vm.expectRevert(reason);
            ledger.proveEpochs(items);
            _expectNothing();
        }
    }

    function _expectNothing() private view {
        for (uint64 epoch = 0; epoch < 2; ++epoch) {
            IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, epoch, 0);
            assertEq(a.chunksProved | a.productA | a.productB, 0, "nothing recorded");
        }
    }

    function _spoil(IProofLedger.EpochItem memory x, uint256 what) private view {
        if (what < 4) _shift(x, what, 99);
        else if (what == 4) x.a = addmod(x.a, 1, R);
        else x.b = addmod(x.b, 1, R);
    }

    /// A, C, pok of U or pok of P += scalar * generator.
    function _shift(IProofLedger.EpochItem memory x, uint256 what, uint256 scalar) private view {
        uint256[2] memory by = sim.g1(scalar);
        if (what == 0) x.proof.a = Bn254.add(x.proof.a, by);
        else if (what == 1) x.proof.c = Bn254.add(x.proof.c, by);
        else x.poks[what - 2] = Bn254.add(x.poks[what - 2], by);
    }
}
