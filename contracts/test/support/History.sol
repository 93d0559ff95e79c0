// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "./Test.sol";

/// @dev The history contract of EIP-2935, and what else could be found at its address.
abstract contract History is Test {
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    /// Source: EIP-2935, the runtime code of the history contract.
    bytes internal constant HISTORY_CODE =
        hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042"
        hex"575f35600143038111604257611fff81430311604257611fff900654"
        hex"5f5260205ff35b5f5ffd5b5f35611fff60014303065500";
    /// Answers as the history contract does while BLOCKHASH knows the block, and else with 1.
    bytes internal constant LIAR_CODE = hex"5f35408015600e575f5260205ff35b60015f5260205ff3";

    /// What the protocol does at the beginning of a block: the system address stores the hash of
    /// the parent block.
    function storeParent(bytes32 hash) internal {
        vm.prank(SYSTEM);
        (bool ok, ) = HISTORY.call(abi.encode(hash));
        assertTrue(ok, "history stored");
    }

    /// Puts the history contract on the chain, with the hash of the parent block in it.
    function installHistory() internal {
        vm.etch(HISTORY, HISTORY_CODE);
        storeParent(blockhash(block.number - 1));
    }
}
