// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {RunId} from "../../types/RunId.sol";

/// @dev The cheatcodes that these tests use. The test runner answers calls to this address.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function roll(uint256 number) external;
    function warp(uint256 timestamp) external;
    function chainId(uint256 id) external;
    function etch(address target, bytes calldata code) external;
    function mockCall(address target, bytes calldata data, bytes calldata answer) external;
    function mockCallRevert(address target, bytes calldata data, bytes calldata reason) external;
    function clearMockedCalls() external;
    function setBlockhash(uint256 number, bytes32 hash) external;
    function assume(bool condition) external pure;
    function expectRevert(bytes calldata data) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function load(address target, bytes32 slot) external view returns (bytes32);
    function getCode(string calldata artifact) external view returns (bytes memory);
}

/// @dev A minimal test base: a failed assertion reverts with what was compared.
abstract contract Test {
    // solhint-disable-next-line const-name-snakecase
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    error NotEqual(string what, bytes32 actual, bytes32 expected);
    error NotTrue(string what);

    function assertEq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, bytes32(actual), bytes32(expected));
    }

    function assertEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, actual, expected);
    }

    function assertEq(RunId actual, RunId expected, string memory what) internal pure {
        assertEq(RunId.unwrap(actual), RunId.unwrap(expected), what);
    }

    function assertEq(DatasetId actual, DatasetId expected, string memory what) internal pure {
        assertEq(DatasetId.unwrap(actual), DatasetId.unwrap(expected), what);
    }

    function assertEq(KeyId actual, KeyId expected, string memory what) internal pure {
        assertEq(KeyId.unwrap(actual), KeyId.unwrap(expected), what);
    }

    function assertEq(address actual, address expected, string memory what) internal pure {
        if (actual != expected)
            revert NotEqual(what, bytes32(bytes20(actual)), bytes32(bytes20(expected)));
    }

    function assertEq(
        string memory actual,
        string memory expected,
        string memory what
    ) internal pure {
        assertEq(keccak256(bytes(actual)), keccak256(bytes(expected)), what);
    }

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    /// Deploys a contract from its own compiler output; reverts as its constructor does. With `new`
    /// its code would be a part of each test: compiled once more for each test, and with the
    /// compiler settings of tests.
    function deploy(string memory name, bytes memory arguments) internal returns (address created) {
        bytes memory code = bytes.concat(vm.getCode(name), arguments);
        assembly ("memory-safe") {
            created := create(0, add(code, 32), mload(code))
            if iszero(created) {
                let place := mload(0x40)
                returndatacopy(place, 0, returndatasize())
                revert(place, returndatasize())
            }
        }
    }

    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + (x % (high - low + 1));
    }
}
