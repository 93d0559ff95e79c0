// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetAudits} from "../../DatasetAudits.sol";
import {IDatasetAudits} from "../../interfaces/IDatasetAudits.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {ProofLedger} from "../../ProofLedger.sol";
import {KeyRefusals} from "../support/KeyRefusals.sol";
import {AuditsFixture} from "./AuditsFixture.sol";

contract DatasetAuditsKeysTest is AuditsFixture, KeyRefusals {
    function test_pinnedKeys() public view {
        (address data, uint64 kind, uint64 slots, uint64 depth) = audits.keyOf(sorted256);
        assertEq(data, auditPins[1].data, "data");
        assertEq(uint256(kind) + slots + depth, 3 + 256 + 5, "header");
        (data, , , ) = audits.keyOf(vk(Pin.Tree));
        assertEq(data, address(0), "unknown key");
        assertEq(audits.ledger(), address(ledger), "ledger");
    }

    function test_ledgerNeedsCode() public {
        vm.expectRevert(abi.encodeWithSelector(IDatasetAudits.BadLedger.selector, STRANGER));
        DatasetAudits(deploy("DatasetAudits", abi.encode(STRANGER, auditPins)));
    }

    function test_eachContractPinsItsOwnKinds() public {
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, vk(Pin.Epoch), "kind")
        );
        DatasetAudits(deploy("DatasetAudits", abi.encode(address(ledger), pins)));
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, sorted16, "kind"));
        ProofLedger(deploy("ProofLedger", abi.encode(address(registry), auditPins)));
    }

    function test_keysOfOtherShapes() public {
        _expectKey(3, 64, 5, 6, "slots");
        _expectKey(3, 256, 1, 6, "depth"); // no room for a chunk
        _expectKey(3, 16, 5, 8, "public inputs");
        _expectKey(4, 2, 5, 4, "slots");
        _expectKey(4, 1, 7, 4, "depth");
        _expectKey(4, 1, 5, 3, "public inputs");
        _expectKey(5, 1, 5, 4, "public inputs");
        _expectKey(6, 4, 3, 7, "kind");
    }

    function _expectKey(
        uint256 kind,
        uint256 slots,
        uint256 depth,
        uint256 count,
        string memory rule
    ) private {
        bytes memory key = sim.keyBytes(sim.plainSetup(kind, slots, depth, count));
        expectKeyRefused("DatasetAudits", address(ledger), key, rule);
    }
}
