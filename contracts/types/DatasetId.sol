// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The name of a dataset's registration in a ProofLedger.
/// @notice keccak256(abi.encode(keccak256("provenance/v1/dataset"), link seed)): the ledger
/// computes it when the registration begins. The link seed is hashed from chain, ledger, owner,
/// keys, tree and points (docs/formats/proofs.md). A run's owner declares one when opening the run;
/// the ledger compares it when an epoch is anchored. Zero is no dataset.
type DatasetId is bytes32;

using {differs as !=} for DatasetId global;

function differs(DatasetId a, DatasetId b) pure returns (bool) {
    return DatasetId.unwrap(a) != DatasetId.unwrap(b);
}
