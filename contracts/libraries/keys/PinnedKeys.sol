// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Kinds} from "./Kinds.sol";
import {VerifyingKey} from "./VerifyingKey.sol";
import {KeyId} from "../../types/KeyId.sol";

/// @title The verifying keys that a contract pins: they are fixed when it is created.
library PinnedKeys {
    using VerifyingKey for VerifyingKey.Key;

    uint256 private constant MAX_KEYS = 255;

    /// @dev The fields after vkId share a slot, the only one that the check of a proof reads.
    struct Pinned {
        KeyId vkId;
        address data;
        uint8 kind;
        uint32 slots;
        uint16 depth;
    }

    struct Store {
        uint256 count;
        mapping(uint256 index => Pinned key) list;
        mapping(KeyId vkId => uint256 position) positions; // index in `list` + 1
    }

    /// @notice Pins a key after checking it completely, which costs much gas: for constructors
    /// only.
    /// @param kinds set of the kinds that the contract pins: bit n stands for kind n
    function pin(Store storage store, IProofLedger.KeyPin memory keyPin, uint256 kinds) internal {
        VerifyingKey.Key memory key = VerifyingKey.load(keyPin.data);
        if (key.id != keyPin.vkId) revert VerifyingKey.BadKey(keyPin.vkId, "digest");
        if (store.positions[key.id] != 0) revert VerifyingKey.BadKey(key.id, "repeated");
        if (store.count == MAX_KEYS) revert VerifyingKey.BadKey(key.id, "too many keys");
        if ((kinds >> key.kind()) & 1 == 0) revert VerifyingKey.BadKey(key.id, "kind");
        _requireStatement(key);
        key.requireSound();
        store.list[store.count] = Pinned(
            key.id,
            keyPin.data,
            uint8(key.kind()),
            uint32(key.slots()),
            uint16(key.depth())
        );
        store.positions[key.id] = ++store.count;
    }

    /// @notice Position (from 0) of a pinned key of this kind.
    function find(
        Store storage store,
        KeyId vkId,
        uint64 kind
    ) internal view returns (uint8 index) {
        uint256 position = store.positions[vkId];
        if (position == 0 || store.list[position - 1].kind != kind)
            revert IProofLedger.UnknownKey(vkId, kind);
        return uint8(position - 1);
    }

    /// @notice Reads the bytes of a pinned key.
    function load(
        Store storage store,
        uint8 index
    ) internal view returns (VerifyingKey.Key memory) {
        return VerifyingKey.load(store.list[index].data);
    }

    /// @notice A pinned key; all fields 0 if there is none with this id.
    function describe(
        Store storage store,
        KeyId vkId
    ) internal view returns (address data, uint64 kind, uint64 slots, uint64 depth) {
        uint256 position = store.positions[vkId];
        if (position == 0) return (address(0), 0, 0, 0);
        Pinned storage key = store.list[position - 1];
        return (key.data, key.kind, key.slots, key.depth);
    }

    /// Reverts unless the header fits the kind of statement that it names.
    function _requireStatement(VerifyingKey.Key memory key) private pure {
        (uint256 kind, uint256 slots) = (key.kind(), key.slots());
        if (!Kinds.fitsSlots(kind, slots)) revert VerifyingKey.BadKey(key.id, "slots");
        if (!Kinds.fitsDepth(kind, slots, key.depth())) revert VerifyingKey.BadKey(key.id, "depth");
        if (key.publicCount() != Kinds.publicCount(kind, slots))
            revert VerifyingKey.BadKey(key.id, "public inputs");
        if (key.commitmentCount() != Kinds.commitmentCount(kind))
            revert VerifyingKey.BadKey(key.id, "commitments");
    }
}
