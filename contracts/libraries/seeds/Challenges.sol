// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "../groth16/Bn254.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {RunId} from "../../types/RunId.sol";

/// @title Preimages of the challenges.
/// @notice Layout: docs/formats/proofs.md. Everything that a proof is about is in the preimage,
/// with the chain and the contract. So no proof is valid for another statement. The points are in
/// it, too, so they are fixed before their challenge exists.
library Challenges {
    bytes32 private constant TAG_LINK = keccak256("provenance/v1/link");
    bytes32 private constant TAG_DATASET = keccak256("provenance/v1/dataset");
    bytes32 private constant TAG_EPOCH = keccak256("provenance/v1/epoch");

    struct Registration {
        address owner;
        KeyId epochKey;
        KeyId treeKey;
        uint256 root;
        uint256 depth;
        uint256 count;
        uint256 slots;
        uint256 chunks;
        bytes32 dHash;
    }

    struct Epoch {
        address registry;
        KeyId epochKey;
        DatasetId datasetId;
        RunId runId;
        bytes32 runSeed;
        uint256 epoch;
        uint256 number;
        uint256 count;
        uint256 consumed;
        uint256 slots;
        uint256 chunks;
        uint256 logSize;
        bytes32 logRoot;
        bytes32 dHash;
        bytes32 uHash;
        bytes32 pHash;
    }

    /// @notice Seed of a registration's challenges. abi.encode of a static struct is that of its
    /// fields in order.
    function linkSeed(Registration memory r) internal view returns (bytes32) {
        return keccak256(abi.encode(TAG_LINK, block.chainid, address(this), r));
    }

    /// @notice Name of a registration.
    function datasetId(bytes32 seed) internal pure returns (DatasetId) {
        return DatasetId.wrap(keccak256(abi.encode(TAG_DATASET, seed)));
    }

    /// @notice Seed of an anchored epoch's challenges.
    function epochSeed(Epoch memory e) internal view returns (bytes32) {
        return keccak256(abi.encode(TAG_EPOCH, block.chainid, address(this), e));
    }

    /// @notice The two challenges of a seed: keccak256(abi.encode(seed, i)) mod r for i = 0, 1.
    function fromSeed(bytes32 seed) internal pure returns (uint256 gamma, uint256 delta) {
        gamma = uint256(draw(seed, 0)) % Bn254.R;
        delta = uint256(draw(seed, 1)) % Bn254.R;
    }

    /// @notice keccak256(abi.encode(seed, i)).
    function draw(bytes32 seed, uint256 i) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(32, i)
            digest := keccak256(0, 64)
        }
    }

    /// @notice keccak256 of points as they lie in calldata, 64 bytes each.
    function hashOf(uint256[2][] calldata points) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(6, points.length)
            calldatacopy(free, points.offset, size)
            digest := keccak256(free, size)
        }
    }

    /// @notice keccak256 of one point.
    function hashOf(uint256[2] calldata point) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            calldatacopy(0, point, 64)
            digest := keccak256(0, 64)
        }
    }

    /// @notice keccak256 of U_c || P_c.
    function hashOf(
        uint256[2] calldata u,
        uint256[2] calldata p
    ) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, u, 64)
            calldatacopy(add(free, 64), p, 64)
            digest := keccak256(free, 128)
        }
    }
}
