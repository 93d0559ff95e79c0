// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";
import {Vm} from "../support/Test.sol";

/// @dev Epochs that are anchored and proved in one call: what it does, and each way to cheat it.
contract ProofLedgerAtOnceTest is LedgerFixture {
    function setUp() public override {
        super.setUp();
        register(Pin.Epoch);
        runId = openRun(datasetId);
    }

    function test_acceptsEpochs() public {
        _send(_epochs());
        for (uint64 epoch = 0; epoch < 2; ++epoch) {
            IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, epoch, 0);
            assertEq(a.seed, expectedSeed(epoch, 0, COUNT), "seed preimage");
            assertEq(a.datasetId, datasetId, "dataset");
            assertTrue(a.accepted, "accepted");
            assertEq(uint256(a.chunksProved) * 1_000 + a.consumed, 2 * 1_000 + COUNT, "counts");
            assertEq(uint256(a.blockNumber), block.number, "block");
            assertEq(uint256(a.logSize), 77, "log size");
            assertEq(a.logRoot, LOG_ROOT, "log root");
            assertEq(a.productA | a.productB, 0, "products");
            assertEq(uint256(ledger.anchoringCount(runId, epoch)), 1, "count");
            for (uint64 c = 0; c < 3; ++c)
                assertTrue(ledger.isChunkProved(runId, epoch, 0, c) == (c < 2), "chunks");
            assertEq(ledger.chunkHash(runId, epoch, 0, 0), 0, "no hash of a chunk");
        }
    }

    /// The same events as of `anchorEpoch` and `proveEpoch`, from which the state follows.
    function test_events() public {
        vm.recordLogs();
        _send(_epochs());
        Vm.Log[] memory atOnce = vm.getRecordedLogs();
        runId = openRun(datasetId);
        vm.recordLogs();
        for (uint64 epoch = 0; epoch < 2; ++epoch) {
            anchor(epoch);
            for (uint64 c = 0; c < 2; ++c) submit(Pin.Epoch, epoch, 0, _chunk(c));
        }
        Vm.Log[] memory apart = vm.getRecordedLogs();
        assertEq(atOnce.length, 6, "events");
        assertEq(apart.length, 6, "events");
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(atOnce[i].topics[0], apart[i].topics[0], "event");
            assertEq(atOnce[i].topics[2], apart[i].topics[2], "epoch");
            assertEq(atOnce[i].topics[3], apart[i].topics[3], "number");
            // An anchoring's data differ in the seed, which the run's id enters.
            if (i % 3 != 0) assertEq(keccak256(atOnce[i].data), keccak256(apart[i].data), "data");
        }
    }

    /// A further anchoring of an epoch has the next number, whichever way it is made.
    function test_numbers() public {
        anchor(0);
        _send(_one(_epoch(0, 1)));
        IProofLedger.ProvedEpoch[] memory both = new IProofLedger.ProvedEpoch[](2);
        (both[0], both[1]) = (_epoch(0, 2), _epoch(0, 3));
        _send(both);
        assertEq(uint256(anchor(0)), 4, "the next");
        assertTrue(!ledger.anchoringOf(runId, 0, 0).accepted, "the first is as it was");
        for (uint64 number = 1; number < 4; ++number)
            assertTrue(ledger.anchoringOf(runId, 0, number).accepted, "accepted");
    }

    /// Further proofs of an accepted epoch have no effect.
    function test_provedAgain() public {
        _send(_one(_epoch(0, 0)));
        vm.recordLogs();
        submit(Pin.Epoch, 0, 0, _chunk(0));
        assertEq(vm.getRecordedLogs().length, 0, "no event");
        assertEq(uint256(ledger.anchoringOf(runId, 0, 0).chunksProved), 2, "chunks");
    }

    /// Each word of each proof, products and points included, at each place.
    function testFuzz_anyFalseProof(uint256 epoch, uint256 c, uint256 what) public {
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        IProofLedger.ProvedChunk memory x = list[epoch % 2].chunks[c % 2];
        what %= 8;
        uint256[2] memory by = sim.g1(99);
        if (what == 0) x.proof.a = Bn254.add(x.proof.a, by);
        if (what == 1) x.proof.c = Bn254.add(x.proof.c, by);
        if (what == 2) x.proof.b = sim.g2(9);
        if (what == 3) x.poks[0] = Bn254.add(x.poks[0], by);
        if (what == 4) x.poks[1] = [uint256(0), 0];
        if (what == 5) list[epoch % 2].u[c % 2] = by; // other challenges
        if (what == 6) list[epoch % 2].p[c % 2] = by;
        if (what == 7) list[epoch % 2].consumed -= 1; // enters the seed
        _expect(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4), list);
    }

    /// U + X and P - X, anchored in the same call, with proofs that fit their challenges: the
    /// equation holds, but not the proofs of knowledge.
    function test_pointsShiftedAgainstEachOther() public {
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        uint256[2] memory shift = sim.g1(99);
        list[0].u[0] = Bn254.add(list[0].u[0], shift);
        list[0].p[0] = Bn254.add(list[0].p[0], Bn254.negate(shift));
        bytes32 seed = expectedSeed(0, 0, COUNT, list[0].u, list[0].p);
        for (uint64 c = 0; c < 2; ++c) list[0].chunks[c].proof = epochProof(seed, _chunk(c));
        _expect(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4), list);
    }

    /// U was chosen after the challenge: the proofs are for the seed of an earlier anchoring.
    function test_challengesOfAnotherAnchoring() public {
        anchor(0);
        IProofLedger.ProvedEpoch memory x = _epoch(0, 1);
        for (uint64 c = 0; c < 2; ++c)
            x.chunks[c].proof = epochProof(expectedSeed(0, 0, COUNT), _chunk(c));
        _expectOne(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 2), x, 1);
    }

    function test_exchangedChunks() public {
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        IProofLedger.ProvedChunk[] memory chunks = list[1].chunks;
        (chunks[0], chunks[1]) = (chunks[1], chunks[0]);
        _expect(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4), list);
        list = _epochs();
        (list[0].chunks, list[1].chunks) = (list[1].chunks, list[0].chunks);
        _expect(abi.encodeWithSelector(IProofLedger.BatchInvalid.selector, 4), list);
    }

    /// Valid proofs of an epoch that used the dataset otherwise.
    function test_productsMustAgree() public {
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        Chunk memory x = chunk(1, 5, 4);
        list[1].chunks[1] = _prove(expectedSeed(1, 0, COUNT), x);
        bytes4 differ = IProofLedger.EpochProductsDiffer.selector;
        _expect(abi.encodeWithSelector(differ, 1, 3 * 5, 5 * 4), list);
    }

    function test_zeroProducts() public {
        for (uint256 i = 0; i < 2; ++i) {
            IProofLedger.ProvedEpoch[] memory list = _epochs();
            Chunk memory x = chunk(1, i, 1 - i);
            list[1].chunks[1] = _prove(expectedSeed(1, 0, COUNT), x);
            _expect(abi.encodeWithSelector(IProofLedger.ZeroProduct.selector, 1), list);
        }
    }

    function test_numbersOfChunks() public {
        IProofLedger.ProvedEpoch memory x = _epoch(0, 0);
        IProofLedger.ProvedChunk[] memory one = new IProofLedger.ProvedChunk[](1);
        one[0] = x.chunks[0];
        (one[0].a, one[0].b) = (7, 7);
        x.chunks = one; // the second would be missing
        bytes4 wrong = IProofLedger.WrongPointCount.selector;
        _expectOne(abi.encodeWithSelector(wrong, 2, 1), x, 0);
        x = _epoch(0, 0);
        x.u = points(1, 1);
        _expectOne(abi.encodeWithSelector(wrong, 2, 1), x, 0);
        x = _epoch(0, 0);
        x.p = points(3, 2);
        _expectOne(abi.encodeWithSelector(wrong, 2, 3), x, 0);
        _expect(
            abi.encodeWithSelector(IProofLedger.EmptyBatch.selector),
            new IProofLedger.ProvedEpoch[](0)
        );
    }

    function test_consumed() public {
        IProofLedger.ProvedEpoch memory x = _epoch(0, 0);
        x.consumed = 0;
        _expectOne(abi.encodeWithSelector(IProofLedger.NothingConsumed.selector, runId, 0), x, 0);
        x.consumed = COUNT + 1;
        bytes4 many = IProofLedger.TooManyConsumed.selector;
        _expectOne(abi.encodeWithSelector(many, COUNT + 1, COUNT), x, 0);
    }

    function test_numberAndHeadAreThoseOfTheProofs() public {
        IProofLedger.ProvedEpoch[] memory list = _one(_epoch(0, 1));
        bytes4 number = IProofLedger.WrongNumber.selector;
        _expect(abi.encodeWithSelector(number, runId, 0, 1, 0), list);
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        list[0].number = 0;
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.HeadMoved.selector, runId, 2, 1));
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, datasetId, 2, d, list);
    }

    /// D is the registered one, or a forgery of the proof needs nothing but the key.
    function test_otherD() public {
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        bytes32 expected = hashAll(d);
        for (uint256 i = 0; i < 3; ++i) {
            (uint256[2][] memory other, ) = dPoints(Pin.Epoch, i == 2 ? 3 : 2);
            if (i == 0) other[1] = sim.g1(99);
            if (i == 1) (other[0], other[1]) = (other[1], other[0]);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IProofLedger.WrongDatasetPoints.selector,
                    expected,
                    hashAll(other)
                )
            );
            vm.prank(OWNER);
            ledger.anchorAndProve(runId, datasetId, 1, other, list);
        }
    }

    /// A = alpha, B = beta, C = 0 and a D that cancels the rest verify for any products.
    function test_forgeryWithUncheckedD() public {
        IProofLedger.ProvedEpoch[] memory list = _one(_epoch(0, 0));
        Chunk memory x = chunk(1, 5, 3);
        uint256[] memory inputs = new uint256[](5);
        (inputs[0], inputs[1]) = challenges(expectedSeed(0, 0, COUNT));
        (inputs[2], inputs[3], inputs[4]) = (SLOTS, x.ab[0], x.ab[1]);
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        bytes32 expected = hashAll(d);
        (list[0].chunks[1].proof, d[1]) = sim.forge(inputs);
        uint256[2] memory rest = Bn254.add(sim.g1(x.scalars[1]), sim.g1(x.scalars[2]));
        d[1] = Bn254.add(d[1], Bn254.negate(rest));
        bytes4 wrong = IProofLedger.WrongDatasetPoints.selector;
        vm.expectRevert(abi.encodeWithSelector(wrong, expected, hashAll(d)));
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, datasetId, 1, d, list);
    }

    function test_onlyWritersOfARunOfThisDataset() public {
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        vm.expectRevert(
            abi.encodeWithSelector(IProofLedger.NotRunWriter.selector, runId, STRANGER)
        );
        vm.prank(STRANGER);
        ledger.anchorAndProve(runId, datasetId, 1, d, list);
        DatasetId other = DatasetId.wrap(keccak256("other"));
        vm.expectRevert(
            abi.encodeWithSelector(IProofLedger.WrongDataset.selector, runId, datasetId, other)
        );
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, other, 1, d, list);
        DatasetId begun = begin(Pin.EpochOther, 2);
        runId = openRun(begun);
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.DatasetNotFinished.selector, begun));
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, begun, 1, d, list);
    }

    /// With too little gas the call reverts as a whole; nothing is anchored.
    function testFuzz_starvedGas(uint256 gasLimit) public {
        gasLimit = bound(gasLimit, 50_000, 1_300_000);
        IProofLedger.ProvedEpoch[] memory list = _epochs();
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        vm.prank(OWNER);
        try ledger.anchorAndProve{gas: gasLimit}(runId, datasetId, 1, d, list) {
            assertTrue(ledger.anchoringOf(runId, 1, 0).accepted, "accepted");
        } catch (bytes memory reason) {
            if (reason.length != 0)
                assertTrue(bytes4(reason) == Bn254.LowGas.selector, "another reason");
            assertEq(uint256(ledger.anchoringCount(runId, 0)), 0, "nothing anchored");
        }
    }

    function _chunk(uint64 c) private pure returns (Chunk memory) {
        return chunk(c, 3 + 2 * c, 5 - 2 * c);
    }

    function _prove(
        bytes32 seed,
        Chunk memory x
    ) private view returns (IProofLedger.ProvedChunk memory) {
        return
            IProofLedger.ProvedChunk(
                x.ab[0],
                x.ab[1],
                poksOf(Pin.Epoch, x),
                epochProof(seed, x)
            );
    }

    function _epoch(
        uint64 epoch,
        uint64 number
    ) private view returns (IProofLedger.ProvedEpoch memory x) {
        (x.epoch, x.number, x.consumed) = (epoch, number, COUNT);
        (x.u, x.p) = (points(2, 1), points(2, 2));
        x.chunks = new IProofLedger.ProvedChunk[](2);
        bytes32 seed = expectedSeed(epoch, number, COUNT);
        for (uint64 c = 0; c < 2; ++c) x.chunks[c] = _prove(seed, _chunk(c));
    }

    function _epochs() private view returns (IProofLedger.ProvedEpoch[] memory list) {
        list = new IProofLedger.ProvedEpoch[](2);
        (list[0], list[1]) = (_epoch(0, 0), _epoch(1, 0));
    }

    function _one(
        IProofLedger.ProvedEpoch memory x
    ) private pure returns (IProofLedger.ProvedEpoch[] memory list) {
        list = new IProofLedger.ProvedEpoch[](1);
        list[0] = x;
    }

    function _send(IProofLedger.ProvedEpoch[] memory list) private {
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, datasetId, 1, d, list);
    }

    function _expect(bytes memory reason, IProofLedger.ProvedEpoch[] memory list) private {
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        vm.expectRevert(reason);
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, datasetId, 1, d, list);
        assertEq(uint256(ledger.anchoringCount(runId, 0)), 0, "nothing anchored");
    }

    /// As `_expect`, where epoch 0 was anchored `before` times.
    function _expectOne(
        bytes memory reason,
        IProofLedger.ProvedEpoch memory x,
        uint256 before
    ) private {
        (uint256[2][] memory d, ) = dPoints(Pin.Epoch, 2);
        vm.expectRevert(reason);
        vm.prank(OWNER);
        ledger.anchorAndProve(runId, datasetId, 1, d, _one(x));
        assertEq(uint256(ledger.anchoringCount(runId, 0)), before, "nothing anchored");
    }
}
