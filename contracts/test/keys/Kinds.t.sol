// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kinds} from "../../libraries/keys/Kinds.sol";
import {KindsHarness} from "../support/KindsHarness.sol";
import {Test} from "../support/Test.sol";

/// @dev The table of statements in the contracts: the bounds of each rule, and numbers that are not
/// in the table.
contract KindsTest is Test {
    KindsHarness private immutable _h = KindsHarness(deploy("KindsHarness", ""));

    function test_numbersAreFrozen() public pure {
        uint64[8] memory kinds = [
            Kinds.EPOCH,
            Kinds.TREE,
            Kinds.SORTED,
            Kinds.MEMBER,
            Kinds.ABSENT,
            Kinds.Q8_0,
            Kinds.INT8,
            Kinds.MERGE
        ];
        for (uint256 i = 0; i < kinds.length; ++i) assertEq(kinds[i], i + 1, "number");
        assertEq(Kinds.LAST, kinds.length, "last");
    }

    function test_eachKindIsPinnedByOneContract() public pure {
        assertEq(Kinds.PROOF_LEDGER, 0x006, "epoch, tree");
        assertEq(Kinds.DATASET_AUDITS, 0x038, "sorted, member, absent");
        assertEq(Kinds.MODEL_LEDGER, 0x1c0, "q8_0, int8, merge");
    }

    function test_slots() public view {
        _expectSlots(Kinds.EPOCH, [uint256(0), 1, 2, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1], 0x1e);
        uint64[2] memory trees = [Kinds.TREE, Kinds.SORTED];
        for (uint256 i = 0; i < 2; ++i) {
            _expectSlots(trees[i], [uint256(0), 1, 15, 16, 17, 255], 0x08);
            _expectSlots(trees[i], [uint256(256), 257, 4096, 65536, 16 ** 5, 16 ** 6], 0x0d);
        }
        uint64[2] memory single = [Kinds.MEMBER, Kinds.ABSENT];
        for (uint256 i = 0; i < 2; ++i)
            _expectSlots(single[i], [uint256(0), 1, 2, 16, 256, 1 << 255], 0x02);
        uint64[3] memory weights = [Kinds.Q8_0, Kinds.INT8, Kinds.MERGE];
        for (uint256 i = 0; i < 3; ++i)
            _expectSlots(weights[i], [uint256(0), 1, 2, 63, 64, 65], 0x1e);
    }

    function test_depths() public view {
        _expectDepths(Kinds.EPOCH, [uint256(0), 1, 5, 6, 7, 1 << 255], 0x01);
        uint64[4] memory trees = [Kinds.TREE, Kinds.SORTED, Kinds.MEMBER, Kinds.ABSENT];
        for (uint256 i = 0; i < 4; ++i) _expectDepths(trees[i], [uint256(0), 1, 5, 6, 7, 16], 0x0e);
        // A tree has room for a chunk.
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 depth = 1; depth <= 6; ++depth)
                assertEq(_h.fitsDepth(trees[i], 4096, depth) ? 1 : 0, depth < 3 ? 0 : 1, "room");
        }
        uint64[2] memory quantized = [Kinds.Q8_0, Kinds.INT8];
        for (uint256 i = 0; i < 2; ++i)
            _expectDepths(quantized[i], [uint256(0), 1, 7, 8, 16, 16 * 8 + 1], 0x06);
        uint256[6] memory levels = [
            uint256(16 * 8),
            16 * 8 + 1,
            16 * 8 + 7,
            16 * 8 + 8,
            16 * 64 + 7,
            16 * 64 + 8
        ];
        _expectDepths(Kinds.MERGE, levels, 0x16);
        uint256[6] memory ranks = [
            uint256(1),
            16 * 7 + 1,
            16 * 16 + 1,
            16 * 24 + 1,
            16 * 32 + 1,
            16 * 128 + 1
        ];
        _expectDepths(Kinds.MERGE, ranks, 0x14);
    }

    function test_publicInputs() public view {
        uint8[8] memory one = [5, 8, 6, 4, 3, 4, 4, 7];
        uint8[8] memory most = [5, 8, 6, 4, 3, 82, 86, 16];
        for (uint256 kind = 1; kind <= 8; ++kind) {
            assertEq(_h.publicCount(kind, 1), one[kind - 1], "one slot");
            assertEq(_h.publicCount(kind, 64), most[kind - 1], "64 slots");
            assertEq(_h.commitmentCount(kind), kind == 1 ? 3 : 0, "commitments");
        }
        assertEq(Kinds.MAX_PUBLIC, 86, "the largest key");
    }

    function test_stagesAndBlocks() public view {
        uint8[8] memory stages = [0, 0, 0, 0, 0, 2, 2, 1];
        uint8[8] memory bytes_ = [0, 0, 0, 0, 0, 34, 36, 0];
        for (uint256 kind = 1; kind <= 8; ++kind) {
            assertEq(_h.stageOf(kind), stages[kind - 1], "stage");
            assertEq(_h.blockBytes(kind), bytes_[kind - 1], "bytes of a block");
            assertEq(
                _h.codeWords(kind, 3),
                (uint256(bytes_[kind - 1]) * 3 + 30) / 31,
                "words of three blocks"
            );
        }
    }

    function test_unknownKindsPanic(uint256 kind) public {
        vm.assume(kind < 1 || kind > Kinds.LAST);
        _expectPanics(kind);
    }

    function test_theNeighboursOfTheTablePanic() public {
        _expectPanics(0);
        _expectPanics(uint256(Kinds.LAST) + 1);
    }

    function _expectPanics(uint256 kind) private {
        assertTrue(!Kinds.isKnown(kind), "known");
        _expectPanic();
        _h.fitsSlots(kind, 1);
        _expectPanic();
        _h.fitsDepth(kind, 1, 3);
        _expectPanic();
        _h.publicCount(kind, 1);
        _expectPanic();
        _h.commitmentCount(kind);
        _expectPanic();
        _h.stageOf(kind);
        _expectPanic();
        _h.blockBytes(kind);
        _expectPanic();
        _h.codeWords(kind, 1);
    }

    function _expectPanic() private {
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 1)); // a failed assert
    }

    /// Bit i of `fits` says whether a key may have slots[i].
    function _expectSlots(uint256 kind, uint256[6] memory slots, uint256 fits) private view {
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(_h.fitsSlots(kind, slots[i]) ? 1 : 0, (fits >> i) & 1, "slots");
        }
    }

    function _expectDepths(uint256 kind, uint256[6] memory depths, uint256 fits) private view {
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(_h.fitsDepth(kind, 1, depths[i]) ? 1 : 0, (fits >> i) & 1, "depth");
        }
    }
}
