// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16Batch} from "../../libraries/groth16/Groth16Batch.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {BatchFixture} from "./BatchFixture.sol";

/// @dev Attacks on batches: the attacks on single proofs, at every position, and those that only a
/// batch makes possible.
contract Groth16BatchAttacksTest is BatchFixture {
    /// A batch with any word of any proof changed is false or refused, never accepted.
    function testFuzz_anyChangedWord(
        uint256 position,
        uint256 word,
        uint256 value,
        uint256 salt
    ) public view {
        uint256 i = salt % 3;
        uint256[][] memory batch = honest(i, 3);
        uint256[] memory words = batch[position % 3];
        word = word % ITEM_WORDS;
        value = word >= INPUTS ? value % Bn254.R : value;
        if (words[word] == value) return;
        words[word] = value;
        try verifier.verifyBatch(keys[i], pack(batch), ALL) returns (bool ok) {
            assertTrue(!ok, "accepted a changed word");
        } catch (bytes memory reason) {
            assertTrue(bytes4(reason) == Bn254.MalformedPoint.selector, "another reason");
        }
    }

    function test_oneFalseProofAtEveryPosition() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = 0; j < 3; ++j) {
                uint256[8] memory points = [
                    A,
                    C,
                    COMMITMENTS,
                    COMMITMENTS + 2,
                    COMMITMENTS + 4,
                    POKS,
                    POKS + 2,
                    POKS + 4
                ];
                for (uint256 p = 0; p < points.length; ++p) {
                    uint256[][] memory batch = honest(i, 3);
                    shift(batch[j], points[p], 99);
                    assertTrue(!verify(i, batch, ALL), "point");
                }
                for (uint256 p = 0; p < 5; ++p) {
                    uint256[][] memory batch = honest(i, 3);
                    batch[j][INPUTS + p] = addmod(batch[j][INPUTS + p], 1, Bn254.R);
                    assertTrue(!verify(i, batch, 0), "input");
                }
            }
        }
    }

    function test_anotherBAtEveryPosition() public view {
        for (uint256 j = 0; j < 3; ++j) {
            uint256[][] memory batch = honest(0, 3);
            uint256[4] memory b = sim.g2(9);
            for (uint256 i = 0; i < 4; ++i) batch[j][B + i] = b[i];
            assertTrue(!verify(0, batch, 0), "B");
        }
    }

    /// Two false proofs whose errors, +X and -X, cancel in the product of their equations without
    /// weights. All B are equal here, so errors in A cancel, too.
    function test_errorsThatCancelWithoutWeights() public view {
        uint256[3] memory points = [A, C, COMMITMENTS];
        for (uint256 p = 0; p < 3; ++p) {
            uint256[][] memory batch = honest(0, 3);
            shift(batch[0], points[p], 99);
            assertTrue(!_verifyWithoutWeights(batch), "one error shows");
            shift(batch[2], points[p], negate(99));
            assertTrue(_verifyWithoutWeights(batch), "both cancel");
            assertTrue(!verify(0, batch, 0), "not with weights");
        }
    }

    /// The same in the equations of knowledge: errors in the commitments, or in the proofs of
    /// knowledge, of two items.
    function test_knowledgeShiftedAcrossItems() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 k = 0; k < 3; ++k) {
                uint256[][] memory batch = honest(i, 2);
                shift(batch[0], POKS + 2 * k, 99);
                shift(batch[1], POKS + 2 * k, negate(99));
                assertTrue(!verify(i, batch, 1 << k), "poks");
                assertTrue(
                    verify(i, batch, ALL ^ (1 << k)),
                    "outside the mask they are not looked at"
                );
                batch = honest(i, 2);
                shift(batch[0], COMMITMENTS + 2 * k, 99);
                shift(batch[1], COMMITMENTS + 2 * k, negate(99));
                assertTrue(!verify(i, batch, 0), "commitments");
                assertTrue(!verify(i, batch, 1 << k), "commitments");
            }
        }
    }

    /// D + X and P - X within one item: the main equation depends on their sum only, but the proofs
    /// of knowledge show the change.
    function test_commitmentsShiftedWithinAnItem() public view {
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = 0; j < 2; ++j) {
                uint256[][] memory batch = honest(i, 2);
                shift(batch[j], COMMITMENTS, 99);
                shift(batch[j], COMMITMENTS + 4, negate(99));
                for (uint256 mask = 0; mask <= ALL; ++mask) {
                    assertTrue(
                        verify(i, batch, mask) == (mask & 5 == 0),
                        "only D's and P's knowledge tell"
                    );
                }
            }
        }
    }

    /// Proofs of knowledge of U and P under one G, with errors that would cancel in a sum without
    /// weights.
    function test_poksShiftedWithinAnItem() public view {
        for (uint256 i = 0; i < 3; i += 2) {
            for (uint256 j = 0; j < 2; ++j) {
                uint256[][] memory batch = honest(i, 2);
                shift(batch[j], POKS + 2, 99);
                shift(batch[j], POKS + 4, negate(99));
                assertTrue(!verify(i, batch, 6), "shifted");
            }
        }
    }

    /// Errors +w_1 X and -w_0 X cancel under the weights of the unchanged batch. So changing a word
    /// must change the weights.
    function test_errorsThatCancelUnderTheOldWeights() public view {
        uint256[][] memory batch = honest(0, 2);
        bytes32 seed = Groth16Batch.weightSeed(VerifyingKey.load(keys[0]).id, pack(batch));
        uint256[5] memory points = [A, C, COMMITMENTS, COMMITMENTS + 2, POKS + 4];
        uint256[5] memory equations = [uint256(0), 0, 0, 2, 3];
        for (uint256 p = 0; p < points.length; ++p) {
            uint256[][] memory forged = honest(0, 2);
            shift(forged[0], points[p], Groth16Batch.weight(seed, 4 + equations[p]));
            shift(forged[1], points[p], negate(Groth16Batch.weight(seed, equations[p])));
            assertTrue(
                !verify(0, forged, equations[p] == 0 ? 0 : 1 << (equations[p] - 1)),
                "forged"
            );
        }
    }

    /// An error in C cannot cancel one in a proof of knowledge: they are in separate pairs, under
    /// every kind of key.
    function test_cAgainstPok() public view {
        for (uint256 i = 0; i < 3; ++i) {
            uint256[][] memory batch = honest(i, 2);
            shift(batch[0], C, 99);
            shift(batch[1], POKS + 2, negate(99));
            assertTrue(!verify(i, batch, 6), "shifted");
        }
    }

    /// A point B on the twist (x = 0 + i), but not in the subgroup. The pairing precompile gets
    /// each B, and refuses this one.
    function test_bOutsideTheSubgroup() public {
        uint256[4] memory outside = [
            uint256(1),
            0,
            0x07bca656753ef8cbee60335acbffe3def91636952d4ab9eb0b839c7f3566c0e2,
            0x0cf32d3c49a2cb8a092f24ec3201e68dc299b6216e6321ee60573e3a7f596ea8
        ];
        for (uint256 j = 0; j < 3; ++j) {
            uint256[][] memory batch = honest(0, 3);
            for (uint256 i = 0; i < 4; ++i) batch[j][B + i] = outside[i];
            _expectMalformed(8, batch);
            // Also beside its negative: in a sum of all B the two would cancel.
            for (uint256 i = 0; i < 4; ++i)
                batch[(j + 1) % 3][B + i] = i < 2 ? outside[i] : Bn254.Q - outside[i];
            _expectMalformed(8, batch);
            setPoint(batch[j], A, [uint256(0), 0]); // with A at infinity too
            _expectMalformed(8, batch);
        }
    }

    function test_malformedPoints() public {
        uint256[2][3] memory bad = [[uint256(1), 3], [Bn254.Q + 1, 2], [uint256(1), 2 + Bn254.Q]];
        uint256[6] memory points = [A, C, COMMITMENTS, COMMITMENTS + 4, POKS, POKS + 4];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 p = 0; p < points.length; ++p) {
                uint256[][] memory batch = honest(0, 2);
                setPoint(batch[p % 2], points[p], bad[i]);
                bool isCommitment = points[p] >= COMMITMENTS && points[p] < POKS;
                _expectMalformed(isCommitment ? 6 : 7, batch);
            }
        }
    }

    function test_commitmentAtInfinity() public {
        for (uint256 j = 0; j < 3; ++j) {
            for (uint256 k = 0; k < 3; ++k) {
                uint256[][] memory batch = honest(0, 3);
                uint256[] memory scalars = scalarsOf(j);
                scalars[k] = 0; // with infinity as its proof, which the equation would accept
                batch[j] = prove(0, inputsOf(j), scalars, 0);
                assertTrue(verify(0, batch, ALL ^ (1 << k)), "its knowledge is not asked for");
                vm.expectRevert(
                    abi.encodeWithSelector(Groth16Batch.BatchCommitmentAtInfinity.selector, j, k)
                );
                verifier.verifyBatch(keys[0], pack(batch), 1 << k);
            }
        }
    }

    /// A = alpha, B = beta, C = 0 and a D that cancels X verify. So knowledge of D must have been
    /// checked before, for batches, too.
    function test_forgeryWithUncheckedCommitment() public view {
        for (uint256 j = 0; j < 2; ++j) {
            uint256[][] memory batch = honest(0, 2);
            (IProofLedger.Proof memory forged, uint256[2] memory d) = sim.forge(inputsOf(j));
            setPoint(batch[j], A, forged.a);
            for (uint256 i = 0; i < 4; ++i) batch[j][B + i] = forged.b[i];
            setPoint(batch[j], C, forged.c);
            uint256[2] memory rest = Bn254.add(
                point(batch[j], COMMITMENTS + 2),
                point(batch[j], COMMITMENTS + 4)
            );
            setPoint(batch[j], COMMITMENTS, Bn254.add(d, Bn254.negate(rest)));
            assertTrue(verify(0, batch, 6), "forged when D is left out of the mask");
            assertTrue(!verify(0, batch, ALL), "refused when D is in the mask");
        }
    }

    /// Two valid items with parts of them exchanged.
    function test_exchangedParts() public view {
        uint256[2][4] memory parts = [[uint256(A), 8], [COMMITMENTS, 6], [POKS, 6], [INPUTS, 5]];
        for (uint256 p = 0; p < parts.length; ++p) {
            uint256[][] memory batch = honest(0, 2);
            for (uint256 i = parts[p][0]; i < parts[p][0] + parts[p][1]; ++i) {
                (batch[0][i], batch[1][i]) = (batch[1][i], batch[0][i]);
            }
            assertTrue(!verify(0, batch, ALL), "exchanged");
        }
    }

    function _expectMalformed(uint256 precompile, uint256[][] memory batch) private {
        vm.expectRevert(abi.encodeWithSelector(Bn254.MalformedPoint.selector, precompile));
        verifier.verifyBatch(keys[0], pack(batch), ALL);
    }

    /// The product of the main equations, as a batch without weights would check it.
    function _verifyWithoutWeights(uint256[][] memory batch) private view returns (bool) {
        VerifyingKey.Key memory key = VerifyingKey.load(keys[0]);
        uint256[] memory input = new uint256[]((batch.length + 3) * 6);
        Bn254.Sum memory x;
        Bn254.Sum memory c;
        for (uint256 j = 0; j < batch.length; ++j) {
            for (uint256 i = 0; i < 6; ++i) input[6 * j + i] = batch[j][i]; // A, B
            Bn254.accumulate(c, point(batch[j], C));
            Bn254.accumulate(x, VerifyingKey.g1(key, VerifyingKey.IC));
            for (uint256 i = 0; i < 5; ++i) {
                Bn254.accumulate(
                    x,
                    VerifyingKey.g1(key, VerifyingKey.IC + 2 * (i + 1)),
                    batch[j][INPUTS + i]
                );
            }
            for (uint256 k = 0; k < 3; ++k)
                Bn254.accumulate(x, point(batch[j], COMMITMENTS + 2 * k));
        }
        uint256[2] memory alpha = Bn254.mul(VerifyingKey.g1(key, VerifyingKey.ALPHA), batch.length);
        _putPair(input, batch.length, [c.x, c.y], VerifyingKey.g2(key, VerifyingKey.DELTA_NEG));
        _putPair(input, batch.length + 1, alpha, VerifyingKey.g2(key, VerifyingKey.BETA_NEG));
        _putPair(input, batch.length + 2, [x.x, x.y], VerifyingKey.g2(key, VerifyingKey.GAMMA_NEG));
        return Bn254.isPairingOne(input, batch.length + 3);
    }

    function _putPair(
        uint256[] memory input,
        uint256 pair,
        uint256[2] memory p,
        uint256[4] memory q
    ) private pure {
        (input[6 * pair], input[6 * pair + 1]) = (p[0], p[1]);
        for (uint256 i = 0; i < 4; ++i) input[6 * pair + 2 + i] = q[i];
    }
}
