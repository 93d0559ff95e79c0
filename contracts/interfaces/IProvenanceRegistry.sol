// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetId} from "../types/DatasetId.sol";
import {ManifestDigest} from "../types/ManifestDigest.sol";
import {ModelDigest} from "../types/ModelDigest.sol";
import {RecordDigest} from "../types/RecordDigest.sol";
import {RunId} from "../types/RunId.sol";

/// @title Append-only logs of training runs, their seeds, releases and revocations.
/// @notice A run is named by (chain, registry, owner, nonce), so nobody can take a name of another
/// owner. Every head commits to a log as an RFC 6962 tree and must be proven to extend the previous
/// head. So a log can be neither forked nor rewritten, and no head can be left out. The registry
/// does not judge contents: anybody may open runs and claim any digest, and readers decide whose
/// claims count.
interface IProvenanceRegistry {
    /// @param owner who opened the run; the zero address if there is no such run
    /// @param drawBlock block whose hash makes the seed; 0 for a standing log
    /// @param seq number of heads committed
    /// @param size entries under the latest head
    /// @param root RFC 6962 root of the latest head; 0 before the first head
    /// @param preregistrationDigest digest of the `run.open` record, which was fixed before the
    /// seed existed; 0 for a standing log
    /// @param datasetId registration of the dataset that the run declared; 0 for a standing log
    /// @param seed 0 until drawn
    struct Run {
        address owner;
        uint64 drawBlock;
        uint64 seq;
        uint64 size;
        bytes32 root;
        RecordDigest preregistrationDigest;
        DatasetId datasetId;
        bytes32 seed;
    }

    /// @param root RFC 6962 root over `size` entries
    /// @param size number of entries
    /// @param blockNumber block of the commit
    /// @param timestamp time of that block, seconds
    struct Head {
        bytes32 root;
        uint64 size;
        uint64 blockNumber;
        uint64 timestamp;
    }

    /// @param blockNumber block in which this was said
    /// @param fromBlock first block in which what the account anchored does not count
    /// @param reason what the sender gave as the reason
    struct SignerRevocation {
        uint64 blockNumber;
        uint64 fromBlock;
        string reason;
    }

    /// @param runId run whose log holds the release
    /// @param owner owner of that run
    /// @param seq number of the head under which the release was shown to be in the log
    /// @param index position of the release's entry in the log
    /// @param blockNumber block of the claim
    /// @param revokedBlock block of its revocation; 0 if not revoked
    /// @param manifestDigest digest of the manifest of the released files
    /// @param recordDigest digest of the release record
    struct Claim {
        RunId runId;
        address owner;
        uint64 seq;
        uint64 index;
        uint64 blockNumber;
        uint64 revokedBlock;
        ManifestDigest manifestDigest;
        RecordDigest recordDigest;
    }

    /// @notice A run (drawBlock > 0) or a standing log (drawBlock, datasetId and
    /// preregistrationDigest 0) was opened.
    event RunOpened(
        RunId indexed runId,
        address indexed owner,
        DatasetId indexed datasetId,
        uint256 nonce,
        RecordDigest preregistrationDigest,
        uint64 drawBlock
    );
    /// @notice The seed of a run was drawn from the hash of its draw block.
    event SeedDrawn(RunId indexed runId, bytes32 seed, uint64 drawBlock, bytes32 blockHash);
    /// @notice An account was allowed to write to a log, or no longer is.
    event WriterSet(RunId indexed runId, address indexed writer, bool allowed);
    /// @notice A head was committed; it extends the one before.
    event HeadCommitted(
        RunId indexed runId,
        uint64 indexed seq,
        address indexed writer,
        uint64 oldSize,
        uint64 newSize,
        bytes32 newRoot
    );
    /// @notice The owner claimed a model digest, by a release entry of a log.
    event Released(
        ModelDigest indexed modelDigest,
        RunId indexed runId,
        address indexed owner,
        uint64 seq,
        uint64 index,
        ManifestDigest manifestDigest,
        RecordDigest recordDigest
    );
    /// @notice A log entry was revoked by the run's owner.
    event Revoked(RunId indexed runId, uint64 indexed index, string reason);
    /// @notice `owner` revoked a dataset. This counts for readers who trust `owner`.
    event DatasetRevoked(DatasetId indexed datasetId, address indexed owner, string reason);
    /// @notice `by` revoked the key of an account, for what it anchored from `fromBlock` on. This
    /// counts for readers who trust `by` to speak for the account.
    event SignerRevoked(
        address indexed signer,
        address indexed by,
        uint64 fromBlock,
        string reason
    );

