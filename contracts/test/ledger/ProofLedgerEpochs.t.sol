// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";

contract ProofLedgerEpochsTest is LedgerFixture {
    function setUp() public override {
        super.setUp();
        register(Pin.Epoch);
        runId = openRun(datasetId);
    }

    function test_anchoring() public {
        assertEq(uint256(anchor(0)), 0, "numbered from 0");
        IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, 0, 0);
        assertEq(a.datasetId, datasetId, "dataset");
        assertEq(a.seed, expectedSeed(0, 0, COUNT), "seed preimage");
        assertEq(uint256(a.consumed), COUNT, "consumed");
        assertEq(uint256(a.logSize), 77, "log size");
        assertEq(a.logRoot, LOG_ROOT, "log root");
        assertEq(uint256(a.blockNumber), block.number, "block");
        assertEq(uint256(a.chunksProved), 0, "chunks");
        assertEq(a.productA | a.productB, 0, "products");
        assertTrue(!a.accepted, "accepted");
        (uint256[2][] memory u, uint256[2][] memory p) = (points(2, 1), points(2, 2));
        for (uint64 c = 0; c < 2; ++c) {
            assertEq(
                ledger.chunkHash(runId, 0, 0, c),
                keccak256(abi.encode(u[c], p[c])),
                "chunk hash"
            );
        }
        assertEq(ledger.chunkHash(runId, 0, 0, 2), 0, "no such chunk");
    }

    /// The event's fields are enough to rebuild the seed's preimage.
    function test_anchoringEvent() public {
        (uint256[2][] memory u, uint256[2][] memory p) = (points(2, 1), points(2, 2));
        vm.recordLogs();
        anchor(3);
        bytes memory data = vm.getRecordedLogs()[0].data;
        bytes memory expected = abi.encode(
            datasetId,
            COUNT,
            77,
            LOG_ROOT,
            hashAll(u),
            hashAll(p),
            seedOf(3, 0)
        );
        assertEq(keccak256(data), keccak256(expected), "data");
    }

    function test_anchoringsAreNumbered() public {
        anchor(0);
        anchor(1);
        assertEq(uint256(anchor(0)), 1, "second of epoch 0");
        assertEq(uint256(anchor(0)), 2, "third of epoch 0");
        assertEq(uint256(anchor(1)), 1, "second of epoch 1");
        assertEq(uint256(ledger.anchoringCount(runId, 0)), 3, "count");
        assertEq(uint256(ledger.anchoringCount(runId, 2)), 0, "count of none");
        for (uint64 number = 0; number < 3; ++number) {
            assertEq(
                seedOf(0, number),
                expectedSeed(0, number, COUNT),
                "the number enters the seed"
            );
        }
        IProofLedger.Anchoring memory none;
        bytes memory actual = abi.encode(ledger.anchoringOf(runId, 0, 3));
        assertEq(keccak256(actual), keccak256(abi.encode(none)), "none: no dataset either");
    }

    function test_onlyWritersAnchor() public {
        (uint256[2][] memory u, uint256[2][] memory p) = (points(2, 1), points(2, 2));
        vm.expectRevert(
            abi.encodeWithSelector(IProofLedger.NotRunWriter.selector, runId, STRANGER)
        );
        vm.prank(STRANGER);
        ledger.anchorEpoch(runId, 0, datasetId, COUNT, u, p);
        vm.prank(OWNER);
        registry.setWriter(runId, STRANGER, true);
        vm.prank(STRANGER);
        ledger.anchorEpoch(runId, 0, datasetId, COUNT, u, p);
    }

    function test_anEpochThatUsedNothingIsNotAnchored() public {
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.NothingConsumed.selector, runId, uint64(0)),
            datasetId,
            0,
            2,
            2
        );
        assertEq(uint256(ledger.anchoringCount(runId, 0)), 0, "nothing anchored");
    }

    function test_anchorRefusals() public {
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.TooManyConsumed.selector, 301, 300),
            datasetId,
            301,
            2,
            2
        );
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.WrongPointCount.selector, 2, 1),
            datasetId,
            COUNT,
            1,
            2
        );
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.WrongPointCount.selector, 2, 3),
            datasetId,
            COUNT,
            2,
            3
        );
        DatasetId declared = datasetId;
        DatasetId other = begin(Pin.EpochOther, 2);
        bytes memory wrong = abi.encodeWithSelector(
            IProofLedger.WrongDataset.selector,
            runId,
            declared,
            other
        );
        _expectAnchor(wrong, other, COUNT, 2, 2);
        runId = openRun(other);
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.DatasetNotFinished.selector, other),
            other,
            COUNT,
            2,
            2
        );
        DatasetId nowhere = DatasetId.wrap(keccak256("nowhere"));
        runId = openRun(nowhere);
        bytes memory unknown = abi.encodeWithSelector(
            IProofLedger.UnknownDataset.selector,
            nowhere
        );
        _expectAnchor(unknown, nowhere, COUNT, 2, 2);
    }

    function test_anchorNeedsSeedAndHead() public {
        vm.startPrank(OWNER);
        runId = registry.openRun(PREREGISTRATION, datasetId);
        vm.stopPrank();
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.SeedNotDrawn.selector, runId),
            datasetId,
            COUNT,
            2,
            2
        );
        vm.roll(block.number + 3);
        registry.drawSeed(runId);
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.LogIsEmpty.selector, runId),
            datasetId,
            COUNT,
            2,
            2
        );
        vm.prank(OWNER);
        runId = registry.openLog();
        _expectAnchor(
            abi.encodeWithSelector(IProofLedger.SeedNotDrawn.selector, runId),
            datasetId,
            COUNT,
            2,
            2
        );
    }

    function test_partOfAnEpochMayBeConsumed() public {
        (uint256[2][] memory u, uint256[2][] memory p) = (points(2, 1), points(2, 2));
        vm.prank(OWNER);
        ledger.anchorEpoch(runId, 0, datasetId, 1, u, p);
        assertEq(seedOf(0, 0), expectedSeed(0, 0, 1), "T enters the seed");
    }

    function test_acceptedWhenAllChunksAreInAndProductsAgree() public {
        anchor(0);
        submit(Pin.Epoch, 0, 0, chunk(1, 7, 11));
        IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, 0, 0);
        assertTrue(!a.accepted, "not yet");
        assertEq(a.productA, 7, "A");
        assertEq(a.productB, 11, "B");
        assertTrue(ledger.isChunkProved(runId, 0, 0, 1), "chunk 1");
        assertTrue(!ledger.isChunkProved(runId, 0, 0, 0), "chunk 0");
        submit(Pin.Epoch, 0, 0, chunk(0, 11, 7));
        a = ledger.anchoringOf(runId, 0, 0);
        assertTrue(a.accepted, "accepted");
        assertEq(a.productA | a.productB, 0, "nothing is kept of agreeing products");
        assertEq(uint256(a.chunksProved), 2, "chunks");
        assertTrue(ledger.isChunkProved(runId, 0, 0, 0), "chunk 0 now");
        assertTrue(!ledger.isChunkProved(runId, 0, 0, 2), "no such chunk");
        assertTrue(!ledger.isChunkProved(runId, 1, 0, 0), "no such anchoring");
    }

    function test_productsMultiplyModR() public {
        anchor(0);
        submit(Pin.Epoch, 0, 0, chunk(0, R - 1, 1));
        submit(Pin.Epoch, 0, 0, chunk(1, R - 5, 6));
        assertEq(ledger.anchoringOf(runId, 0, 0).productA, 5, "A");
        assertEq(ledger.anchoringOf(runId, 0, 0).productB, 6, "B");
        anchor(1);
        submit(Pin.Epoch, 1, 0, chunk(0, R - 1, 1));
        submit(Pin.Epoch, 1, 0, chunk(1, R - 5, 5));
        assertTrue(ledger.anchoringOf(runId, 1, 0).accepted, "accepted");
    }

    function test_differentProductsAreNotAccepted() public {
        anchor(0);
        submit(Pin.Epoch, 0, 0, chunk(0, 7, 11));
        submit(Pin.Epoch, 0, 0, chunk(1, 7, 11));
        IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, 0, 0);
        assertTrue(!a.accepted, "accepted");
        assertEq(uint256(a.chunksProved), 2, "stays visible");
        assertEq(a.productA, 49, "A");
        assertEq(a.productB, 121, "B");
        // Too late: the chunk was accepted with other products.
        submit(Pin.Epoch, 0, 0, chunk(0, 121, 49));
        assertTrue(!ledger.anchoringOf(runId, 0, 0).accepted, "still not");
    }

    function test_acceptedChunkIsANoOp() public {
        anchor(0);
        submit(Pin.Epoch, 0, 0, chunk(0, 7, 11));
        vm.recordLogs();
        submit(Pin.Epoch, 0, 0, chunk(0, 7, 11));
        submit(Pin.Epoch, 0, 0, chunk(0, 5, 5));
        IProofLedger.Proof memory junk;
        uint256[2][3] memory coms;
        uint256[2][2] memory poks;
        ledger.proveEpoch(runId, 0, 0, 0, 0, 0, coms, poks, junk);
        assertEq(vm.getRecordedLogs().length, 0, "silent");
        IProofLedger.Anchoring memory a = ledger.anchoringOf(runId, 0, 0);
        assertEq(a.productA * a.productB * a.chunksProved, 77, "unchanged");
    }

    function test_everyKindOfKey() public {
        Pin[2] memory others = [Pin.EpochOther, Pin.EpochCeremony];
        for (uint256 i = 0; i < 2; ++i) {
            register(others[i]);
            runId = openRun(datasetId);
            anchor(0);
            submit(others[i], 0, 0, chunk(0, 2, 3));
            submit(others[i], 0, 0, chunk(1, 3, 2));
            assertTrue(ledger.anchoringOf(runId, 0, 0).accepted, "accepted");
        }
    }

    function testFuzz_twoChunks(uint256 a, uint256 b, uint256 c) public {
        (a, b, c) = (bound(a, 1, R - 1), bound(b, 1, R - 1), bound(c, 1, R - 1));
        anchor(0);
        submit(Pin.Epoch, 0, 0, chunk(0, a, b));
        submit(Pin.Epoch, 0, 0, chunk(1, b, c));
        IProofLedger.Anchoring memory x = ledger.anchoringOf(runId, 0, 0);
        assertTrue(x.accepted == (a == c), "accepted exactly when the products agree");
        assertEq(x.productA, a == c ? 0 : mulmod(a, b, R), "A");
        assertEq(x.productB, a == c ? 0 : mulmod(b, c, R), "B");
    }

    function _expectAnchor(
        bytes memory reason,
        DatasetId dataset,
        uint64 consumed,
        uint64 us,
        uint64 ps
    ) private {
        (uint256[2][] memory u, uint256[2][] memory p) = (points(us, 1), points(ps, 2));
        vm.expectRevert(reason);
        vm.prank(OWNER);
        ledger.anchorEpoch(runId, 0, dataset, consumed, u, p);
    }
}
