// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {BatchVerifier} from "../../BatchVerifier.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16Harness} from "./Groth16Harness.sol";
import {DataContract, Simulator} from "../support/Simulator.sol";
import {Test} from "../support/Test.sol";

/// @dev Batches of simulated proofs. The words of a proof: A at 0, B at 2, C at 6, commitments at
/// 8, 10, 12, their proofs of knowledge at 14, 16, 18, public inputs at 20 to 24.
abstract contract BatchFixture is Test {
    uint256 internal constant A = 0;
    uint256 internal constant B = 2;
    uint256 internal constant C = 6;
    uint256 internal constant COMMITMENTS = 8;
    uint256 internal constant POKS = 14;
    uint256 internal constant INPUTS = 20;
    uint256 internal constant ITEM_WORDS = 25;
    uint256 internal constant ALL = 7;

    Simulator internal immutable sim = Simulator(deploy("Simulator", ""));
    Groth16Harness internal immutable h = Groth16Harness(deploy("Groth16Harness", ""));
    BatchVerifier internal immutable verifier = BatchVerifier(deploy("BatchVerifier", ""));
    Simulator.Setup[3] internal setups;
    address[3] internal keys; // all G the same, all G distinct, all G equal to gamma

    function setUp() public virtual {
        for (uint256 i = 0; i < 3; ++i) {
            setups[i] = sim.epochSetup(256, i == 2, i == 0);
            keys[i] = DataContract.deploy(sim.keyBytes(setups[i]));
        }
    }

    function verify(
        uint256 key,
        uint256[][] memory batch,
        uint256 mask
    ) internal view returns (bool) {
        return verifier.verifyBatch(keys[key], pack(batch), mask);
    }

    /// A batch of n proofs that share no point and no public input.
    function honest(uint256 key, uint256 n) internal view returns (uint256[][] memory batch) {
        batch = new uint256[][](n);
        for (uint256 j = 0; j < n; ++j) batch[j] = prove(key, inputsOf(j), scalarsOf(j), j);
    }

    function prove(
        uint256 key,
        uint256[] memory inputs,
        uint256[] memory scalars,
        uint256 nonce
    ) internal view returns (uint256[] memory words) {
        words = new uint256[](ITEM_WORDS);
        IProofLedger.Proof memory proof = sim.prove(inputs, scalars, nonce);
        setPoint(words, A, proof.a);
        setPoint(words, C, proof.c);
        for (uint256 i = 0; i < 4; ++i) words[B + i] = proof.b[i];
        for (uint256 k = 0; k < 3; ++k) {
            setPoint(words, COMMITMENTS + 2 * k, sim.g1(scalars[k]));
            setPoint(words, POKS + 2 * k, sim.pok(setups[key], k, scalars[k]));
        }
        for (uint256 i = 0; i < 5; ++i) words[INPUTS + i] = inputs[i];
    }

    function inputsOf(uint256 salt) internal pure returns (uint256[] memory inputs) {
        inputs = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i)
            inputs[i] = uint256(keccak256(abi.encode("input", salt, i))) % Bn254.R;
    }

    function scalarsOf(uint256 salt) internal pure returns (uint256[] memory scalars) {
        scalars = new uint256[](3);
        for (uint256 k = 0; k < 3; ++k)
            scalars[k] = uint256(keccak256(abi.encode("commitment", salt, k))) % Bn254.R;
    }

    function pack(uint256[][] memory batch) internal pure returns (bytes memory items) {
        for (uint256 j = 0; j < batch.length; ++j)
            items = bytes.concat(items, abi.encodePacked(batch[j]));
    }

    function point(uint256[] memory words, uint256 i) internal pure returns (uint256[2] memory) {
        return [words[i], words[i + 1]];
    }

    function setPoint(uint256[] memory words, uint256 i, uint256[2] memory p) internal pure {
        (words[i], words[i + 1]) = (p[0], p[1]);
    }

    /// words[i] += scalar * generator; a negative scalar is r - scalar.
    function shift(uint256[] memory words, uint256 i, uint256 scalar) internal view {
        setPoint(words, i, Bn254.add(point(words, i), sim.g1(scalar)));
    }

    function negate(uint256 scalar) internal pure returns (uint256) {
        return Bn254.R - scalar;
    }
}
