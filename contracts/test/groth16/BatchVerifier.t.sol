// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {BatchFixture} from "./BatchFixture.sol";

/// @dev The judge of single proofs and of knowledge, as the ledgers call it. Its answers about
/// proofs are those of the library, which Groth16.t.sol attacks.
contract BatchVerifierTest is BatchFixture {
    function test_oneProof() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 mask = 0; mask <= ALL; ++mask)
                assertTrue(verifier.verify(keys[i], pack(honest(i, 1)), mask), "valid");
        }
    }

    /// Any word of a proof, at its place among A, B, C, commitments, proofs of knowledge, inputs.
    function test_everyWordIsRead() public view {
        for (uint256 word = 0; word < ITEM_WORDS; ++word) {
            uint256[][] memory batch = honest(0, 1);
            batch[0][word] = batch[0][word] ^ 1;
            try verifier.verify(keys[0], pack(batch), ALL) returns (bool valid) {
                assertTrue(!valid, "a changed word");
            } catch (bytes memory reason) {
                assertTrue(reason.length >= 4, "refused by name");
            }
        }
    }

    function test_lengths() public {
        bytes memory item = pack(honest(0, 1));
        bytes memory longer = bytes.concat(item, bytes32(0));
        bytes memory shorter = new bytes(item.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) shorter[i] = item[i];
        bytes[4] memory wrong = [longer, shorter, bytes.concat(item, item), bytes("")];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    Groth16Batch.WrongBatchLength.selector,
                    item.length,
                    wrong[i].length
                )
            );
            verifier.verify(keys[0], wrong[i], ALL);
        }
    }

    function test_masks() public {
        bytes memory item = pack(honest(0, 1));
        vm.expectRevert(abi.encodeWithSelector(Groth16.BadMask.selector, 8));
        verifier.verify(keys[0], item, 8);
    }

    function test_knowledge() public view {
        (uint256[2][] memory points, uint256[2][] memory poks) = (
            new uint256[2][](2),
            new uint256[2][](2)
        );
        for (uint256 j = 0; j < 2; ++j)
            (points[j], poks[j]) = (sim.g1(100 + j), sim.pok(setups[0], 1, 100 + j));
        assertTrue(verifier.verifyKnowledge(keys[0], 1, points, poks), "known");
        assertTrue(!verifier.verifyKnowledge(keys[0], 0, points, poks), "as another commitment");
        poks[1] = poks[0];
        assertTrue(!verifier.verifyKnowledge(keys[0], 1, points, poks), "one is wrong");
    }
}