    /// @notice No run has this id.
    error UnknownRun(RunId runId);
    /// @notice Only the run's owner may do this.
    error NotOwner(RunId runId, address sender);
    /// @notice Only a writer of the run may do this.
    error NotWriter(RunId runId, address sender);
    /// @notice The owner is always a writer, and cannot be set or removed as one.
    error OwnerIsWriter(RunId runId, address owner);
    /// @notice The preregistration digest is zero: a run must fix one before its seed is drawn.
    error ZeroPreregistration();
    /// @notice A standing log has no seed.
    error NoDraw(RunId runId);
    /// @notice The hash of the draw block does not exist yet.
    error DrawTooEarly(RunId runId, uint64 drawBlock, uint256 blockNumber);
    /// @notice The hash of the draw block is no longer available: the run stays without a seed.
    error DrawMissed(RunId runId, uint64 drawBlock, uint256 blockNumber);
    /// @notice The run's seed was drawn already; it is drawn only once.
    error AlreadyDrawn(RunId runId, bytes32 seed);
    /// @notice The head's number is not the next one; heads are numbered 1, 2, 3, ...
    error WrongSequence(RunId runId, uint64 expected, uint64 actual);
    /// @notice The new head does not hold more entries than the one before.
    error SizeNotGrown(RunId runId, uint64 oldSize, uint64 newSize);
    /// @notice The proof does not show that the new head extends the old one.
    error NotConsistent(RunId runId, uint64 oldSize, uint64 newSize);
    /// @notice There is no such head.
    error UnknownHead(RunId runId, uint64 seq);
    /// @notice The proof does not show that the rebuilt release entry is in the log at `index`.
    error NotIncluded(RunId runId, uint64 seq, uint64 index);
    /// @notice This log entry was claimed already; it can be claimed only once.
    error AlreadyReleased(RunId runId, uint64 index);
    /// @notice The log has no entry at this index yet.
    error IndexOutOfRange(RunId runId, uint64 index, uint64 size);
    /// @notice It was revoked already, last in this block. A revocation is final, and its reason
    /// does not change.
    error AlreadyRevoked(bytes32 id, uint64 blockNumber);
    /// @notice A key cannot be revoked from a block on that is later than the next one.
    error FromBlockAhead(uint64 fromBlock, uint256 blockNumber);

    /// @notice Opens a run. Its seed comes from the hash of the block that is DRAW_DELAY after this
    /// one. So what is fixed here cannot depend on the seed.
    /// @param preregistrationDigest digest of the `run.open` record; not zero
    /// @param datasetId registration, in a ProofLedger, of the dataset that the run will use
    /// @return runId keccak256(abi.encode(chainid, registry, owner, nonce))
    function openRun(
        RecordDigest preregistrationDigest,
        DatasetId datasetId
    ) external returns (RunId runId);

    /// @notice Opens a standing log, for records that belong to no run. It has no seed.
    /// @return runId as for `openRun`, with the next nonce of the same count
    function openLog() external returns (RunId runId);

    /// @notice Draws the seed of a run. Anybody may do so, once, while the hash of its draw block
    /// is available: for 8,191 blocks if `usesHistory`, else for 256.
    /// @return seed keccak256(abi.encode(TAG_SEED, chainid, registry, runId, preregistrationDigest,
    /// datasetId, block hash))
    function drawSeed(RunId runId) external returns (bytes32 seed);

    /// @notice Allows or forbids an account to write to a log of the sender. The owner is always a
    /// writer.
    function setWriter(RunId runId, address writer, bool allowed) external;

    /// @notice Commits the next head of a log. The sender names the head's number, so the call
    /// fails if another writer committed a head meanwhile.
    /// @param seq number of the new head: that of the latest head + 1
    /// @param newRoot RFC 6962 root over `newSize` entries
    /// @param newSize number of entries; more than under the latest head
    /// @param consistencyProof proof of RFC 9162 section 2.1.4 that the new head extends the latest
    /// one, of exact length; empty for the first head
    function commit(
        RunId runId,
        uint64 seq,
        bytes32 newRoot,
        uint64 newSize,
        bytes32[] calldata consistencyProof
    ) external;

