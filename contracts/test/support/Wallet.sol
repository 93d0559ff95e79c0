// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev An account of two owners, both of whom must sign, as multisigs do (EIP-1271). Either may
/// have it call. Its bytecode for tests in Python is frozen in tests/vectors/wallet.json.
contract Wallet {
    address public immutable first;
    address public immutable second;

    error NotAnOwner(address sender);
    error WrongLength(uint256 length);

    constructor(address first_, address second_) {
        first = first_;
        second = second_;
    }

    function execute(address target, bytes calldata data) external returns (bytes memory) {
        if (msg.sender != first && msg.sender != second) revert NotAnOwner(msg.sender);
        // solhint-disable-next-line avoid-low-level-calls
        (bool ok, bytes memory result) = target.call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }

    function isValidSignature(
        bytes32 hash,
        bytes calldata signature
    ) external view returns (bytes4) {
        if (signature.length != 130) revert WrongLength(signature.length);
        bool both = _signed(hash, signature[:65], first) && _signed(hash, signature[65:], second);
        return both ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    function _signed(
        bytes32 hash,
        bytes calldata part,
        address owner
    ) private pure returns (bool) {
        address signer = ecrecover(
            hash,
            uint8(part[64]),
            bytes32(part[:32]),
            bytes32(part[32:64])
        );
        return signer != address(0) && signer == owner;
    }
}
