// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../../libraries/groth16/Bn254.sol";
import {Groth16Harness} from "./Groth16Harness.sol";
import {Test} from "../support/Test.sol";

/// @dev What the wrapped precompiles are given, and that nothing else is taken for their answer.
contract Bn254Test is Test {
    uint256 private constant ADD = 6; // addresses of precompiles
    uint256 private constant MUL = 7;
    uint256 private constant PAIRING = 8;

    Groth16Harness private immutable _h = Groth16Harness(deploy("Groth16Harness", ""));

    /// A call goes on if the price of EIP-1108 is left, 1/63 of it and 1,000. With one gas less it
    /// is refused, so a precompile never fails for lack of gas.
    function test_gasThatACallNeeds() public view {
        _expectNeed(MUL, 0, 6_000 + 95 + 1_000);
        _expectNeed(PAIRING, 0, 45_000 + 714 + 1_000);
        _expectNeed(PAIRING, 4, 181_000 + 2_873 + 1_000);
    }

    /// A precompile that fails burns what it was given: four times the price of EIP-1108.
    function test_gasThatAPrecompileGets() public {
        _expectGiven(ADD, 0, 4 * 150);
        _expectGiven(MUL, 0, 4 * 6_000);
        _expectGiven(PAIRING, 1, 4 * (45_000 + 34_000));
        _expectGiven(PAIRING, 3, 4 * (45_000 + 3 * 34_000));
    }

    /// On a chain without the precompiles a call succeeds and answers nothing.
    function test_missingPrecompiles() public {
        for (uint256 precompile = ADD; precompile <= PAIRING; ++precompile) {
            vm.mockCall(address(uint160(precompile)), "", "");
            (bool ok, bytes memory answer) = address(_h).staticcall(_call(precompile, 1, 0));
            assertTrue(!ok, "taken for an answer");
            bytes memory missing = abi.encodeWithSelector(
                Bn254.PrecompileMissing.selector,
                precompile
            );
            assertEq(keccak256(answer), keccak256(missing), "named");
        }
    }

    function test_negate() public {
        uint256[2] memory p = _h.negate([uint256(1), 2]);
        assertTrue(p[0] == 1 && p[1] == Bn254.Q - 2, "-G");
        p = _h.negate([uint256(0), 0]);
        assertTrue(p[0] == 0 && p[1] == 0, "infinity");
        for (uint256 i = 0; i < 2; ++i) {
            // q would become 0, and q + 1 a number below 0.
            vm.expectRevert(abi.encodeWithSelector(Bn254.MalformedPoint.selector, 0));
            _h.negate([uint256(1), Bn254.Q + i]);
        }
    }

    /// Finds the largest amount of gas with which the library refuses a call.
    function _expectNeed(uint256 precompile, uint256 pairs, uint256 need) private view {
        bytes memory data = _call(precompile, pairs, 0);
        uint256 low = 0;
        while (bytes4(_answer(low, data)) != Bn254.LowGas.selector) {
            low += 100;
            assertTrue(low < 50_000, "refused for lack of gas");
        }
        uint256 high = low + need;
        while (low + 1 < high) {
            uint256 middle = (low + high) / 2;
            bool refused = bytes4(_answer(middle, data)) == Bn254.LowGas.selector;
            (low, high) = refused ? (middle, high) : (low, middle);
        }
        bytes memory expected = abi.encodeWithSelector(Bn254.LowGas.selector, need, need - 1);
        assertEq(keccak256(_answer(low, data)), keccak256(expected), "one gas is missing");
    }

    function _answer(uint256 gas_, bytes memory data) private view returns (bytes memory answer) {
        (, answer) = address(_h).staticcall{gas: gas_}(data);
    }

    /// Compares a failure with one that burns nothing.
    function _expectGiven(uint256 precompile, uint256 pairs, uint256 given) private {
        bytes memory data = _call(precompile, pairs, 1);
        bytes memory refused = abi.encodeWithSelector(Bn254.MalformedPoint.selector, precompile);
        assertEq(keccak256(_answer(1_000_000, data)), keccak256(refused), "refused");
        uint256 burned = _gasOf(data);
        vm.mockCallRevert(address(uint160(precompile)), "", "");
        assertEq(keccak256(_answer(1_000_000, data)), keccak256(refused), "refused");
        burned -= _gasOf(data);
        vm.clearMockedCalls();
        assertEq(burned, given, "burned");
    }

    function _gasOf(bytes memory data) private view returns (uint256 used) {
        address target = address(_h);
        assembly ("memory-safe") {
            let left := gas()
            pop(staticcall(1000000, target, add(data, 32), mload(data), 0, 0))
            used := sub(left, gas())
        }
    }

    /// A call of the harness with points that are right, or with one that is not on its curve.
    function _call(
        uint256 precompile,
        uint256 pairs,
        uint256 wrong
    ) private pure returns (bytes memory) {
        uint256[2] memory p = [uint256(1), 2 + wrong];
        if (precompile == ADD) return abi.encodeCall(Groth16Harness.add, (p, [uint256(1), 2]));
        if (precompile == MUL) return abi.encodeCall(Groth16Harness.mul, (p, 5));
        uint256[] memory input = new uint256[](6 * pairs); // of infinities
        if (wrong == 1) (input[0], input[1]) = (1, 3);
        return abi.encodeCall(Groth16Harness.isPairingOne, (input));
    }
}
