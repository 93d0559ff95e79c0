// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kinds} from "../../libraries/keys/Kinds.sol";

/// @dev The library's functions as calls, so that a test can expect them to revert.
contract KindsHarness {
    function fitsSlots(uint256 kind, uint256 slots) external pure returns (bool) {
        return Kinds.fitsSlots(kind, slots);
    }

    function fitsDepth(uint256 kind, uint256 slots, uint256 depth) external pure returns (bool) {
        return Kinds.fitsDepth(kind, slots, depth);
    }

    /// For each of the slots, and for each of the depths: whether a key may have both.
    function fits(
        uint256 kind,
        uint256[] calldata slots,
        uint256[] calldata depths
    ) external pure returns (bool[] memory answers) {
        answers = new bool[](slots.length * depths.length);
        for (uint256 i = 0; i < answers.length; ++i) {
            (uint256 s, uint256 d) = (slots[i / depths.length], depths[i % depths.length]);
            answers[i] = Kinds.fitsSlots(kind, s) && Kinds.fitsDepth(kind, s, d);
        }
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
