// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {KeyId} from "../../types/KeyId.sol";
import {BatchFixture} from "./BatchFixture.sol";

/// @dev Equations are summed with weights that are hashed from all that a prover chose. Each attack
/// chooses one thing last, after the weights are known. It passes if the weights do not follow from
/// that thing; the test asks the library for them, so it passes for every hash that leaves it out.
contract Groth16WeightsTest is BatchFixture {
    uint256 private constant CEREMONY = 2; // G equals gamma
    uint256 private constant DELTA = 7;
    uint256 private constant G = 2; // of the key whose G are the same

    /// D points that nobody can open, with proofs of knowledge of other points: an owner would
    /// register a dataset without leaves.
    function test_knowledgeOfPointsThatWereChosenLast() public view {
        (uint256[2][] memory points, uint256[2][] memory poks) = _known();
        bytes32 seed = Groth16.knowledgeSeed(_id(0), 0, points, poks);
        points[0] = Bn254.add(points[0], sim.g1(Groth16.weight(seed, 1)));
        points[1] = Bn254.add(points[1], sim.g1(negate(Groth16.weight(seed, 0))));
        assertTrue(!h.verifyKnowledge(keys[0], 0, points, poks), "points");
    }

    function test_knowledgeByProofsThatWereChosenLast() public view {
        (uint256[2][] memory points, uint256[2][] memory poks) = _known();
        bytes32 seed = Groth16.knowledgeSeed(_id(0), 0, points, poks);
        poks[0] = Bn254.add(poks[0], sim.g1(Groth16.weight(seed, 1)));
        poks[1] = Bn254.add(poks[1], sim.g1(negate(Groth16.weight(seed, 0))));
        assertTrue(!h.verifyKnowledge(keys[0], 0, points, poks), "proofs of knowledge");
    }

    /// Under a ceremony's key an error in a proof of knowledge meets the public inputs in one pair.
    /// So false inputs would need nothing but the key.
    function test_inputsThatWereChosenLast() public view {
        for (uint256 j = 0; j < 5; ++j) {
            uint256[] memory words = prove(CEREMONY, inputsOf(1), scalarsOf(1), 1);
            uint256[2] memory ic = VerifyingKey.g1(_key(CEREMONY), VerifyingKey.IC + 2 * (j + 1));
            setPoint(words, POKS + 2, Bn254.add(point(words, POKS + 2), ic));
            uint256 weight = _weight(CEREMONY, words, 1);
            words[INPUTS + j] = addmod(words[INPUTS + j], weight, Bn254.R);
            assertTrue(!_verify(CEREMONY, words), "false input");
        }
    }

    function test_aProofOfKnowledgeThatWasChosenLast() public view {
        uint256[] memory words = prove(CEREMONY, inputsOf(1), scalarsOf(1), 1);
        words[INPUTS] = addmod(words[INPUTS], 1, Bn254.R);
        uint256 inverse = _inverse(_weight(CEREMONY, words, 1));
        uint256[2] memory ic = VerifyingKey.g1(_key(CEREMONY), VerifyingKey.IC + 2);
        uint256[2] memory pok = Bn254.add(point(words, POKS + 2), Bn254.mul(ic, inverse));
        setPoint(words, POKS + 2, pok);
        assertTrue(!_verify(CEREMONY, words), "false input");
    }

    /// The same with A and with C, where the tests know the key's secrets.
    function test_pointsOfTheProofThatWereChosenLast() public view {
        for (uint256 i = 0; i < 2; ++i) {
            uint256[] memory words = prove(0, inputsOf(1), scalarsOf(1), 1);
            shift(words, POKS + 2, 1);
            uint256 error = mulmod(G, _weight(0, words, 1), Bn254.R);
            // B is the generator, and C is paired with -delta.
            if (i == 0) shift(words, A, negate(error));
            else shift(words, C, mulmod(error, _inverse(DELTA), Bn254.R));
            assertTrue(!_verify(0, words), "false knowledge");
        }
    }

    /// The attack of the tests above under the weights that are used in the end: it passes. So what
    /// they refuse is refused for its weights alone.
    function test_theAttacksFitTheWeightsTheyKnow() public view {
        uint256[] memory words = prove(CEREMONY, inputsOf(1), scalarsOf(1), 1);
        assertTrue(_verify(CEREMONY, words), "honest");
        (uint256[2][] memory points, uint256[2][] memory poks) = _known();
        assertTrue(h.verifyKnowledge(keys[0], 0, points, poks), "honest");
        bytes32 seed = Groth16.knowledgeSeed(_id(0), 0, points, poks);
        (uint256 first, uint256 second) = (Groth16.weight(seed, 0), Groth16.weight(seed, 1));
        uint256[2] memory kept = _fold(points, first, second);
        points[0] = Bn254.add(points[0], sim.g1(second));
        points[1] = Bn254.add(points[1], sim.g1(negate(first)));
        uint256[2] memory forged = _fold(points, first, second);
        assertTrue(forged[0] == kept[0] && forged[1] == kept[1], "one sum");
    }

    /// Each word of a proof, each input and the key change the seed.
    function testFuzz_everyWordMakesAnotherSeed(
        uint256 word,
        uint256 value,
        bytes32 id
    ) public view {
        uint256[] memory words = honest(0, 1)[0];
        word %= ITEM_WORDS;
        vm.assume(words[word] != value && KeyId.unwrap(_id(0)) != id);
        bytes32 seed = _seed(_id(0), words);
        assertTrue(_seed(KeyId.wrap(id), words) != seed, "key");
        words[word] = value;
        assertTrue(_seed(_id(0), words) != seed, "word");
    }

    /// The same points as another commitment, or under another key, have other weights.
    function testFuzz_keyAndCommitmentMakeAnotherSeed(uint256 i, bytes32 id) public view {
        vm.assume(i != 0 && KeyId.unwrap(_id(0)) != id);
        (uint256[2][] memory points, uint256[2][] memory poks) = _known();
        bytes32 seed = Groth16.knowledgeSeed(_id(0), 0, points, poks);
        assertTrue(Groth16.knowledgeSeed(_id(0), i, points, poks) != seed, "commitment");
        assertTrue(Groth16.knowledgeSeed(KeyId.wrap(id), 0, points, poks) != seed, "key");
    }

    function _known()
        private
        view
        returns (uint256[2][] memory points, uint256[2][] memory poks)
    {
        (points, poks) = (new uint256[2][](2), new uint256[2][](2));
        for (uint256 j = 0; j < 2; ++j)
            (points[j], poks[j]) = (sim.g1(100 + j), sim.pok(setups[0], 0, 100 + j));
    }

    function _fold(
        uint256[2][] memory points,
        uint256 first,
        uint256 second
    ) private view returns (uint256[2] memory) {
        return Bn254.add(Bn254.mul(points[0], first), Bn254.mul(points[1], second));
    }

    function _key(uint256 i) private view returns (VerifyingKey.Key memory) {
        return VerifyingKey.load(keys[i]);
    }

    function _id(uint256 i) private view returns (KeyId) {
        return _key(i).id;
    }

    function _weight(uint256 i, uint256[] memory words, uint256 k) private view returns (uint256) {
        return Groth16.weight(_seed(_id(i), words), k);
    }

    function _seed(KeyId id, uint256[] memory words) private pure returns (bytes32) {
        Groth16.Proof memory proof = Groth16.Proof(
            [words[A], words[A + 1]],
            [words[B], words[B + 1], words[B + 2], words[B + 3]],
            [words[C], words[C + 1]],
            _slice(words, COMMITMENTS, 6),
            _slice(words, POKS, 6)
        );
        return Groth16.weightSeed(id, proof, _slice(words, INPUTS, 5));
    }

    function _slice(
        uint256[] memory words,
        uint256 from,
        uint256 count
    ) private pure returns (uint256[] memory part) {
        part = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) part[i] = words[from + i];
    }

    /// One proof with knowledge of U and P, as the ledger checks it.
    function _verify(uint256 i, uint256[] memory words) private view returns (bool) {
        return h.verifyWords(keys[i], 3, 6, words);
    }

    function _inverse(uint256 x) private view returns (uint256) {
        (bool ok, bytes memory y) = address(5).staticcall(
            abi.encode(32, 32, 32, x, Bn254.R - 2, Bn254.R)
        );
        assert(ok);
        return abi.decode(y, (uint256));
    }
}
