// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Hashes of recent blocks.
/// @notice Source: EIP-2935. The history contract knows the hashes of the latest 8,191 blocks, even
/// after a node restarted. A contract decides when it is created whether it asks the history
/// contract, and then never again: where it did not work then, the BLOCKHASH instruction is used,
/// which knows 256. Anybody can put the history contract's code on a chain without EIP-2935. There
/// it stays empty, and whoever began to ask it later would miss every draw.
library BlockHashes {
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    /// @notice keccak256 of the runtime code that EIP-2935 lists.
    bytes32 internal constant HISTORY_CODE_HASH =
        0x6e49e66782037c0555897870e29fa5e552daf4719552131a0abce779daec0a5d;
    uint256 internal constant HISTORY_WINDOW = 8_191;

    /// @notice Whether the history contract has its canonical code and knows the parent block.
    /// @dev For constructors, whose contract keeps the answer as an immutable value.
    function hasHistory() internal view returns (bool) {
        if (HISTORY.codehash != HISTORY_CODE_HASH) return false;
        bytes32 parent = blockhash(block.number - 1);
        return parent != 0 && hashOf(block.number - 1, true) == parent;
    }

    /// @notice Hash of an earlier block; 0 if it is not available any more.
    /// @dev `number` must be below block.number.
    /// @param history what `hasHistory` said when the asking contract was created
    function hashOf(uint256 number, bool history) internal view returns (bytes32) {
        if (!history) return blockhash(number);
        if (block.number - number > HISTORY_WINDOW) return 0;
        // The contract takes a bare 32-byte block number, without a selector.
        (bool ok, bytes memory answer) = HISTORY.staticcall(abi.encode(number));
        return ok && answer.length == 32 ? bytes32(answer) : bytes32(0);
    }
}