    /// @notice Claims a model digest, by a release entry in a log of the sender. The contract
    /// rebuilds the entry, SHA256("provenance/v1/release" || 0 || runId || modelDigest ||
    /// manifestDigest || recordDigest), so a claim can only name digests that the log names.
    /// @param seq number of the head under which the entry is shown to be in the log
    /// @param index position of the entry in the log
    /// @param inclusionProof proof of RFC 9162 section 2.1.3, of exact length
    function release(
        RunId runId,
        uint64 seq,
        ModelDigest modelDigest,
        ManifestDigest manifestDigest,
        RecordDigest recordDigest,
        uint64 index,
        bytes32[] calldata inclusionProof
    ) external;

    /// @notice Revokes an entry of the sender's log, once and for good. If it is a release entry,
    /// this revokes its claim.
    function revoke(RunId runId, uint64 index, string calldata reason) external;

    /// @notice Records that the sender revokes a dataset, once and for good. Anybody may do so;
    /// readers ask for the revocation of the owner they trust.
    function revokeDataset(DatasetId datasetId, string calldata reason) external;

    /// @notice Records that the sender revokes the key of an account, for what the account anchors
    /// from `fromBlock` on. Anybody may do so; readers ask for the revocations of those whom they
    /// trust to speak for the account, such as itself. Nothing here refuses the account's later
    /// transactions: readers do not count them. It cannot be undone, only be called again with an
    /// earlier `fromBlock`, when more is known. That leaves what was said before as it is: a reader
    /// may have trusted the sender then, and not trust it now.
    /// @param signer the account
    /// @param fromBlock the first block in which what it anchored does not count: at the latest the
    /// next one; an earlier one if the key may have been in other hands since
    function revokeSigner(address signer, uint64 fromBlock, string calldata reason) external;

    /// @notice A run; all fields 0 if there is none with this id.
    function runOf(RunId runId) external view returns (Run memory);

    /// @notice Head number `seq` (from 1) of a log; all fields 0 if there is none.
    function headAt(RunId runId, uint64 seq) external view returns (Head memory);

    /// @notice Whether an account may commit to a log now.
    function isWriter(RunId runId, address account) external view returns (bool);

    /// @notice How many runs and standing logs an owner opened: the nonce of the next one.
    function nonceOf(address owner) external view returns (uint256);

    /// @notice The id of the run that an owner opened, or would open, with this nonce.
    function runIdOf(address owner, uint256 nonce) external view returns (RunId);

    /// @notice Runs and standing logs of an owner, oldest first: at most `limit`, from `start` on.
    function runsOf(
        address owner,
        uint256 start,
        uint256 limit
    ) external view returns (RunId[] memory runIds, uint256 total);

    /// @notice All claims that one owner made for a model digest, oldest first. Other accounts
    /// cannot make this list longer.
    function claims(ModelDigest modelDigest, address owner) external view returns (Claim[] memory);

    /// @notice The claims that anybody made for a model digest, oldest first: at most `limit`, from
    /// `start` on.
    function lineageOf(
        ModelDigest modelDigest,
        uint256 start,
        uint256 limit
    ) external view returns (Claim[] memory page, uint256 total);

    /// @notice Block and reason of a log entry's revocation; block 0 if it was not revoked.
    function revocationOf(
        RunId runId,
        uint64 index
    ) external view returns (uint64 blockNumber, string memory reason);

    /// @notice Block and reason of a dataset's revocation by `owner`; block 0 if `owner` did not
    /// revoke it.
    function datasetRevocationOf(
        DatasetId datasetId,
        address owner
    ) external view returns (uint64 blockNumber, string memory reason);

    /// @notice The indices of all revoked entries of a log, in the order in which they were
    /// revoked: at most `limit`, from `start` on. So one call tells that nothing else was revoked.
    function revokedEntriesOf(
        RunId runId,
        uint256 start,
        uint256 limit
    ) external view returns (uint64[] memory indices, uint256 total);

    /// @notice Every time that `by` revoked an account's key, in the order in which it was said: at
    /// most `limit`, from `start` on. Each names an earlier `fromBlock` than the one before it, so
    /// the last one said while a reader trusted `by` reaches furthest back of those that count.
    function revocationsOfSignerBy(
        address signer,
        address by,
        uint256 start,
        uint256 limit
    ) external view returns (SignerRevocation[] memory page, uint256 total);

    /// @notice The registry that this one replaces; zero if none.
    function supersedes() external view returns (address);

    /// @notice Whether block hashes come from the history contract of EIP-2935. It is so if that
    /// contract had its canonical code and knew the parent block when this one was created.
    function usesHistory() external view returns (bool);

    /// @notice How many blocks after a run was opened the block comes whose hash makes its seed.
    // solhint-disable-next-line func-name-mixedcase
    function DRAW_DELAY() external view returns (uint64);
}
