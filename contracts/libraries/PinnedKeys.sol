// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../interfaces/IProofLedger.sol";
import {VerifyingKey} from "./VerifyingKey.sol";

/// @title The keys of a ledger, fixed when it is created.
library PinnedKeys {
    using VerifyingKey for VerifyingKey.Key;

    uint64 internal constant EPOCH = uint64(VerifyingKey.KIND_EPOCH);
    uint64 internal constant TREE = uint64(VerifyingKey.KIND_TREE);
    /// @notice Most records that a tree can hold: 16^6.
    uint256 internal constant MAX_COUNT = 16 ** 6;

    uint256 private constant MAX_KEYS = 255;
    uint256 private constant MIN_SLOTS = 16;

    /// @dev The fields after vkId share a slot: checking a proof reads only that one.
    struct Pinned {
        bytes32 vkId;
        address data;
        uint8 kind;
        uint32 slots;
        uint8 depth;
    }

    struct Store {
        uint256 count;
        mapping(uint256 index => Pinned key) list;
        mapping(bytes32 vkId => uint256 position) positions; // index in `list` + 1
    }

    /// @notice Pins a key; for constructors only, it checks the whole key.
    function pin(Store storage store, IProofLedger.KeyPin memory keyPin) internal {
        VerifyingKey.Key memory key = VerifyingKey.load(keyPin.data);
        if (key.id != keyPin.vkId) revert VerifyingKey.BadKey(keyPin.vkId, "digest");
        if (store.positions[key.id] != 0) revert VerifyingKey.BadKey(key.id, "repeated");
        if (store.count == MAX_KEYS) revert VerifyingKey.BadKey(key.id, "too many keys");
        _requireStatement(key);
        key.requireSound();
        store.list[store.count] = Pinned(
            key.id,
            keyPin.data,
            uint8(key.kind()),
            uint32(key.slots()),
            uint8(key.depth())
        );
        store.positions[key.id] = ++store.count;
    }

    /// @notice Position (from 0) of a pinned key of this kind.
    function find(Store storage store, bytes32 vkId, uint64 kind) internal view returns (uint8 index) {
        uint256 position = store.positions[vkId];
        if (position == 0 || store.list[position - 1].kind != kind) revert IProofLedger.UnknownKey(vkId, kind);
        return uint8(position - 1);
    }

    /// @notice Reads the bytes of a pinned key.
    function load(Store storage store, uint8 index) internal view returns (VerifyingKey.Key memory) {
        return VerifyingKey.load(store.list[index].data);
    }

    /// The header must be that of a statement known here.
    function _requireStatement(VerifyingKey.Key memory key) private pure {
        bool isEpoch = key.kind() == EPOCH;
        if (key.publicCount() != (isEpoch ? 5 : 8)) revert VerifyingKey.BadKey(key.id, "public inputs");
        if (key.commitmentCount() != (isEpoch ? 3 : 0)) revert VerifyingKey.BadKey(key.id, "commitments");
        uint256 depth = key.depth();
        if (isEpoch ? depth != 0 : depth != 5 && depth != 6) revert VerifyingKey.BadKey(key.id, "depth");
        uint256 slots = key.slots();
        if (slots < MIN_SLOTS || slots > MAX_COUNT) revert VerifyingKey.BadKey(key.id, "slots");
        while (!isEpoch && slots % 16 == 0) slots /= 16;
        if (!isEpoch && slots != 1) revert VerifyingKey.BadKey(key.id, "slots"); // a tree chunk is a whole subtree
    }
}
