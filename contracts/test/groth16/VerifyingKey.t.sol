// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Kinds} from "../../libraries/keys/Kinds.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {KeyId} from "../../types/KeyId.sol";
import {Groth16Harness} from "./Groth16Harness.sol";
import {DataContract, Simulator} from "../support/Simulator.sol";
import {Test} from "../support/Test.sol";

/// @dev Every rule of "Refused keys" (docs/security-model.md): a sound key with one thing changed.
contract VerifyingKeyTest is Test {
    uint256 private constant PEDERSEN = 21 + 2 * 6; // first word of the first Pedersen key

    Simulator private immutable _sim = Simulator(deploy("Simulator", ""));
    Groth16Harness private immutable _h = Groth16Harness(deploy("Groth16Harness", ""));
    uint256[] private _words;

    function setUp() public {
        bytes memory key = _sim.keyBytes(_sim.epochSetup(256, false, true));
        for (uint256 i = 0; i < key.length; i += 32) {
            uint256 word;
            assembly {
                word := mload(add(add(key, 32), i))
            }
            _words.push(word);
        }
    }

    function test_soundKeysPass() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory key = _sim.keyBytes(_sim.epochSetup(256, i == 1, true));
            assertEq(_h.requireSound(DataContract.deploy(key)), KeyId.wrap(keccak256(key)), "id");
        }
        _h.requireSound(DataContract.deploy(_sim.keyBytes(_sim.treeSetup(256, 5))));
        _h.requireSound(_deploy());
    }

    /// gnark and a ceremony make keys with one G. The verifiers in Go and Python refuse others too.
    function test_differentGAreRefused() public {
        uint256[] memory sound = _words;
        for (uint256 k = 0; k < 3; ++k) {
            uint256[4] memory g = _sim.g2(9);
            for (uint256 i = 0; i < 4; ++i) _words[PEDERSEN + 8 * k + i] = g[i];
            _expect("different G");
            _words = sound;
            for (uint256 i = 2; i < 4; ++i)
                _words[PEDERSEN + 8 * k + i] = Bn254.Q - _words[PEDERSEN + 8 * k + i];
            _expect("different G");
            _words = sound;
        }
        bytes memory key = _sim.keyBytes(_sim.epochSetup(256, false, false));
        address distinct = DataContract.deploy(key);
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, keccak256(key), "different G")
        );
        _h.requireSound(distinct);
        _h.requireSound(_deploy());
    }

    function test_header() public {
        _expectWord(0, 2, "version");
        _expectWord(1, 0, "kind");
        _expectWord(1, uint256(Kinds.LAST) + 1, "kind");
        _expectWord(1, 2, "length"); // a tree key has no bases
        _expectWord(4, 6, "length");
        _expectWord(4, Kinds.MAX_PUBLIC, "length"); // so many are allowed, but not there
        _expectWord(4, Kinds.MAX_PUBLIC + 1, "count");
        _expectWord(4, type(uint256).max, "count");
        _expectWord(5, 2, "length");
        _expectWord(5, 64, "length");
        _expectWord(5, 65, "count");
        _expectWord(5, type(uint256).max, "count");
        _expectWord(6, 1, "flags");
        _expectWord(6, 2, "flags");
    }

    function test_lengthAndPrefix() public {
        uint256 last = _words[_words.length - 1];
        _words.pop();
        _expect("length");
        _words.push(last);
        _words.push(0);
        _expect("length");
        _words.pop();
        bytes memory key = abi.encodePacked(_words);
        address odd = DataContract.deploy(bytes.concat(key, hex"00"));
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, odd.codehash, "length")
        );
        _h.requireSound(odd);
        address empty = address(0x1234);
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, empty.codehash, "length")
        );
        _h.requireSound(empty);
        address code = address(0x5678);
        vm.etch(code, bytes.concat(hex"5f", key));
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, keccak256(key), "prefix")
        );
        _h.requireSound(code);
    }

    function test_infinityIsRefused() public {
        _expectZeros(7, 2, "alpha");
        _expectZeros(9, 4, "beta");
        _expectZeros(13, 4, "gamma");
        _expectZeros(17, 4, "delta");
        for (uint256 i = 0; i < 6; ++i) _expectZeros(21 + 2 * i, 2, "IC");
        for (uint256 k = 0; k < 3; ++k) {
            _expectZeros(PEDERSEN + 8 * k, 4, "G");
            _expectZeros(PEDERSEN + 8 * k + 4, 4, "GSigmaNeg");
        }
        _expectZeros(_words.length - 4, 2, "I_0");
        _expectZeros(_words.length - 2, 2, "S");
    }

    function test_pointsOffTheCurve() public {
        uint256[4] memory g1s = [uint256(7), 21, 31, _words.length - 2];
        for (uint256 i = 0; i < 4; ++i) _expectMalformed(g1s[i] + 1, 6);
        uint256[4] memory g2s = [uint256(9), 13, 17, PEDERSEN + 20];
        for (uint256 i = 0; i < 4; ++i) _expectMalformed(g2s[i], 8);
    }

    function test_gammaEqualToDeltaIsRefused() public {
        _copy(17, 13);
        _expect("gamma = delta");
    }

    function test_deltaEqualToTheGeneratorIsRefused() public {
        _put(17, _sim.g2Neg(1));
        _expect("delta = generator");
    }

    /// A point with three of its four words is another point, here one that is not on the twist.
    function test_deltaBesideTheGenerator() public {
        _put(17, _sim.g2Neg(1));
        for (uint256 i = 17; i < 21; ++i) _expectMalformed(i, 8);
    }

    function test_opposites() public pure {
        uint256[4] memory p = [uint256(1), 2, 3, 0];
        assertTrue(VerifyingKey.isOpposite(p, [uint256(1), 2, Bn254.Q - 3, 0]), "opposite");
        for (uint256 i = 0; i < 4; ++i) {
            uint256[4] memory q = [uint256(1), 2, Bn254.Q - 3, 0];
            q[i] = 5;
            assertTrue(!VerifyingKey.isOpposite(p, q), "another word");
        }
        assertTrue(!VerifyingKey.isOpposite(p, p), "equal");
    }

    /// A point that does not lie in the key is no memory behind it.
    function test_pointsBehindTheKey() public {
        address target = _deploy();
        bytes memory refused = abi.encodeWithSelector(
            VerifyingKey.BadKey.selector,
            keccak256(abi.encodePacked(_words)),
            "length"
        );
        uint256 length = _words.length;
        assertEq(_h.g1At(target, length - 2)[1], _words[length - 1], "the last G1");
        assertEq(_h.g2At(target, length - 4)[3], _words[length - 1], "the last G2");
        for (uint256 i = 1; i <= 4; ++i) {
            vm.expectRevert(refused);
            _h.g2At(target, length - 4 + i);
            vm.expectRevert(refused);
            _h.g1At(target, length - 2 + i);
        }
    }

    function test_gammaMayBeTheGenerator() public {
        _put(13, _sim.g2Neg(1));
        _h.requireSound(_deploy());
    }

    function test_equalSigmaKeysAreRefused() public {
        for (uint256 k = 1; k < 3; ++k) {
            uint256[4] memory kept = _get(PEDERSEN + 8 * k + 4);
            _copy(PEDERSEN + 8 * k + 4, PEDERSEN + 4);
            _expect("equal sigma");
            _put(PEDERSEN + 8 * k + 4, _sim.g2(11)); // the first one is -11 times the generator
            _expect("equal sigma");
            _put(PEDERSEN + 8 * k + 4, kept);
        }
    }

    /// With sigma = 1 or -1 everybody can make a proof of knowledge for any commitment.
    function test_trivialSigma() public {
        _put(PEDERSEN + 4, _sim.g2(2)); // G is twice the generator
        _expect("sigma is 1 or -1");
        _put(PEDERSEN + 4, _sim.g2Neg(2));
        _expect("sigma is 1 or -1");
    }

    /// Two public inputs with equal or opposite points could be exchanged.
    function test_inputsWithEqualPointsAreRefused() public {
        for (uint256 i = 1; i < 6; ++i) {
            uint256 x = _words[21 + 2 * i];
            uint256 y = _words[22 + 2 * i];
            _words[21 + 2 * i] = _words[19 + 2 * i];
            _words[22 + 2 * i] = _words[20 + 2 * i];
            _expect("IC repeated");
            _words[22 + 2 * i] = Bn254.Q - _words[20 + 2 * i];
            _expect("IC repeated");
            _words[21 + 2 * i] = x;
            _words[22 + 2 * i] = y;
        }
    }

    function test_hashesOfBases() public {
        uint256 d = _words.length - 7;
        for (uint256 i = 0; i < 3; ++i) {
            _expectWord(d + i, 0, "bases");
            _expectWord(d + i, _words[d + ((i + 1) % 3)], "bases");
        }
    }

    function _expectWord(uint256 i, uint256 value, string memory rule) private {
        uint256 kept = _words[i];
        _words[i] = value;
        _expect(rule);
        _words[i] = kept;
    }

    function _expectZeros(uint256 i, uint256 count, string memory rule) private {
        uint256[] memory kept = _words;
        for (uint256 j = 0; j < count; ++j) _words[i + j] = 0;
        _expect(rule);
        _words = kept;
    }

    function _expectMalformed(uint256 i, uint256 precompile) private {
        uint256 kept = _words[i];
        _words[i] = kept ^ 1;
        address target = _deploy();
        vm.expectRevert(abi.encodeWithSelector(Bn254.MalformedPoint.selector, precompile));
        _h.requireSound(target);
        _words[i] = kept + Bn254.Q; // the same number modulo q, but not below q
        target = _deploy();
        vm.expectRevert(abi.encodeWithSelector(Bn254.MalformedPoint.selector, precompile));
        _h.requireSound(target);
        _words[i] = kept;
    }

    function _expect(string memory rule) private {
        bytes memory key = abi.encodePacked(_words);
        address target = DataContract.deploy(key);
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, keccak256(key), rule));
        _h.requireSound(target);
    }

    function _deploy() private returns (address) {
        return DataContract.deploy(abi.encodePacked(_words));
    }

    function _copy(uint256 to, uint256 from) private {
        _put(to, _get(from));
    }

    function _get(uint256 i) private view returns (uint256[4] memory) {
        return [_words[i], _words[i + 1], _words[i + 2], _words[i + 3]];
    }

    function _put(uint256 i, uint256[4] memory p) private {
        for (uint256 j = 0; j < 4; ++j) _words[i + j] = p[j];
    }
}
