// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A set of small numbers: one bit each, 256 in a storage slot.
library Bitmap {
    function has(
        mapping(uint256 word => uint256 bits) storage map,
        uint256 i
    ) internal view returns (bool) {
        return (map[i >> 8] >> (i & 0xff)) & 1 == 1;
    }

    function add(mapping(uint256 word => uint256 bits) storage map, uint256 i) internal {
        map[i >> 8] |= 1 << (i & 0xff);
    }
}
