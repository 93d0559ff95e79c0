// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "../../interfaces/IProofLedger.sol";
import {VerifyingKey} from "../../libraries/keys/VerifyingKey.sol";
import {DataContract} from "./Simulator.sol";
import {Test} from "./Test.sol";

/// @dev Contracts that pin keys when they are created, and the keys that they refuse.
abstract contract KeyRefusals is Test {
    /// Tries to create a contract with this key alone.
    function expectKeyRefused(
        string memory name,
        address parent,
        bytes memory key,
        string memory rule
    ) internal {
        IProofLedger.KeyPin[] memory pins = new IProofLedger.KeyPin[](1);
        pins[0] = DataContract.pin(key);
        vm.expectRevert(abi.encodeWithSelector(VerifyingKey.BadKey.selector, pins[0].vkId, rule));
        deploy(name, abi.encode(parent, pins));
    }
}
