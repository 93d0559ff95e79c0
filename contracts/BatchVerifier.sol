// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchVerifier} from "./interfaces/IBatchVerifier.sol";
import {Groth16Batch} from "./libraries/groth16/Groth16Batch.sol";
import {VerifyingKey} from "./libraries/keys/VerifyingKey.sol";

/// @title Checks many Groth16 proofs of one key at once.
/// @notice It has no state and no owner. It is a contract of its own because a ledger's code would
/// exceed the limit of EIP-170 with it. Each ledger creates the one that it calls.
contract BatchVerifier is IBatchVerifier {
    /// @inheritdoc IBatchVerifier
    function verifyBatch(
        address keyData,
        bytes calldata items,
        uint256 knowledgeMask
    ) external view override returns (bool) {
        return Groth16Batch.verify(VerifyingKey.load(keyData), items, knowledgeMask);
    }
}
