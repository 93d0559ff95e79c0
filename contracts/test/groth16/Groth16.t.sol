// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {Groth16Harness} from "./Groth16Harness.sol";
import {DataContract, Simulator} from "../support/Simulator.sol";
import {Test} from "../support/Test.sol";

contract Groth16Test is Test {
    uint256 private constant ALL = 7;

    Simulator private immutable _sim = Simulator(deploy("Simulator", ""));
    Groth16Harness private immutable _h = Groth16Harness(deploy("Groth16Harness", ""));
    Simulator.Setup[3] private _setups;
    address[3] private _keys; // all G the same, all G distinct, all G equal to gamma
    address private _key; // the key that most tests use

    function setUp() public {
        for (uint256 i = 0; i < 3; ++i) {
            _setups[i] = _sim.epochSetup(256, i == 2, i == 0);
            _keys[i] = DataContract.deploy(_sim.keyBytes(_setups[i]));
        }
        _key = _keys[0];
    }

    /// For each way of choosing G, each mask accepts a valid proof.
    function test_everyMaskOfEveryKey() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 mask = 0; mask <= ALL; ++mask) {
                assertTrue(_verify(i, _valid(i, mask), mask, _inputs(mask)), "valid");
            }
        }
    }

    function testFuzz_valid(
        uint256[5] calldata values,
        uint256[3] calldata commitments,
        uint256 mask
    ) public view {
        uint256 i = mask % 3;
        uint256[] memory inputs = new uint256[](5);
        for (uint256 j = 0; j < 5; ++j) inputs[j] = values[j] % Bn254.R;
        uint256[3] memory scalars = commitments;
        for (uint256 k = 0; k < 3; ++k) scalars[k] = bound(scalars[k], 1, Bn254.R - 1);
        assertTrue(_verify(i, _prove(i, inputs, scalars), (mask >> 8) & ALL, inputs), "valid");
    }

    function test_everyPublicInputCounts() public view {
        Groth16Harness.Proof memory proof = _valid(0, 1);
        for (uint256 j = 0; j < 5; ++j) {
            uint256[] memory inputs = _inputs(1);
            inputs[j] = addmod(inputs[j], 1, Bn254.R);
            assertTrue(!_verify(0, proof, ALL, inputs), "other input");
        }
    }

    /// The multiplication precompile treats x + r as x.
    function test_publicInputsAreBelowR() public {
        Groth16Harness.Proof memory proof = _valid(0, 1);
        for (uint256 j = 0; j < 5; ++j) {
            uint256[] memory inputs = _inputs(1);
            inputs[j] += Bn254.R;
            vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, j, inputs[j]));
            _h.verify(_key, proof, ALL, inputs);
            inputs[j] = 0;
            Groth16Harness.Proof memory ofZero = _prove(0, inputs, [uint256(1), 2, 3]);
            inputs[j] = Bn254.R;
            vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, j, Bn254.R));
            _h.verify(_key, ofZero, ALL, inputs);
        }
    }

    function test_publicInputZeroAndMax() public view {
        for (uint256 j = 0; j < 5; ++j) {
            uint256[] memory inputs = _inputs(1);
            inputs[j] = 0;
            assertTrue(_verify(0, _prove(0, inputs, [uint256(1), 2, 3]), ALL, inputs), "zero");
            inputs[j] = Bn254.R - 1;
            assertTrue(_verify(0, _prove(0, inputs, [uint256(1), 2, 3]), ALL, inputs), "r - 1");
        }
    }

    function test_changedPointsAreFalse() public view {
        uint256[] memory inputs = _inputs(1);
        Groth16Harness.Proof memory proof = _valid(0, 1);
        uint256[2] memory other = _sim.g1(4242);
        (uint256[2] memory kept, uint256[4] memory keptB) = (proof.a, proof.b);
        proof.a = other;
        assertTrue(!_verify(0, proof, 0, inputs), "A");
        (proof.a, kept) = (kept, proof.c);
        proof.c = other;
        assertTrue(!_verify(0, proof, 0, inputs), "C");
        (proof.c, proof.b) = (kept, _sim.g2(9));
        assertTrue(!_verify(0, proof, 0, inputs), "B");
        proof.b = keptB;
        for (uint256 k = 0; k < 3; ++k) {
            kept = proof.commitments[k];
            proof.commitments[k] = other;
            assertTrue(!_verify(0, proof, 0, inputs), "commitment");
            (proof.commitments[k], kept) = (kept, proof.poks[k]);
            proof.poks[k] = other;
            assertTrue(!_verify(0, proof, 1 << k, inputs), "proof of knowledge");
            assertTrue(
                _verify(0, proof, ALL ^ (1 << k), inputs),
                "outside the mask it is not looked at"
            );
            proof.poks[k] = kept;
        }
        assertTrue(_verify(0, proof, ALL, inputs), "restored");
    }

    /// D + X and P - X have the same sum as D and P, and so have two exchanged commitments. Only
    /// the proofs of knowledge show the difference.
    function test_shiftedAndSwappedCommitments() public view {
        uint256[] memory inputs = _inputs(1);
        for (uint256 i = 0; i < 3; ++i) {
            Groth16Harness.Proof memory proof = _prove(i, inputs, [uint256(10), 20, 30]);
            (proof.commitments[0], proof.commitments[2]) = (_sim.g1(10 + 5), _sim.g1(30 - 5));
            assertTrue(_verify(i, proof, 0, inputs), "the main equation sees the sum only");
            for (uint256 mask = 1; mask <= ALL; ++mask) {
                assertTrue(_verify(i, proof, mask, inputs) == (mask == 2), "shifted");
            }
            proof = _prove(i, inputs, [uint256(10), 20, 30]);
            (proof.commitments[1], proof.commitments[2]) = (
                proof.commitments[2],
                proof.commitments[1]
            );
            (proof.poks[1], proof.poks[2]) = (proof.poks[2], proof.poks[1]);
            assertTrue(!_verify(i, proof, 6, inputs), "swapped with their proofs");
        }
    }

    /// Two proofs of knowledge with errors that cancel would pass if they were summed without
    /// weights.
    function test_poksShiftedSoThatTheirFoldAgrees() public view {
        uint256[] memory inputs = _inputs(1);
        for (uint256 i = 0; i < 3; i += 2) {
            Groth16Harness.Proof memory proof = _valid(i, 1);
            uint256[2] memory shift = _sim.g1(77);
            proof.poks[1] = _h.add(proof.poks[1], shift);
            proof.poks[2] = _h.add(proof.poks[2], _h.negate(shift));
            assertTrue(!_verify(i, proof, 6, inputs), "shifted");
        }
    }

    /// (-A, -B, C) verifies, too, so a proof's bytes must not be used as an id.
    function test_negatedProofVerifiesToo() public view {
        Groth16Harness.Proof memory proof = _valid(0, 1);
        proof.a = _h.negate(proof.a);
        (proof.b[2], proof.b[3]) = (Bn254.Q - proof.b[2], Bn254.Q - proof.b[3]);
        assertTrue(_verify(0, proof, ALL, _inputs(1)), "(-A, -B, C)");
    }

    /// If knowledge of D were not checked, a proof could be made without a witness.
    function test_forgeryWithUncheckedCommitment() public view {
        uint256[] memory inputs = _inputs(1);
        (IProofLedger.Proof memory forged, uint256[2] memory d) = _sim.forge(inputs);
        Groth16Harness.Proof memory proof = _prove(0, inputs, [uint256(10), 20, 30]);
        (proof.a, proof.b, proof.c) = (forged.a, forged.b, forged.c);
        d = _h.add(d, _h.negate(_sim.g1(20 + 30)));
        proof.commitments[0] = d;
        assertTrue(_verify(0, proof, 6, inputs), "forged when D is left out of the mask");
        assertTrue(!_verify(0, proof, ALL, inputs), "refused when D is in the mask");
        assertTrue(!_knows(0, d, proof.poks[0]), "refused when D is registered");
    }

    /// Infinity, with infinity as its proof of knowledge, satisfies the equation. It commits to
    /// nothing, so it is refused where the mask asks for it.
    function test_commitmentAtInfinity() public {
        uint256[] memory inputs = _inputs(1);
        Groth16Harness.Proof memory proof = _prove(0, inputs, [uint256(10), 0, 30]);
        assertTrue(_verify(0, proof, 5, inputs), "its knowledge is not asked for");
        vm.expectRevert(abi.encodeWithSelector(Groth16.CommitmentAtInfinity.selector, 1));
        _h.verify(_key, proof, 2, inputs);
        (uint256[2][] memory points, uint256[2][] memory poks) = _known(0, 3);
        (points[2], poks[2]) = ([uint256(0), 0], [uint256(0), 0]);
        vm.expectRevert(abi.encodeWithSelector(Groth16.CommitmentAtInfinity.selector, 2));
        _h.verifyKnowledge(_key, 0, points, poks);
    }

    function test_malformedPointsRevert() public {
        uint256[] memory inputs = _inputs(1);
        uint256[2][3] memory bad = [[uint256(1), 3], [Bn254.Q + 1, 2], [uint256(1), 2 + Bn254.Q]];
        for (uint256 i = 0; i < 3; ++i) {
            Groth16Harness.Proof memory proof = _valid(0, 1);
            proof.a = bad[i];
            _expectMalformed(8, proof, inputs);
            proof = _valid(0, 1);
            proof.c = bad[i];
            _expectMalformed(8, proof, inputs);
            for (uint256 k = 0; k < 3; ++k) {
                proof = _valid(0, 1);
                proof.commitments[k] = bad[i];
                _expectMalformed(6, proof, inputs);
                proof = _valid(0, 1);
                proof.poks[k] = bad[i];
                _expectMalformed(7, proof, inputs);
            }
        }
    }

    /// A point on the twist that is not in the subgroup (and one that is not on the twist).
    function test_malformedG2Reverts() public {
        Groth16Harness.Proof memory proof = _valid(0, 1);
        proof.b[0] ^= 1;
        _expectMalformed(8, proof, _inputs(1));
        proof = _valid(0, 1);
        proof.b[0] += Bn254.Q;
        _expectMalformed(8, proof, _inputs(1));
        // x = 0 + i: on the twist, but r times it is not infinity.
        proof.b = [
            uint256(1),
            0,
            0x07bca656753ef8cbee60335acbffe3def91636952d4ab9eb0b839c7f3566c0e2,
            0x0cf32d3c49a2cb8a092f24ec3201e68dc299b6216e6321ee60573e3a7f596ea8
        ];
        _expectMalformed(8, proof, _inputs(1));
    }

    function test_shapes() public {
        uint256[] memory inputs = _inputs(1);
        Groth16Harness.Proof memory proof = _valid(0, 1);
        vm.expectRevert(abi.encodeWithSelector(Groth16.WrongLength.selector, 5, 4));
        _h.verify(_key, proof, ALL, new uint256[](4));
        vm.expectRevert(abi.encodeWithSelector(Groth16.BadMask.selector, 8));
        _h.verify(_key, proof, 8, inputs);
        proof.commitments = new uint256[2][](2);
        vm.expectRevert(abi.encodeWithSelector(Groth16.WrongLength.selector, 6, 4));
        _h.verify(_key, proof, ALL, inputs);
        proof = _valid(0, 1);
        proof.poks = new uint256[2][](4);
        vm.expectRevert(abi.encodeWithSelector(Groth16.WrongLength.selector, 6, 8));
        _h.verify(_key, proof, ALL, inputs);
    }

    /// With too little gas the check of a valid proof reverts; it never returns false.
    function testFuzz_starvedGasNeverAnswersFalse(uint256 gasLimit) public view {
        gasLimit = bound(gasLimit, 30_000, 520_000);
        Groth16Harness.Proof memory proof = _valid(0, 1);
        uint256[] memory inputs = _inputs(1);
        try _h.verify{gas: gasLimit}(_key, proof, ALL, inputs) returns (bool ok) {
            assertTrue(ok, "answered false");
            assertTrue(gasLimit > 400_000, "answered with too little");
        } catch (bytes memory reason) {
            // Running out of gas outside the precompiles gives no error data. It must not be
            // reported as a malformed point.
            if (reason.length != 0)
                assertTrue(bytes4(reason) == Bn254.LowGas.selector, "another reason");
        }
    }

    function test_knowledgeOfOneAndOfMany() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 n = 1; n <= 4; ++n) {
                (uint256[2][] memory points, uint256[2][] memory poks) = _known(i, n);
                assertTrue(_h.verifyKnowledge(_keys[i], 0, points, poks), "known");
                assertTrue(!_h.verifyKnowledge(_keys[i], 1, points, poks), "of another kind");
                uint256[2] memory last = poks[n - 1];
                poks[n - 1] = _sim.g1(1);
                assertTrue(!_h.verifyKnowledge(_keys[i], 0, points, poks), "one is wrong");
                if (n == 1) continue;
                poks[n - 1] = _h.add(last, _sim.g1(9));
                poks[0] = _h.add(poks[0], _h.negate(_sim.g1(9)));
                assertTrue(
                    !_h.verifyKnowledge(_keys[i], 0, points, poks),
                    "shifted so that the fold agrees"
                );
            }
        }
    }

    function test_knowledgeShapes() public {
        (uint256[2][] memory points, uint256[2][] memory poks) = _known(0, 2);
        vm.expectRevert(abi.encodeWithSelector(Groth16.BadMask.selector, 8));
        _h.verifyKnowledge(_key, 3, points, poks);
        vm.expectRevert(abi.encodeWithSelector(Groth16.WrongLength.selector, 2, 1));
        _h.verifyKnowledge(_key, 0, points, new uint256[2][](1));
        vm.expectRevert(abi.encodeWithSelector(Groth16.WrongLength.selector, 0, 0));
        _h.verifyKnowledge(_key, 0, new uint256[2][](0), new uint256[2][](0));
    }

    function _expectMalformed(
        uint256 precompile,
        Groth16Harness.Proof memory proof,
        uint256[] memory inputs
    ) private {
        vm.expectRevert(abi.encodeWithSelector(Bn254.MalformedPoint.selector, precompile));
        _h.verify(_key, proof, ALL, inputs);
    }

    function _verify(
        uint256 i,
        Groth16Harness.Proof memory proof,
        uint256 mask,
        uint256[] memory inputs
    ) private view returns (bool) {
        return _h.verify(_keys[i], proof, mask, inputs);
    }

    function _knows(
        uint256 i,
        uint256[2] memory point,
        uint256[2] memory pok
    ) private view returns (bool) {
        uint256[2][] memory points = new uint256[2][](1);
        uint256[2][] memory poks = new uint256[2][](1);
        (points[0], poks[0]) = (point, pok);
        return _h.verifyKnowledge(_keys[i], 0, points, poks);
    }

    function _known(
        uint256 i,
        uint256 n
    ) private view returns (uint256[2][] memory points, uint256[2][] memory poks) {
        points = new uint256[2][](n);
        poks = new uint256[2][](n);
        for (uint256 j = 0; j < n; ++j) {
            (points[j], poks[j]) = (_sim.g1(100 + j), _sim.pok(_setups[i], 0, 100 + j));
        }
    }

    function _inputs(uint256 salt) private pure returns (uint256[] memory inputs) {
        inputs = new uint256[](5);
        for (uint256 j = 0; j < 5; ++j)
            inputs[j] = uint256(keccak256(abi.encode(salt, j))) % Bn254.R;
    }

    function _valid(uint256 i, uint256 salt) private view returns (Groth16Harness.Proof memory) {
        return
            _prove(
                i,
                _inputs(salt),
                [uint256(keccak256("D")), uint256(keccak256("U")), uint256(keccak256("P"))]
            );
    }

    function _prove(
        uint256 i,
        uint256[] memory inputs,
        uint256[3] memory commitments
    ) private view returns (Groth16Harness.Proof memory proof) {
        proof = _empty();
        uint256[] memory scalars = new uint256[](3);
        for (uint256 k = 0; k < 3; ++k) {
            scalars[k] = commitments[k] % Bn254.R;
            proof.commitments[k] = _sim.g1(scalars[k]);
            proof.poks[k] = _sim.pok(_setups[i], k, scalars[k]);
        }
        IProofLedger.Proof memory core = _sim.prove(inputs, scalars, 1);
        (proof.a, proof.b, proof.c) = (core.a, core.b, core.c);
    }

    function _empty() private pure returns (Groth16Harness.Proof memory proof) {
        proof.commitments = new uint256[2][](3);
        proof.poks = new uint256[2][](3);
    }
}
