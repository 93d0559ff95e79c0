// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {ProofLedger} from "../../ProofLedger.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";
import {DataContract} from "../support/Simulator.sol";

/// @dev Registrations of less than what they say, and the largest one that there is.
contract ProofLedgerDatasetAttacksTest is LedgerFixture {
    /// D holds the records of the first tree only, and 0 where those of the second should be. So
    /// its products agree with those of the first tree alone.
    function test_finishNeedsTheTreesOfAllRecords() public {
        DatasetId id = begin(Pin.Epoch512, 1);
        ledger.proveTree(id, 0, 6, 2, treeProof(0, 6, 2));
        ledger.proveLink(id, 0, sim.g1(dScalar(0)), 6, 2, linkProof(0, 6, 2));
        bytes4 incomplete = IProofLedger.DatasetIncomplete.selector;
        vm.expectRevert(abi.encodeWithSelector(incomplete, id, 1, 1));
        ledger.finishDataset(id);
        assertTrue(!ledger.datasetOf(id).finished, "not finished");
    }

    /// Finishing again is no further registration for those who read events.
    function test_finishedOnce() public {
        DatasetId id = register(Pin.Epoch);
        vm.recordLogs();
        ledger.finishDataset(id);
        assertEq(vm.getRecordedLogs().length, 0, "no event");
    }

    /// The records of a chunk without a point would be in no epoch.
    function test_aChunkWithoutPoint() public {
        bytes4 points = IProofLedger.WrongPointCount.selector;
        (, uint256[2][] memory poks) = dPoints(Pin.Epoch, 2);
        for (uint64 m = 1; m <= 3; m += 2) {
            (uint256[2][] memory d, ) = dPoints(Pin.Epoch, m);
            _expect(abi.encodeWithSelector(points, 2, m), 5, d, poks);
        }
    }

    /// The root of a tree of six levels, said to be one of five.
    function test_depthIsThatOfTheProofs() public {
        (uint256[2][] memory d, uint256[2][] memory poks) = dPoints(Pin.Epoch, 2);
        _expect(abi.encodeWithSelector(IProofLedger.WrongDepth.selector, 5, COUNT, 6), 6, d, poks);
    }

    /// 16^6 records, in 16 chunks of the largest circuit.
    function test_theLargestDataset() public {
        IProofLedger.KeyPin[] memory two = new IProofLedger.KeyPin[](2);
        two[0] = DataContract.pin(sim.keyBytes(sim.epochSetup(2 ** 20, false, true)));
        two[1] = pins[uint256(Pin.TreeDeep)];
        ledger = ProofLedger(deploy("ProofLedger", abi.encode(address(registry), two)));
        (uint256[2][] memory d, uint256[2][] memory poks) = dPoints(Pin.Epoch, 16);
        DatasetId id = ledger.beginDataset(two[0].vkId, two[1].vkId, ROOT, 6, 16 ** 6, d, poks);
        assertEq(uint256(ledger.datasetOf(id).count), 16 ** 6, "count");
        assertEq(uint256(ledger.datasetOf(id).chunks), 16, "chunks");
    }

    /// A registration of 300 records with depth 5, and proofs of a tree of `levels`.
    function _expect(
        bytes memory reason,
        uint256 levels,
        uint256[2][] memory d,
        uint256[2][] memory poks
    ) private {
        vm.expectRevert(reason);
        ledger.beginDataset(
            vk(Pin.Epoch),
            vk(levels == 5 ? Pin.Tree : Pin.TreeDeep),
            ROOT,
            5,
            COUNT,
            d,
            poks
        );
    }
}
