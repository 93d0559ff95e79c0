// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc6962} from "../../libraries/log/Rfc6962.sol";

/// @dev The library's functions as calls.
contract Rfc6962Harness {
    function leaf(bytes calldata entry) external pure returns (bytes32) {
        return Rfc6962.leaf(entry);
    }

    function isIncluded(
        bytes32 leafHash,
        uint64 index,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return Rfc6962.isIncluded(leafHash, index, size, root, proof);
    }

    function isConsistent(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return Rfc6962.isConsistent(oldSize, oldRoot, newSize, newRoot, proof);
    }
}
