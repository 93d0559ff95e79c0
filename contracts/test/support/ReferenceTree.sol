// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The definitions of RFC 6962 section 2.1, word for word and slow. Tests compare the
/// verifiers with it.
library ReferenceTree {
    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        return root(leaves, 0, leaves.length);
    }

    /// MTH(D[start:end]) over leaf hashes.
    function root(
        bytes32[] memory leaves,
        uint256 start,
        uint256 end
    ) internal pure returns (bytes32) {
        if (end == start) return sha256("");
        if (end - start == 1) return leaves[start];
        uint256 middle = start + split(end - start);
        return
            sha256(
                abi.encodePacked(
                    bytes1(0x01),
                    root(leaves, start, middle),
                    root(leaves, middle, end)
                )
            );
    }

    /// PATH(index, D[0:size]).
    function inclusion(
        bytes32[] memory leaves,
        uint256 index,
        uint256 size
    ) internal pure returns (bytes32[] memory) {
        return _inclusion(leaves, index, 0, size);
    }

    /// PROOF(oldSize, D[0:newSize]).
    function consistency(
        bytes32[] memory leaves,
        uint256 oldSize,
        uint256 newSize
    ) internal pure returns (bytes32[] memory) {
        if (oldSize == 0 || oldSize == newSize) return new bytes32[](0);
        return _consistency(leaves, oldSize, 0, newSize, true);
    }

    /// The largest power of two below n.
    function split(uint256 n) internal pure returns (uint256 k) {
        k = 1;
        while (2 * k < n) k *= 2;
    }

    function _inclusion(
        bytes32[] memory leaves,
        uint256 m,
        uint256 start,
        uint256 end
    ) private pure returns (bytes32[] memory) {
        if (end - start == 1) return new bytes32[](0);
        uint256 k = split(end - start);
        if (m < k)
            return _append(_inclusion(leaves, m, start, start + k), root(leaves, start + k, end));
        return _append(_inclusion(leaves, m - k, start + k, end), root(leaves, start, start + k));
    }

    /// SUBPROOF(m, D[start:end], whole).
    function _consistency(
        bytes32[] memory leaves,
        uint256 m,
        uint256 start,
        uint256 end,
        bool whole
    ) private pure returns (bytes32[] memory) {
        if (m == end - start) {
            return whole ? new bytes32[](0) : _append(new bytes32[](0), root(leaves, start, end));
        }
        uint256 k = split(end - start);
        if (m <= k) {
            return
                _append(
                    _consistency(leaves, m, start, start + k, whole),
                    root(leaves, start + k, end)
                );
        }
        return
            _append(
                _consistency(leaves, m - k, start + k, end, false),
                root(leaves, start, start + k)
            );
    }

    function _append(
        bytes32[] memory list,
        bytes32 last
    ) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) longer[i] = list[i];
        longer[list.length] = last;
    }
}
