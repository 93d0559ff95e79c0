// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {Kinds} from "../../libraries/keys/Kinds.sol";
import {PinnedKeys} from "../../libraries/keys/PinnedKeys.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {DataContract, Simulator} from "../support/Simulator.sol";
import {Test} from "../support/Test.sol";

contract PinnedKeysTest is Test {
    using PinnedKeys for PinnedKeys.Store;

    Simulator private immutable _sim = Simulator(deploy("Simulator", ""));
    PinnedKeys.Store private _store;

    function pin(IProofLedger.KeyPin calldata keyPin) external {
        _store.pin(keyPin, Kinds.DATASET_AUDITS);
    }

    /// The place of a key has eight bits. Key number 256 would be taken for key number 0.
    function test_noMoreKeysThanPlaces() public {
        bytes memory key = _sim.keyBytes(_sim.plainSetup(Kinds.ABSENT, 1, 5, 3));
        IProofLedger.KeyPin memory last;
        for (uint256 i = 0; i < 256; ++i) {
            uint256[2] memory alpha = _sim.g1(1_000 + i);
            assembly {
                mcopy(add(key, 256), alpha, 64) // words 7 and 8 of the key
            }
            last = DataContract.pin(key);
            if (i < 255) this.pin(last);
        }
        vm.expectRevert(
            abi.encodeWithSelector(VerifyingKey.BadKey.selector, last.vkId, "too many keys")
        );
        this.pin(last);
        assertEq(_store.count, 255, "keys");
    }
}
