// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {ProofLedger} from "../../ProofLedger.sol";
import {KeyId} from "../../types/KeyId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";
import {KeyRefusals} from "../support/KeyRefusals.sol";
import {Simulator} from "../support/Simulator.sol";

contract ProofLedgerKeysTest is LedgerFixture, KeyRefusals {
    function test_pinnedKeys() public view {
        (address data, uint64 kind, uint64 slots, uint64 depth) = ledger.keyOf(vk(Pin.Epoch512));
        assertEq(data, pins[uint256(Pin.Epoch512)].data, "data");
        assertEq(uint256(kind) + slots + depth, 1 + 512 + 0, "epoch header");
        (, kind, slots, depth) = ledger.keyOf(vk(Pin.TreeDeep));
        assertEq(uint256(kind) + slots + depth, 2 + 256 + 6, "tree header");
        (data, kind, , ) = ledger.keyOf(KeyId.wrap(keccak256("none")));
        assertEq(data, address(0), "unknown key");
        assertEq(ledger.registry(), address(registry), "registry");
    }

    function test_registryNeedsCode() public {
        vm.expectRevert(abi.encodeWithSelector(IProofLedger.BadRegistry.selector, STRANGER));
        ProofLedger(deploy("ProofLedger", abi.encode(STRANGER, pins)));
    }

    function test_pinMustNameItsBytes() public {
        IProofLedger.KeyPin[] memory two = new IProofLedger.KeyPin[](2);
        two[0] = pins[0];
        two[1] = IProofLedger.KeyPin(KeyId.wrap(keccak256("another")), pins[1].data);
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, two[1].vkId, "digest")
        );
        ProofLedger(deploy("ProofLedger", abi.encode(address(registry), two)));
        two[1] = two[0];
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, two[0].vkId, "repeated")
        );
        ProofLedger(deploy("ProofLedger", abi.encode(address(registry), two)));
    }

    /// Sound keys that do not fit a kind of statement that the ledger knows.
    function test_keysOfOtherStatements() public {
        _expectKey(0, 4, 6, "public inputs");
        _expectKey(0, 2, 0, "slots");
        _expectKey(0, 2, 2 ** 20 + 1, "slots");
        _expectKey(0, 3, 5, "depth");
        _expectKey(5, 3, 1, "depth"); // no room for a chunk
        _expectKey(5, 3, 7, "depth");
        _expectKey(5, 2, 128, "slots");
        _expectKey(5, 2, 0, "slots");
    }

    /// The words of a proof would be read at other places than they are written to.
    function test_keysWithOtherCommitments() public {
        Simulator.Setup memory setup = setups[uint256(Pin.Tree)];
        (setup.g, setup.s) = (new uint256[](1), new uint256[](1));
        (setup.g[0], setup.s[0]) = (2, 11);
        bytes memory key = sim.keyBytes(setup);
        expectKeyRefused("ProofLedger", address(registry), key, "commitments");
        setup = setups[uint256(Pin.Epoch)];
        (setup.g, setup.s) = (new uint256[](2), new uint256[](2));
        (setup.g[0], setup.s[0], setup.g[1], setup.s[1]) = (2, 11, 2, 12);
        key = sim.keyBytes(setup);
        expectKeyRefused("ProofLedger", address(registry), key, "commitments");
    }

    function _expectKey(uint256 pin, uint256 word, uint256 value, string memory rule) private {
        bytes memory key = sim.keyBytes(setups[pin]);
        if (word == 4) {
            Simulator.Setup memory setup = setups[pin];
            setup.publicCount = value;
            key = sim.keyBytes(setup);
        } else {
            assembly {
                mstore(add(add(key, 32), mul(word, 32)), value)
            }
        }
        expectKeyRefused("ProofLedger", address(registry), key, rule);
    }
}
