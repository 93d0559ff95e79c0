// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProofLedger} from "./IProofLedger.sol";
import {DatasetId} from "../types/DatasetId.sol";
import {KeyId} from "../types/KeyId.sol";

/// @title Statements about registered datasets: sorted, member, absent.
/// @notice The dataset is a finished registration in a ProofLedger. This contract reads its root,
/// depth and count from there. Anybody may submit proofs. What was accepted before is accepted
/// again without effect, so retries are safe. A statement about a record's digest makes the digest
/// public for good. Anybody who guesses the record's bytes can then confirm the guess, so prove
/// only digests that may become known.
interface IDatasetAudits {
    /// @notice A chunk was shown to be sorted: the first halves of its records' digests increase
    /// strictly, from that of the leaf `first` on, and stay below that of the leaf `next`. `next`
    /// is 0 for the last chunk.
    event ChunkSorted(
        DatasetId indexed datasetId,
        KeyId indexed vkId,
        uint64 indexed chunk,
        uint256 first,
        uint256 next
    );
    /// @notice All chunks of this key's size are proved, and the `next` of each is the `first` of
    /// the following one. So the dataset is sorted and holds no digest twice.
    event DatasetSorted(DatasetId indexed datasetId, KeyId indexed vkId);
    /// @notice A record with this digest was shown to be in the dataset.
    event MemberShown(DatasetId indexed datasetId, bytes32 indexed digest);
    /// @notice It was shown that no record of the dataset has this digest.
    event AbsenceShown(DatasetId indexed datasetId, bytes32 indexed digest);

    /// @notice The ledger's address has no code.
    error BadLedger(address ledger);
    /// @notice The key is for trees of another depth than the dataset's.
    error WrongKeyDepth(KeyId vkId, uint64 expected, uint64 actual);
    /// @notice `first` must not be 0; `next` must be 0 for the last chunk, and for no other.
    error BadEnds(uint64 chunk, uint256 first, uint256 next);
    /// @notice The digest is zero, which no record has: the caller left it out.
    error ZeroDigest();
    /// @notice The dataset was not shown to be sorted, so an absence proof would mean nothing.
    error NotSorted(DatasetId datasetId);
    /// @notice The proof does not verify for this digest.
    error DigestProofInvalid(DatasetId datasetId, bytes32 digest);

    /// @notice Shows that chunk `k` is sorted. The set of one key is complete when every chunk is
    /// proved and the `next` of each is the `first` of the following one. Until then a chunk may be
    /// proved again with another `first` and `next`, which replace the old ones. So a prover who
    /// chose a wrong `next` cannot block the set.
    /// @param vkId a `sorted` key; its slots are the leaves per chunk
    /// @param first the chunk's first leaf
    /// @param next leaf of a record whose digest has a larger first half than all of this chunk; 0
    /// for the last chunk. The set is complete only if it is the `first` of the following chunk
    function proveSorted(
        DatasetId datasetId,
        KeyId vkId,
        uint64 k,
        uint256 first,
        uint256 next,
        IProofLedger.Proof calldata proof
    ) external;

    /// @notice Shows that a record with this digest is in the dataset. The digest becomes public.
    /// @param vkId a `member` key
    function proveMember(
        DatasetId datasetId,
        KeyId vkId,
        bytes32 digest,
        IProofLedger.Proof calldata proof
    ) external;

    /// @notice Shows that no record of a sorted dataset has this digest. The digest becomes public.
    /// @param vkId an `absent` key
    function proveAbsent(
        DatasetId datasetId,
        KeyId vkId,
        bytes32 digest,
        IProofLedger.Proof calldata proof
    ) external;

    /// @notice Whether the dataset was shown to be sorted: the set of some key is complete.
    function isSorted(DatasetId datasetId) external view returns (bool);

    /// @notice Whether the set of this key is complete.
    function isSortedUnder(DatasetId datasetId, KeyId vkId) external view returns (bool);

    /// @notice `first` and `next` of a proved chunk under a key; 0, 0 if it was not proved.
    function sortedChunk(
        DatasetId datasetId,
        KeyId vkId,
        uint64 k
    ) external view returns (uint256 first, uint256 next);

    /// @notice Whether a record with this digest was shown to be in the dataset.
    function isMember(DatasetId datasetId, bytes32 digest) external view returns (bool);

    /// @notice Whether it was shown that no record of the dataset has this digest. False says
    /// nothing about the dataset.
    function isAbsent(DatasetId datasetId, bytes32 digest) external view returns (bool);

    /// @notice A pinned key; all fields 0 if there is none with this id.
    /// @return data contract that holds the key's bytes
    /// @return kind 3 = sorted, 4 = member, 5 = absent
    /// @return slots leaves per chunk of a sorted key, else 1
    /// @return depth of the dataset's tree
    function keyOf(
        KeyId vkId
    ) external view returns (address data, uint64 kind, uint64 slots, uint64 depth);

    /// @notice The ProofLedger whose registrations the statements are about.
    function ledger() external view returns (address);
}
