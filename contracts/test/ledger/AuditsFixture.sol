// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetAudits} from "../../DatasetAudits.sol";
import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {DatasetId} from "../../types/DatasetId.sol";
import {KeyId} from "../../types/KeyId.sol";
import {LedgerFixture} from "./LedgerFixture.sol";
import {DataContract} from "../support/Simulator.sol";

/// @dev Audits of the fixture's dataset of 300 records: 19 sorted chunks of 16 leaves, or 2 of 256.
abstract contract AuditsFixture is LedgerFixture {
    bytes32 internal constant DIGEST = keccak256("digest");
    DatasetId internal constant NO_DATASET = DatasetId.wrap(keccak256("none"));
    uint64 internal constant CHUNKS = 19;

    DatasetAudits internal audits;
    IProofLedger.KeyPin[] internal auditPins;
    KeyId internal sorted16;
    KeyId internal sorted256;
    KeyId internal sortedDeep;
    KeyId internal memberKey;
    KeyId internal absentKey;
    KeyId internal memberDeep;
    DatasetId internal id;

    function setUp() public virtual override {
        super.setUp();
        sorted16 = _pin(3, 16, 5, 6);
        sorted256 = _pin(3, 256, 5, 6);
        sortedDeep = _pin(3, 256, 6, 6);
        memberKey = _pin(4, 1, 5, 4);
        absentKey = _pin(5, 1, 5, 3);
        memberDeep = _pin(4, 1, 6, 4);
        audits = DatasetAudits(deploy("DatasetAudits", abi.encode(address(ledger), auditPins)));
        id = register(Pin.Epoch);
    }

    function leaf(uint64 k) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("leaf", k))) % R;
    }

    function sortedProof(
        uint64 k,
        uint256 used,
        bool more,
        uint256 first,
        uint256 next
    ) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](6);
        (inputs[0], inputs[1]) = (ROOT, k);
        (inputs[2], inputs[3]) = (used, more ? 1 : 0);
        (inputs[4], inputs[5]) = (first, next);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function proveChunk(uint64 k, uint256 first, uint256 next) internal {
        bool more = k + 1 < CHUNKS;
        IProofLedger.Proof memory proof = sortedProof(k, more ? 16 : 12, more, first, next);
        vm.prank(STRANGER); // anybody may submit it
        audits.proveSorted(id, sorted16, k, first, next, proof);
    }

    function proveChunk(uint64 k) internal {
        proveChunk(k, leaf(k), k + 1 < CHUNKS ? leaf(k + 1) : 0);
    }

    function proveAllSorted() internal {
        for (uint64 k = CHUNKS; k > 0; --k) proveChunk(k - 1);
    }

    function memberProof(
        uint256 count,
        bytes32 digest
    ) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](4);
        (inputs[0], inputs[1]) = (ROOT, count);
        (inputs[2], inputs[3]) = (uint256(digest) >> 128, uint256(digest) % 2 ** 128);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function absentProof(
        uint256 count,
        bytes32 digest
    ) internal view returns (IProofLedger.Proof memory) {
        uint256[] memory inputs = new uint256[](3);
        (inputs[0], inputs[1], inputs[2]) = (ROOT, count, uint256(digest) >> 128);
        return sim.prove(inputs, new uint256[](0), 1);
    }

    function _pin(
        uint256 kind,
        uint256 slots,
        uint256 depth,
        uint256 count
    ) private returns (KeyId) {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        IProofLedger.KeyPin memory keyPin = DataContract.pin(key);
        auditPins.push(keyPin);
        return keyPin.vkId;
    }
}
