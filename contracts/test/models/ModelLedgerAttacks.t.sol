// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Groth16} from "../../libraries/groth16/Groth16.sol";
import {ModelLedger} from "../../ModelLedger.sol";
import {KeyId} from "../../types/KeyId.sol";
import {RunId} from "../../types/RunId.sol";
import {ModelFixture} from "./ModelFixture.sol";

contract ModelLedgerAttacksTest is ModelFixture {
    bytes private constant INVALID = abi.encodeWithSelector(
        IModelLedger.SampleInvalid.selector,
        0,
        0
    );

    bytes32 private _mergeSeed;
    bytes32 private _seed;

    function setUp() public override {
        super.setUp();
        (, _mergeSeed) = anchorAndDraw(MERGE);
        (, _seed) = anchorAndDraw(QUANTIZE);
    }

    /// A proof of blocks that another seed drew: that of another number, run, stage or contract.
    function test_proofsForOtherDraws() public {
        (uint64 number, bytes32 other) = anchorAndDraw(QUANTIZE);
        assertTrue(number == 1 && other != _seed, "another number");
        _expect(INVALID, QUANTIZE, item(QUANTIZE, other, 0, 0));
        RunId run = runId;
        runId = openRun();
        (, other) = anchorAndDraw(QUANTIZE);
        runId = run;
        _expect(INVALID, QUANTIZE, item(QUANTIZE, other, 0, 0));
        _expect(INVALID, QUANTIZE, item(QUANTIZE, _mergeSeed, 0, 0));
        ModelLedger first = models;
        models = ModelLedger(deploy("ModelLedger", abi.encode(address(registry), pins)));
        (, other) = anchorAndDraw(QUANTIZE);
        models = first;
        assertTrue(other != _seed, "another contract");
        _expect(INVALID, QUANTIZE, item(QUANTIZE, other, 0, 0));
        proveSamples(QUANTIZE, 0, one(item(QUANTIZE, _seed, 0, 0)));
    }

    /// The blocks of the first group, submitted again for the second.
    function test_proofOfAnotherGroup() public {
        proveSamples(QUANTIZE, 0, one(item(QUANTIZE, _seed, 0, 0)));
        proveSamples(QUANTIZE, 0, one(item(QUANTIZE, _seed, 1, 0)));
        IModelLedger.Sample memory x = item(QUANTIZE, _seed, 1, 0);
        x.group = 1;
        _expect(abi.encodeWithSelector(IModelLedger.SampleInvalid.selector, 1, 1), QUANTIZE, x);
    }

    function test_alteredCodes() public {
        for (uint256 i = 0; i < 5; ++i) {
            IModelLedger.Sample memory x = item(QUANTIZE, _seed, 0, 0);
            x.codes[i] ^= 1;
            _expect(INVALID, QUANTIZE, x);
            x.codes[i] = (x.codes[i] ^ 1) + R;
            _expect(
                abi.encodeWithSelector(Groth16.NotInField.selector, 2 + i, x.codes[i]),
                QUANTIZE,
                x
            );
        }
    }

    function test_alteredProof() public {
        IModelLedger.Sample memory x = item(QUANTIZE, _seed, 0, 0);
        x.proof.c = x.proof.a;
        _expect(INVALID, QUANTIZE, x);
    }

    /// A tensor with another root has another entry, and so has one with its root plus r.
    function test_tensorsNotInTheTable() public {
        bytes memory refused = abi.encodeWithSelector(IModelLedger.NotInTable.selector, 0, 0);
        for (uint256 change = 0; change < 7; ++change) {
            IModelLedger.Sample memory x = item(QUANTIZE, _seed, 0, 0);
            if (change == 0) x.openings[0].root = rootOf("merged", 1);
            if (change == 1) x.openings[0].root += R;
            if (change == 2) x.name = "b.weight";
            if (change == 3) (x.rows, x.columns) = (20, 32); // the same number of blocks
            if (change == 4) x.columns = 63; // the same number of blocks
            if (change == 5) x.openings[0].path[0] ^= bytes32(uint256(1));
            if (change == 6) x.openings[0].path = opening("merged", 1, 0).path;
            _expect(refused, QUANTIZE, x);
        }
    }

    /// The entry of tensor 1, submitted for tensor 0, is not at tensor 0's place.
    function test_tensorOfAnotherPlace() public {
        IModelLedger.Sample memory x = item(QUANTIZE, _seed, 1, 0);
        x.tensor = 0;
        _expect(abi.encodeWithSelector(IModelLedger.NotInTable.selector, 0, 0), QUANTIZE, x);
    }

    function test_shapes() public {
        uint64[7] memory rows = [uint64(0), 10, 2 ** 32, 2 ** 63, 10, 10, 10];
        uint64[7] memory columns = [uint64(64), 0, 33, type(uint64).max, 64, 64, 64];
        uint64[7] memory ranks = [uint64(0), 0, 0, 0, 8, 65, 0]; // an adapter of rank 0 is none
        for (uint256 i = 0; i < 7; ++i) {
            bool merges = i >= 5;
            IModelLedger.Sample memory x = item(
                merges ? MERGE : QUANTIZE,
                merges ? _mergeSeed : _seed,
                0,
                0
            );
            (x.rows, x.columns, x.rank) = (rows[i], columns[i], ranks[i]);
            bytes4 shape = IModelLedger.BadShape.selector;
            _expect(
                abi.encodeWithSelector(shape, 0, x.rows, x.columns, x.rank),
                merges ? MERGE : QUANTIZE,
                x
            );
        }
    }

    /// A tensor may have 2^32 blocks. This one is in no table.
    function test_theLargestShape() public {
        IModelLedger.Sample memory x = item(QUANTIZE, _seed, 0, 0);
        (x.rows, x.columns) = (2 ** 32, 32);
        _expect(abi.encodeWithSelector(IModelLedger.NotInTable.selector, 0, 0), QUANTIZE, x);
    }

    function test_keys() public {
        IModelLedger.Sample memory x = item(QUANTIZE, _seed, 0, 0);
        KeyId[4] memory wrong = [vk[6][SLOTS][2], vk[6][8][1], vk[7][SLOTS][1], NO_KEY];
        for (uint256 i = 0; i < 4; ++i) {
            x.vkId = wrong[i];
            (uint64 slots, uint64 depth) = i == 0 ? (SLOTS, uint64(2)) : (8, 1);
            bytes memory reason = abi.encodeWithSelector(
                IModelLedger.WrongKey.selector,
                wrong[i],
                slots,
                depth
            );
            if (i >= 2)
                reason = abi.encodeWithSelector(IProofLedger.UnknownKey.selector, wrong[i], 6);
            _expect(reason, QUANTIZE, x);
        }
        x = item(MERGE, _mergeSeed, 0, 0);
        x.vkId = vk[8][SLOTS][1 + 16 * 16]; // the adapter's rank is padded to 8
        _expect(
            abi.encodeWithSelector(IModelLedger.WrongKey.selector, x.vkId, SLOTS, 1 + 16 * 16),
            MERGE,
            x
        );
    }

    function test_lengths() public {
        bytes4 wrong = IModelLedger.WrongItemLength.selector;
        IModelLedger.Sample memory x = item(QUANTIZE, _seed, 0, 0);
        x.openings = new IModelLedger.TablePath[](4);
        _expect(abi.encodeWithSelector(wrong, 0, 1, 4), QUANTIZE, x);
        x = item(QUANTIZE, _seed, 0, 0);
        x.codes = new uint256[](4);
        _expect(abi.encodeWithSelector(wrong, 0, 5, 4), QUANTIZE, x);
        x = item(MERGE, _mergeSeed, 0, 0);
        x.codes = new uint256[](1);
        _expect(abi.encodeWithSelector(wrong, 0, 0, 1), MERGE, x);
        x = item(MERGE, _mergeSeed, 0, 0);
        x.openings = new IModelLedger.TablePath[](1);
        _expect(abi.encodeWithSelector(wrong, 0, 4, 1), MERGE, x);
    }

    /// A base tensor of another name or shape, an adapter of another tensor or rank, and A and B
    /// exchanged.
    function test_mergeOfOtherTensors() public {
        for (uint256 change = 0; change < 7; ++change) {
            IModelLedger.Sample memory x = item(MERGE, _mergeSeed, 0, 0);
            uint256 place =
                change < 2
                    ? 0
                    : change < 5
                        ? 1
                        : change == 5
                            ? 2
                            : 3;
            if (change == 0) x.openings[0] = opening("base", 1, rootOf("base", 1));
            if (change == 1) x.openings[0] = opening("merged", 0, rootOf("merged", 0));
            if (change == 2) x.openings[1] = opening("adapter", 2, rootOf("a", 1));
            if (change == 3) x.openings[1] = opening("adapter", 1, rootOf("b", 0));
            if (change == 4) x.rank = 7; // padded to 8 as well
            if (change == 5) x.openings[2] = opening("adapter", 0, rootOf("a", 0));
            if (change == 6) x.openings[3] = opening("base", 0, rootOf("base", 0));
            _expect(abi.encodeWithSelector(IModelLedger.NotInTable.selector, 0, place), MERGE, x);
        }
        proveSamples(MERGE, 0, one(item(MERGE, _mergeSeed, 0, 0)));
    }

    /// An anchored base table has other names at the same places. It is refused, since its entries
    /// must have the merged tensors' names.
    function test_baseOfOtherNames() public {
        IModelLedger.Anchoring memory a = anchoring(MERGE);
        bytes32[] memory list = leaves("base");
        list[0] = leafOf("z.weight", 0, 10, 64, 1, 20, rootOf("base", 0));
        a.base.root = sha256(
            abi.encodePacked(
                bytes1(0x01),
                sha256(abi.encodePacked(bytes1(0x01), list[0], list[1])),
                list[2]
            )
        );
        anchor(MERGE, a);
        IModelLedger.Sample memory x = item(MERGE, draw(MERGE, 1), 0, 0);
        (x.openings[0].path[0], x.openings[0].path[1]) = (list[1], list[2]);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.NotInTable.selector, 0, 0));
        proveSamples(MERGE, 1, one(x));
    }

    /// An anchored number of blocks that is too small would mean more draws, one that is too large
    /// fewer. Neither is ever accepted.
    function test_blocksMustAddUp() public {
        uint64[3] memory sums = [uint64(19), 197, 199];
        for (uint64 i = 0; i < 3; ++i) {
            IModelLedger.Anchoring memory a = anchoring(QUANTIZE);
            (a.blocks, a.draws) = (sums[i], 1);
            anchor(QUANTIZE, a);
            bytes32 seed = draw(QUANTIZE, i + 1);
            IModelLedger.Sample[] memory list = new IModelLedger.Sample[](3);
            for (uint64 t = 0; t < 3; ++t) list[t] = item(QUANTIZE, seed, t, 0);
            uint256 actual = i == 0 ? 20 : 198;
            vm.expectRevert(
                abi.encodeWithSelector(IModelLedger.BlocksDiffer.selector, sums[i], actual)
            );
            proveSamples(QUANTIZE, i + 1, list);
        }
    }

    function test_publicInputsInTheField() public {
        IModelLedger.Anchoring memory a = anchoring(QUANTIZE);
        bytes32[] memory list = leaves("merged");
        list[0] = leafOf("a.weight", 0, 10, 64, 1, 20, rootOf("merged", 0) + R);
        a.merged.root = sha256(
            abi.encodePacked(
                bytes1(0x01),
                sha256(abi.encodePacked(bytes1(0x01), list[0], list[1])),
                list[2]
            )
        );
        anchor(QUANTIZE, a);
        IModelLedger.Sample memory x = item(QUANTIZE, draw(QUANTIZE, 1), 0, 0);
        x.openings[0].root += R;
        vm.expectRevert(abi.encodeWithSelector(Groth16.NotInField.selector, 0, x.openings[0].root));
        proveSamples(QUANTIZE, 1, one(x));
    }

    function _expect(bytes memory reason, uint64 stage, IModelLedger.Sample memory x) private {
        vm.expectRevert(reason);
        proveSamples(stage, 0, one(x));
    }
}
