// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The name of a run or of a standing log.
/// @notice keccak256(abi.encode(chainid, registry, owner, nonce)): the registry makes it, from the
/// sender and the sender's own count, so nobody can take another owner's name. Zero is no run.
type RunId is bytes32;
