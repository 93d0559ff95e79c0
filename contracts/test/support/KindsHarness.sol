// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kinds} from "../../libraries/keys/Kinds.sol";

/// @dev The library's functions as calls, so that a test can expect them to revert.
contract KindsHarness {
    function fitsSlots(uint256 kind, uint256 slots) external pure returns (bool) {
        return Kinds.fitsSlots(kind, slots);
    }

    function fitsDepth(uint256 kind, uint256 depth) external pure returns (bool) {
        return Kinds.fitsDepth(kind, depth);
    }

    function publicCount(uint256 kind, uint256 slots) external pure returns (uint256) {
        return Kinds.publicCount(kind, slots);
    }

    function commitmentCount(uint256 kind) external pure returns (uint256) {
        return Kinds.commitmentCount(kind);
    }

    function stageOf(uint256 kind) external pure returns (uint64) {
        return Kinds.stageOf(kind);
    }

    function blockBytes(uint256 kind) external pure returns (uint256) {
        return Kinds.blockBytes(kind);
    }

    function codeWords(uint256 kind, uint256 blocks) external pure returns (uint256) {
        return Kinds.codeWords(kind, blocks);
    }
}
