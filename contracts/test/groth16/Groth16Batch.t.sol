// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {KeyId} from "../../types/KeyId.sol";
import {DataContract} from "../support/Simulator.sol";
import {BatchFixture} from "./BatchFixture.sol";

/// @dev What a batch accepts, its sizes, and its weights.
contract Groth16BatchTest is BatchFixture {
    function test_everyMaskOfEveryKey() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 mask = 0; mask <= ALL; ++mask) {
                for (uint256 n = 1; n <= 3; ++n) assertTrue(verify(i, honest(i, n), mask), "valid");
            }
        }
    }

    function testFuzz_valid(uint256 salt, uint256 n, uint256 mask) public view {
        uint256 i = salt % 3;
        uint256[][] memory batch = new uint256[][](bound(n, 1, 5));
        for (uint256 j = 0; j < batch.length; ++j) {
            batch[j] = prove(i, inputsOf(salt ^ j), scalarsOf(salt ^ j), salt);
        }
        assertTrue(verify(i, batch, mask & ALL), "valid");
    }

    function test_everyWordEntersTheWeights() public pure {
        uint256[][] memory batch = new uint256[][](2);
        for (uint256 j = 0; j < 2; ++j) batch[j] = new uint256[](ITEM_WORDS);
        KeyId key = KeyId.wrap(keccak256("key"));
        bytes32 seed = Groth16Batch.weightSeed(key, pack(batch));
        KeyId another = KeyId.wrap(keccak256("another"));
        assertTrue(Groth16Batch.weightSeed(another, pack(batch)) != seed, "key id");
        for (uint256 j = 0; j < 2; ++j) {
            for (uint256 i = 0; i < ITEM_WORDS; ++i) {
                batch[j][i] = 1;
                assertTrue(Groth16Batch.weightSeed(key, pack(batch)) != seed, "word");
                batch[j][i] = 0;
            }
        }
        bytes memory items = pack(batch);
        bytes32 expected = keccak256(bytes.concat(KeyId.unwrap(key), items));
        assertEq(Groth16Batch.weightSeed(key, items), expected, "preimage");
        assertEq(items.length, 2 * ITEM_WORDS * 32, "hashing leaves the batch as it was");
    }

    function testFuzz_weightsAreShortAndNotZero(bytes32 seed, uint256 i) public pure {
        uint256 w = Groth16Batch.weight(seed, i);
        assertTrue(w != 0 && w < 1 << 128, "weight");
        assertTrue(w != Groth16Batch.weight(seed, i ^ 1), "another number, another weight");
    }

    /// The multiplication precompile and mulmod treat x + k r as x.
    function test_publicInputsAreBelowR() public {
        for (uint256 j = 0; j < 3; ++j) {
            for (uint256 i = 0; i < 5; ++i) {
                for (uint256 times = 1; times <= 4; times += 3) {
                    uint256[][] memory batch = honest(0, 3);
                    _expectNotInField(batch, j, i, batch[j][INPUTS + i] + times * Bn254.R);
                }
                uint256[][] memory ofZero = honest(0, 3);
                uint256[] memory inputs = inputsOf(j);
                inputs[i] = 0;
                ofZero[j] = prove(0, inputs, scalarsOf(j), j);
                _expectNotInField(ofZero, j, i, Bn254.R);
            }
        }
    }

    function test_publicInputZeroAndMax() public view {
        for (uint256 i = 0; i < 5; ++i) {
            uint256[][] memory batch = honest(0, 2);
            uint256[] memory inputs = inputsOf(0);
            inputs[i] = 0;
            batch[0] = prove(0, inputs, scalarsOf(0), 0);
            inputs[i] = Bn254.R - 1;
            batch[1] = prove(0, inputs, scalarsOf(1), 0);
            assertTrue(verify(0, batch, ALL), "0 and r - 1");
        }
        uint256[][] memory zeros = new uint256[][](1);
        zeros[0] = prove(0, new uint256[](5), scalarsOf(0), 0);
        assertTrue(verify(0, zeros, ALL), "all 0");
    }

    /// (-A, -B, C) verifies, too, and so does a batch with the same proof twice. So a valid batch
    /// does not tell how many different statements it shows.
    function test_negatedAndRepeatedProofsVerify() public view {
        uint256[][] memory batch = honest(0, 3);
        (batch[1], batch[2]) = (honest(0, 1)[0], honest(0, 1)[0]);
        setPoint(batch[1], A, Bn254.negate(point(batch[1], A)));
        (batch[1][B + 2], batch[1][B + 3]) = (Bn254.Q - batch[1][B + 2], Bn254.Q - batch[1][B + 3]);
        assertTrue(verify(0, batch, ALL), "thrice the same statement");
    }

    function test_anotherKey() public view {
        for (uint256 i = 1; i < 3; ++i) {
            assertTrue(!verify(i, honest(0, 2), 6), "proofs of knowledge of another key");
            assertTrue(verify(i, honest(0, 2), 0), "the main equation is the same in these keys");
        }
    }

    function test_keysWithoutCommitments() public {
        bytes memory bytes_ = sim.keyBytes(sim.treeSetup(256, 5));
        address key = DataContract.deploy(bytes_);
        for (uint256 n = 1; n <= 4; ++n) {
            bytes memory items = _treeItems(n, n);
            assertTrue(verifier.verifyBatch(key, items, 0), "valid");
            for (uint256 j = 0; j < n; ++j)
                assertTrue(!verifier.verifyBatch(key, _treeItems(n, j), 0), "one is false");
        }
        bytes memory one = _treeItems(1, 1);
        vm.expectRevert(abi.encodeWithSelector(Groth16.BadMask.selector, 1));
        verifier.verifyBatch(key, one, 1);
    }

    function test_sizes() public {
        bytes memory items = pack(honest(0, 2));
        _expectBytes(abi.encodeWithSelector(Groth16Batch.BadBatchSize.selector, 0), "");
        _expectBytes(
            abi.encodeWithSelector(Groth16Batch.WrongBatchLength.selector, 800, 1_601),
            bytes.concat(items, hex"00")
        );
        _expectBytes(
            abi.encodeWithSelector(Groth16Batch.WrongBatchLength.selector, 800, 512),
            new bytes(512)
        );
        _expectBytes(
            abi.encodeWithSelector(Groth16Batch.BadBatchSize.selector, 65),
            new bytes(65 * 800)
        );
        vm.expectRevert(abi.encodeWithSelector(Groth16.BadMask.selector, 8));
        verifier.verifyBatch(keys[0], items, 8);
    }

    function test_aFullBatch() public view {
        assertTrue(verify(2, honest(2, 64), 6), "64 proofs");
    }

    /// Two pairs for a commitment with a G of its own, but none for one whose knowledge was shown
    /// before.
    function test_commitmentsOutsideTheMaskCostNoPairs() public view {
        bytes memory items = pack(honest(1, 1));
        uint256 left = gasleft();
        verifier.verifyBatch(keys[1], items, ALL);
        uint256 all = left - gasleft();
        left = gasleft();
        verifier.verifyBatch(keys[1], items, 6);
        assertTrue(all > left - gasleft() + 2 * 34_000, "pairs");
    }

    /// With too little gas the check of a valid batch reverts; it never returns false.
    function testFuzz_starvedGasNeverAnswersFalse(uint256 gasLimit) public view {
        gasLimit = bound(gasLimit, 30_000, 800_000);
        bytes memory items = pack(honest(0, 3));
        try verifier.verifyBatch{gas: gasLimit}(keys[0], items, ALL) returns (bool ok) {
            assertTrue(ok, "answered false");
            assertTrue(gasLimit > 500_000, "answered with too little");
        } catch (bytes memory reason) {
            if (reason.length != 0)
                assertTrue(bytes4(reason) == Bn254.LowGas.selector, "another reason");
        }
    }

    /// A batch with input i of proof j changed to this value.
    function _expectNotInField(
        uint256[][] memory batch,
        uint256 j,
        uint256 i,
        uint256 value
    ) private {
        batch[j][INPUTS + i] = value;
        bytes4 refused = Groth16Batch.InputNotInField.selector;
        vm.expectRevert(abi.encodeWithSelector(refused, j, i, value));
        verifier.verifyBatch(keys[0], pack(batch), ALL);
    }

    function _expectBytes(bytes memory reason, bytes memory items) private {
        vm.expectRevert(reason);
        verifier.verifyBatch(keys[0], items, ALL);
    }

    /// n tree proofs; number `bad` has a changed input.
    function _treeItems(uint256 n, uint256 bad) private view returns (bytes memory items) {
        for (uint256 j = 0; j < n; ++j) {
            uint256[] memory inputs = new uint256[](8);
            for (uint256 i = 0; i < 8; ++i)
                inputs[i] = uint256(keccak256(abi.encode(j, i))) % Bn254.R;
            IProofLedger.Proof memory proof = sim.prove(inputs, new uint256[](0), j);
            if (j == bad) ++inputs[7];
            items = bytes.concat(items, abi.encode(proof), abi.encodePacked(inputs));
        }
    }
}
