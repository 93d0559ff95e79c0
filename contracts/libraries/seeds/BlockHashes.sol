// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Hashes of recent blocks.
/// @notice Source: EIP-2935. The history contract knows the hashes of the latest 8,191 blocks, even
/// after a node restarted. Only on chains where it has no code the BLOCKHASH instruction is used,
/// which knows 256.
library BlockHashes {
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    uint256 internal constant HISTORY_WINDOW = 8_191;

    /// @notice Hash of an earlier block; 0 if it is not available any more.
    /// @dev `number` must be below block.number.
    function hashOf(uint256 number) internal view returns (bytes32) {
        if (HISTORY.code.length == 0) return blockhash(number);
        if (block.number - number > HISTORY_WINDOW) return 0;
        // The contract takes a bare 32-byte block number, without a selector.
        (bool ok, bytes memory answer) = HISTORY.staticcall(abi.encode(number));
        return ok && answer.length == 32 ? bytes32(answer) : bytes32(0);
    }
}
