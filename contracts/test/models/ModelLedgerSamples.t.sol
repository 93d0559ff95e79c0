// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {Vm} from "../support/Test.sol";

contract ModelLedgerSamplesTest is ModelFixture {
    function test_acceptedWhenEveryGroupIsProved() public {
        for (uint64 stage = MERGE; stage <= QUANTIZE; ++stage) {
            (, bytes32 seed) = anchorAndDraw(stage);
            IModelLedger.Sample[] memory list = items(stage, seed);
            for (uint256 i = 0; i < list.length; ++i) {
                assertTrue(!progress(stage, 0).accepted, "not yet");
                vm.prank(STRANGER); // anybody may submit it
                proveSamples(stage, 0, one(list[i]));
            }
            IModelLedger.Progress memory p = progress(stage, 0);
            assertTrue(p.accepted, "accepted");
            assertEq(uint256(p.nextTensor), 3, "tensors");
            assertEq(uint256(p.blocksProved), 198, "blocks");
            assertEq(p.codesHash, stage == MERGE ? bytes32(0) : _codesHash(list, 7), "codes");
        }
    }

    function test_allAtOnce() public {
        for (uint64 stage = MERGE; stage <= QUANTIZE; ++stage) {
            (, bytes32 seed) = anchorAndDraw(stage);
            IModelLedger.Sample[] memory list = items(stage, seed);
            proveSamples(stage, 0, list);
            assertTrue(progress(stage, 0).accepted, "accepted");
            vm.recordLogs();
            proveSamples(stage, 0, list); // again: nothing happens
            assertEq(vm.getRecordedLogs().length, 0, "no event");
        }
    }

    function test_events() public {
        (, bytes32 seed) = anchorAndDraw(QUANTIZE);
        vm.recordLogs();
        proveSamples(QUANTIZE, 0, items(QUANTIZE, seed));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 8, "one a group, and the acceptance");
        assertEq(logs[3].topics[0], IModelLedger.SampleProved.selector, "SampleProved");
        assertEq(
            keccak256(logs[3].data),
            keccak256(abi.encode(1, 2, codesOf(1, 2))),
            "tensor, group, codes"
        );
        assertEq(logs[7].topics[0], IModelLedger.ModelAccepted.selector, "ModelAccepted");
    }

    /// An item that is sent twice counts once, in two calls and within one call.
    function test_provedItemsAreSkipped() public {
        (, bytes32 seed) = anchorAndDraw(QUANTIZE);
        IModelLedger.Sample[] memory list = new IModelLedger.Sample[](4);
        list[0] = item(QUANTIZE, seed, 0, 0);
        list[1] = item(QUANTIZE, seed, 1, 0);
        (list[2], list[3]) = (item(QUANTIZE, seed, 0, 0), item(QUANTIZE, seed, 1, 0));
        IProofLedger.Proof memory junk;
        (list[2].proof, list[3].proof) = (junk, junk);
        vm.recordLogs();
        proveSamples(QUANTIZE, 0, list);
        assertEq(vm.getRecordedLogs().length, 2, "two groups");
        proveSamples(QUANTIZE, 0, list);
        IModelLedger.Progress memory p = progress(QUANTIZE, 0);
        assertEq(uint256(p.nextTensor) * 100 + p.nextGroup, 101, "tensor 1, group 1");
        assertEq(uint256(p.blocksProved), 20, "tensor 0");
    }

    /// Nothing of a list with a bad proof is accepted.
    function test_listsAreAtomic() public {
        (, bytes32 seed) = anchorAndDraw(QUANTIZE);
        IModelLedger.Sample[] memory list = items(QUANTIZE, seed);
        list[6].proof.a = list[5].proof.a;
        // Two of the proofs are under the key of depth 1.
        _expect(abi.encodeWithSelector(IModelLedger.BatchInvalid.selector, 2), QUANTIZE, list);
        assertEq(uint256(progress(QUANTIZE, 0).nextTensor), 0, "nothing");
    }

    function test_order() public {
        (, bytes32 seed) = anchorAndDraw(QUANTIZE);
        bytes4 order = IModelLedger.OutOfOrder.selector;
        _expectOne(abi.encodeWithSelector(order, 1, 0, 0, 0), QUANTIZE, item(QUANTIZE, seed, 1, 0));
        _expectOne(abi.encodeWithSelector(order, 0, 1, 0, 0), QUANTIZE, item(QUANTIZE, seed, 0, 1));
        proveSamples(QUANTIZE, 0, one(item(QUANTIZE, seed, 0, 0)));
        _expectOne(abi.encodeWithSelector(order, 1, 1, 1, 0), QUANTIZE, item(QUANTIZE, seed, 1, 1));
        _expectOne(abi.encodeWithSelector(order, 2, 0, 1, 0), QUANTIZE, item(QUANTIZE, seed, 2, 0));
    }

    function test_nothingBehindTheLastTensor() public {
        (, bytes32 seed) = anchorAndDraw(QUANTIZE);
        proveSamples(QUANTIZE, 0, items(QUANTIZE, seed));
        IModelLedger.Sample memory x = item(QUANTIZE, seed, 2, 0);
        x.tensor = 3;
        _expectOne(abi.encodeWithSelector(IModelLedger.NotInTable.selector, 3, 0), QUANTIZE, x);
    }

    function test_notDrawn() public {
        anchor(QUANTIZE);
        IModelLedger.Sample memory x = item(QUANTIZE, 0, 0, 0);
        _expectOne(
            abi.encodeWithSelector(IModelLedger.NotDrawn.selector, runId, QUANTIZE, 0),
            QUANTIZE,
            x
        );
    }

    /// k_t = b * ceil(max(2, ceil(K * B_t / blocks)) / b), at its bounds.
    function test_draws() public {
        uint64[6] memory draws = [uint64(1), 2, 99, 100, 198, 1_000];
        uint64[6] memory groups = [uint64(1), 1, 3, 3, 5, 26]; // of the 20 blocks of tensor 0
        for (uint64 i = 0; i < 6; ++i) {
            IModelLedger.Anchoring memory a = anchoring(QUANTIZE);
            a.draws = draws[i];
            anchor(QUANTIZE, a);
            bytes32 seed = draw(QUANTIZE, i);
            for (uint64 g = 0; g < groups[i]; ++g) {
                assertEq(uint256(progress(QUANTIZE, i).nextTensor), 0, "not complete");
                proveSamples(QUANTIZE, i, one(item(QUANTIZE, seed, 0, g)));
            }
            assertEq(uint256(progress(QUANTIZE, i).nextTensor), 1, "complete");
        }
    }

    /// Every tensor has two draws at least, also where a proof opens one block.
    function test_twoDrawsAtLeast() public {
        IModelLedger.Anchoring memory a = anchoring(QUANTIZE);
        (a.draws, a.slots) = (1, 1);
        anchor(QUANTIZE, a);
        bytes32 seed = draw(QUANTIZE, 0);
        for (uint64 g = 0; g < 2; ++g) {
            assertEq(uint256(progress(QUANTIZE, 0).nextTensor), 0, "not complete");
            proveSamples(QUANTIZE, 0, one(_itemOfOneBlock(seed, g)));
        }
        assertEq(uint256(progress(QUANTIZE, 0).nextTensor), 1, "complete");
    }

    /// Group g of tensor 0, under the key that opens one block.
    function _itemOfOneBlock(
        bytes32 seed,
        uint64 g
    ) private view returns (IModelLedger.Sample memory x) {
        x = item(QUANTIZE, seed, 0, g);
        x.vkId = vk[6][1][1];
        x.codes = new uint256[](2); // 34 bytes
        (x.codes[0], x.codes[1]) = (uint256(g), 7);
        uint256[] memory inputs = new uint256[](4);
        inputs[0] = x.openings[0].root;
        inputs[1] = uint256(keccak256(abi.encode(seed, uint256(0), uint256(g)))) % 20;
        (inputs[2], inputs[3]) = (x.codes[0], x.codes[1]);
        x.proof = sim.prove(inputs, new uint256[](0), 1);
    }

    function _codesHash(
        IModelLedger.Sample[] memory list,
        uint256 count
    ) private pure returns (bytes32 digest) {
        for (uint256 i = 0; i < count; ++i)
            digest = keccak256(abi.encodePacked(digest, list[i].codes));
    }

    function _expectOne(bytes memory reason, uint64 stage, IModelLedger.Sample memory x) private {
        _expect(reason, stage, one(x));
    }

    function _expect(bytes memory reason, uint64 stage, IModelLedger.Sample[] memory list) private {
        vm.expectRevert(reason);
        proveSamples(stage, 0, list);
    }
}
