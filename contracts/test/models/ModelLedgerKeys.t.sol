// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModelLedger} from "../../interfaces/IModelLedger.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {ModelLedger} from "../../ModelLedger.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {KeyRefusals} from "../support/KeyRefusals.sol";
import {DataContract} from "../support/Simulator.sol";

contract ModelLedgerKeysTest is ModelFixture, KeyRefusals {
    function test_pinnedKeys() public view {
        (address data, uint64 kind, uint64 slots, uint64 depth) = models.keyOf(
            vk[8][SLOTS][1 + 16 * 16]
        );
        assertEq(data, pins[7].data, "data");
        assertEq(uint256(kind) + slots + depth, 8 + SLOTS + 1 + 16 * 16, "header");
        (data, , , ) = models.keyOf(NO_KEY);
        assertEq(data, address(0), "unknown key");
        assertEq(models.registry(), address(registry), "registry");
        assertEq(models.DRAW_DELAY(), 2, "delay");
    }

    function test_registryNeedsCode() public {
        vm.expectRevert(abi.encodeWithSelector(IModelLedger.BadRegistry.selector, STRANGER));
        ModelLedger(deploy("ModelLedger", abi.encode(STRANGER, pins)));
    }

    function test_keysOfOtherShapes() public {
        _expectKey(6, 0, 1, 1, "slots");
        _expectKey(6, 65, 1, 84, "slots");
        _expectKey(6, 4, 0, 7, "depth");
        _expectKey(6, 4, 8, 7, "depth");
        _expectKey(6, 4, 1, 8, "public inputs");
        _expectKey(7, 7, 1, 10, "public inputs");
        _expectKey(8, 4, 1, 7, "depth"); // rank 0
        _expectKey(8, 4, 1 + 16 * 24, 7, "depth");
        _expectKey(8, 4, 1 + 16 * 128, 7, "depth");
        _expectKey(8, 4, 16 * 8, 7, "depth");
        _expectKey(8, 8, 1 + 16 * 8, 7, "public inputs");
        _expectKey(5, 1, 5, 3, "kind");
    }

    function test_mostPublicInputs() public {
        IProofLedger.KeyPin[] memory list = new IProofLedger.KeyPin[](1);
        list[0] = DataContract.pin(sim.keyBytes(sim.plainSetup(7, 64, 7, 86)));
        deploy("ModelLedger", abi.encode(address(registry), list));
        _expectKey(7, 64, 7, 87, "count");
    }

    function _expectKey(
        uint256 kind,
        uint256 slots,
        uint256 depth,
        uint256 count,
        string memory rule
    ) private {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        expectKeyRefused("ModelLedger", address(registry), key, rule);
    }
}
