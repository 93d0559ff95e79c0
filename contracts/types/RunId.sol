// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The name of a run or of a standing log.
/// @notice keccak256(abi.encode(chainid, registry, owner, nonce)): the registry computes it from
/// the sender and the number of runs and logs that the sender opened before. So nobody can take a
/// name of another owner. Zero is no run.
type RunId is bytes32;
