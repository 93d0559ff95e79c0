// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {Tensors} from "../../libraries/models/Tensors.sol";
import {ModelFixture} from "./ModelFixture.sol";

/// @dev Tensors of a table are distinct and in the order of their names.
contract ModelLedgerNamesTest is ModelFixture {
    string private constant LONG = "model.layers.10.self_attn.q_proj.weight";

    /// A table that holds one tensor twice, so that others get a smaller part of the draws.
    function test_aRepeatedTensor() public {
        for (uint64 stage = MERGE; stage <= QUANTIZE; ++stage) {
            shapes[1] = shapes[0];
            IModelLedger.Sample[] memory list = _draw(stage, 58);
            _expect(abi.encodeWithSelector(IModelLedger.NamesNotInOrder.selector, 1), stage, list);
            proveSamples(stage, 0, one(list[0]));
            _expect(
                abi.encodeWithSelector(IModelLedger.NamesNotInOrder.selector, 1),
                stage,
                one(list[1])
            );
            shapes[1] = Shape("b.weight", 40, 100, 160, 2, 5);
        }
    }

    function test_namesOutOfOrder() public {
        string[5] memory first = ["b", "a.weight", "b", LONG, unicode"ä"];
        string[5] memory second = ["a", "a", "B", "model.layers.10.self_attn.q_proj", "z"];
        for (uint64 i = 0; i < 5; ++i) {
            (shapes[0].name, shapes[1].name, shapes[2].name) = (first[i], second[i], unicode"€");
            IModelLedger.Sample[] memory list = _draw(QUANTIZE, 198, i);
            vm.expectRevert(abi.encodeWithSelector(IModelLedger.NamesNotInOrder.selector, 1));
            proveSamples(QUANTIZE, i, list);
        }
    }

    /// The names of the other stage's tests are in order; these are at the edges of a comparison.
    function test_namesInOrder() public {
        string[4] memory first = ["B", "a", LONG, "model.layers.1.self_attn.q_proj.weight"];
        string[4] memory second = ["a", "a.weight", unicode"ä", LONG];
        for (uint64 i = 0; i < 4; ++i) {
            (shapes[0].name, shapes[1].name, shapes[2].name) = (first[i], second[i], unicode"€");
            IModelLedger.Sample[] memory list = _draw(QUANTIZE, 198, i);
            proveSamples(QUANTIZE, i, list);
            assertEq(uint256(progress(QUANTIZE, i).nextTensor), 3, "accepted");
        }
    }

    function test_aFirstTensorWithoutName() public {
        shapes[0].name = "";
        IModelLedger.Sample[] memory list = _draw(QUANTIZE, 198);
        _expect(abi.encodeWithSelector(IModelLedger.NamesNotInOrder.selector, 0), QUANTIZE, list);
    }

    /// Tensor 1 comes before tensor 0. The sender says that tensor 0 had another name.
    function test_aFalsePreviousName() public {
        (shapes[0].name, shapes[1].name) = ("m", "b");
        IModelLedger.Sample[] memory list = _draw(QUANTIZE, 198);
        proveSamples(QUANTIZE, 0, one(list[0]));
        IModelLedger.Sample[] memory next = one(list[1]);
        bytes memory wrong = abi.encodeWithSelector(IModelLedger.WrongPrevious.selector, 1);
        vm.expectRevert(wrong);
        models.proveSamples(runId, QUANTIZE, 0, "a", next);
        vm.expectRevert(wrong);
        models.proveSamples(runId, QUANTIZE, 0, "", next);
        next = new IModelLedger.Sample[](2);
        (next[0], next[1]) = (list[0], list[1]);
        next[0].name = "a"; // proved before: nothing else of it is looked at
        vm.expectRevert(wrong);
        models.proveSamples(runId, QUANTIZE, 0, "", next);
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.NamesNotInOrder.selector, 1));
        models.proveSamples(runId, QUANTIZE, 0, "m", next);
    }

    /// Somebody else proves the first items of a list. The list can still be sent, though the name
    /// given with it is that of an earlier tensor.
    function test_aListAfterSomebodyElse() public {
        IModelLedger.Sample[] memory list = _draw(MERGE, 198);
        IModelLedger.Sample[] memory first = new IModelLedger.Sample[](6);
        for (uint256 i = 0; i < 6; ++i) first[i] = list[i]; // tensors 0 and 1
        proveSamples(MERGE, 0, first);
        assertEq(uint256(progress(MERGE, 0).nextTensor), 2, "two tensors");
        models.proveSamples(runId, MERGE, 0, "", list);
        assertTrue(progress(MERGE, 0).accepted, "accepted");
    }

    /// Between groups of one tensor no name is needed.
    function test_everyItemAlone() public {
        IModelLedger.Sample[] memory list = _draw(MERGE, 198);
        for (uint256 i = 0; i < list.length; ++i) {
            string memory before = i == 1 ? "a.weight" : i == 6 ? "b.weight" : "";
            models.proveSamples(runId, MERGE, 0, before, one(list[i]));
        }
        assertTrue(progress(MERGE, 0).accepted, "accepted");
    }

    function testFuzz_orderIsThatOfBytes(bytes memory name, bytes memory other) public pure {
        assertTrue(Tensors.isBefore(name, other) == _isBefore(name, other), "two names");
        assertTrue(!Tensors.isBefore(name, name), "one name");
        bytes memory longer = bytes.concat(name, other);
        assertTrue(Tensors.isBefore(name, longer) == (other.length > 0), "a prefix");
        assertTrue(!Tensors.isBefore(longer, name), "its continuation");
    }

    function testFuzz_orderOfNamesThatDifferInOneByte(bytes memory name, uint256 at) public pure {
        vm.assume(name.length > 0);
        bytes memory other = bytes.concat(name);
        at %= name.length;
        other[at] = bytes1(uint8(other[at]) ^ 0x80);
        bool before = uint8(name[at]) < 0x80;
        assertTrue(Tensors.isBefore(name, other) == before, "smaller");
        assertTrue(Tensors.isBefore(other, name) == !before, "larger");
    }

    /// Seven blocks in a page, and 16 children of a node.
    function test_depthOfATree() public pure {
        uint256 most = 7;
        for (uint8 depth = 1; depth <= 7; ++depth) {
            most *= 16;
            assertEq(uint256(Tensors.depthOf(most)), depth, "a full tree");
            assertEq(uint256(Tensors.depthOf(most + 1)), depth + 1, "one block more");
        }
        assertEq(uint256(Tensors.depthOf(1)), 1, "one block");
    }

    function _isBefore(bytes memory name, bytes memory other) private pure returns (bool) {
        for (uint256 i = 0; i < name.length && i < other.length; ++i) {
            if (name[i] != other[i]) return name[i] < other[i];
        }
        return name.length < other.length;
    }

    function _draw(uint64 stage, uint64 blocks) private returns (IModelLedger.Sample[] memory) {
        return _draw(stage, blocks, 0);
    }

    /// All items of an anchoring of the fixture's shapes as they are now.
    function _draw(
        uint64 stage,
        uint64 blocks,
        uint64 number
    ) private returns (IModelLedger.Sample[] memory list) {
        IModelLedger.Anchoring memory a = anchoring(stage);
        (a.blocks, a.draws) = (blocks, blocks / 10);
        assertEq(anchor(stage, a), number, "number");
        list = items(stage, draw(stage, number));
    }

    function _expect(bytes memory reason, uint64 stage, IModelLedger.Sample[] memory list) private {
        vm.expectRevert(reason);
        proveSamples(stage, 0, list);
    }
}
