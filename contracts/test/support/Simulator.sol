// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {KeyId} from "../../types/KeyId.sol";
import {G2Multiples} from "./G2Multiples.sol";

/// @dev Keys whose secrets are known, and proofs that are made from the secrets. These verify for
/// any public inputs. So tests need no prover to reach the code behind a valid proof. Points are
/// given as multiples of the generators.
contract Simulator {
    uint256 private constant R = Bn254.R;
    uint256 private constant Q = Bn254.Q;
    uint256 private constant ALPHA = 0xa1fa;
    uint256 private constant BETA = 3;
    uint256 private constant DELTA = 7;
    uint256 private constant GAMMA = 5;

    /// @param g G of each commitment, as a multiple of the generator
    /// @param s g times sigma of each commitment
    struct Setup {
        uint256 kind;
        uint256 slots;
        uint256 depth;
        uint256 publicCount;
        uint256[] g;
        uint256[] s;
    }

    /// @notice An epoch key. If `ceremony`, every G equals gamma; else all G are the same or all
    /// are distinct.
    function epochSetup(
        uint256 slots,
        bool ceremony,
        bool shared
    ) public pure returns (Setup memory setup) {
        setup = Setup(1, slots, 0, 5, new uint256[](3), new uint256[](3));
        for (uint256 k = 0; k < 3; ++k) {
            setup.g[k] =
                ceremony
                    ? GAMMA
                    : shared
                        ? 2
                        : 8 + k;
            setup.s[k] = 11 + k;
        }
    }

    function treeSetup(uint256 slots, uint256 depth) public pure returns (Setup memory) {
        return plainSetup(2, slots, depth, 8);
    }

    /// @notice A key without commitments, of any kind.
    function plainSetup(
        uint256 kind,
        uint256 slots,
        uint256 depth,
        uint256 publicCount
    ) public pure returns (Setup memory) {
        return Setup(kind, slots, depth, publicCount, new uint256[](0), new uint256[](0));
    }

    /// @notice The bytes of a key.
    function keyBytes(Setup memory setup) public view returns (bytes memory key) {
        key = abi.encode(
            1,
            setup.kind,
            setup.slots,
            setup.depth,
            setup.publicCount,
            setup.g.length,
            0
        );
        key = bytes.concat(key, abi.encode(g1(ALPHA), g2Neg(BETA), g2Neg(GAMMA), g2Neg(DELTA)));
        for (uint256 i = 0; i <= setup.publicCount; ++i)
            key = bytes.concat(key, abi.encode(g1(_ic(i))));
        for (uint256 k = 0; k < setup.g.length; ++k) {
            key = bytes.concat(
                key,
                abi.encode(G2Multiples.multiple(setup.g[k]), g2Neg(setup.s[k]))
            );
        }
        if (setup.kind != 1) return key;
        bytes32[3] memory bases = [
            keccak256("D bases"),
            keccak256("U bases"),
            keccak256("P bases")
        ];
        key = bytes.concat(key, abi.encode(bases, g1(orderBase()), g1(orderStep())));
    }

    /// @notice A proof for these public inputs and commitments (multiples of the generator).
    /// `nonce` varies it.
    function prove(
        uint256[] memory publicInputs,
        uint256[] memory commitments,
        uint256 nonce
    ) public view returns (IProofLedger.Proof memory proof) {
        uint256 x = _ic(0);
        for (uint256 i = 0; i < publicInputs.length; ++i)
            x = addmod(x, mulmod(publicInputs[i], _ic(i + 1), R), R);
        for (uint256 k = 0; k < commitments.length; ++k) x = addmod(x, commitments[k], R);
        uint256 a = uint256(keccak256(abi.encode("a", nonce, publicInputs, commitments))) % R;
        uint256 right = addmod(mulmod(ALPHA, BETA, R), mulmod(x, GAMMA, R), R);
        uint256 c = mulmod(addmod(a, R - right, R), _inverse(DELTA), R); // B is the generator
        proof = IProofLedger.Proof(g1(a), G2Multiples.multiple(1), g1(c));
    }

    /// @notice Proof of knowledge for a commitment. Only its maker, or who ran the setup, can make
    /// it.
    function pok(
        Setup memory setup,
        uint256 k,
        uint256 commitment
    ) public view returns (uint256[2] memory) {
        return g1(mulmod(commitment, mulmod(setup.s[k], _inverse(setup.g[k]), R), R));
    }

    /// @notice The forgery that passes if knowledge of a commitment is not checked: A = alpha,
    /// B = beta, C = 0 and a commitment that cancels X. It needs nothing but the key.
    function forge(
        uint256[] memory publicInputs
    ) public view returns (IProofLedger.Proof memory proof, uint256[2] memory commitment) {
        uint256[2] memory x = g1(_ic(0));
        for (uint256 i = 0; i < publicInputs.length; ++i) {
            x = Bn254.add(x, Bn254.mul(g1(_ic(i + 1)), publicInputs[i]));
        }
        proof = IProofLedger.Proof(g1(ALPHA), G2Multiples.multiple(BETA), [uint256(0), 0]);
        commitment = Bn254.negate(x);
    }

    function digestOf(bytes calldata data) public pure returns (bytes32) {
        return keccak256(data);
    }

    function orderBase() public pure returns (uint256) {
        return 0x10;
    }

    function orderStep() public pure returns (uint256) {
        return 0x57e9;
    }

    function g1(uint256 scalar) public view returns (uint256[2] memory) {
        return Bn254.mul([uint256(1), 2], scalar);
    }

    function g2(uint256 k) public pure returns (uint256[4] memory) {
        return G2Multiples.multiple(k);
    }

    function g2Neg(uint256 k) public pure returns (uint256[4] memory p) {
        p = G2Multiples.multiple(k);
        (p[2], p[3]) = (Q - p[2], Q - p[3]);
    }

    function _inverse(uint256 x) private view returns (uint256) {
        (bool ok, bytes memory y) = address(5).staticcall(abi.encode(32, 32, 32, x, R - 2, R));
        assert(ok && y.length == 32);
        return abi.decode(y, (uint256));
    }

    function _ic(uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode("ic", i))) % R;
    }
}

/// @dev Puts bytes where contracts read them: code that starts with STOP.
library DataContract {
    function deploy(bytes memory data) internal returns (address target) {
        bytes memory creation = abi.encodePacked(
            hex"61",
            uint16(data.length + 1),
            hex"80600a5f395ff300",
            data
        );
        assembly ("memory-safe") {
            target := create(0, add(creation, 32), mload(creation))
        }
        assert(target != address(0));
    }

    /// Puts a key's bytes on chain, and names them for a contract that pins it.
    function pin(bytes memory key) internal returns (IProofLedger.KeyPin memory) {
        return IProofLedger.KeyPin(KeyId.wrap(keccak256(key)), deploy(key));
    }
}
