"""Reading the contracts at a block. What the endpoint answers is attacker-controlled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from provenance.chain.abi import Abi, checksum_address, keccak
from provenance.chain.answers import RpcError, answering
from provenance.chain.artifact import ARTIFACTS, Addresses, abi_of, address_of, provides
from provenance.chain.lookup import ChainLookup
from provenance.chain.rpc import Rpc
from provenance.errors import UnavailableError
from provenance.ids import Address, DatasetId, KeyId, RunId, to_hex
from provenance.judgement.facts import (
    MAX_ATTESTED,
    ZERO_WORD,
    Agreement,
    AnchoringFacts,
    Attested,
    AttestedDigest,
    BlockRef,
    ChainIdentity,
    ClaimFacts,
    Contract,
    DatasetFacts,
    HeadFacts,
    ModelAnchoringFacts,
    Revocation,
    RunFacts,
    SignerRevocation,
    TableFacts,
)

PAGE = 100  # entries that one call of a paged view asks for
# Anybody may claim any digest and open runs, at the price of a transaction. A total beyond this is
# a lie.
MAX_CLAIMS = 100_000
# Views that registries of earlier releases lack.
_NEWER = ("revokedEntriesOf", "revocationsOfSignerBy")

_DELEGATION = bytes.fromhex("ef0100")  # before the 20 bytes of an address (EIP-7702)
_SIGNER = Abi(
    [
        {
            "type": "function",
            "name": "isValidSignature",
            "inputs": [{"name": "hash", "type": "bytes32"}, {"name": "signature", "type": "bytes"}],
            "outputs": [{"name": "", "type": "bytes4"}],
        }
    ]
)
# The answer "yes" of EIP-1271: the function's own selector in a word.
_YES = _SIGNER.selector("isValidSignature").ljust(32, b"\0")


def _lacks_none() -> frozenset[str]:
    return frozenset()


class Snapshot:
    """`provenance.judgement.facts.ChainSnapshot` over JSON-RPC. All reads name one block's hash.

    Args:
        lacking: tells which views of today the registry's code lacks.
    """

    def __init__(
        self,
        rpc: Rpc,
        addresses: Addresses,
        tag: str | int,
        lacking: Callable[[], frozenset[str]] = _lacks_none,
    ) -> None:
        with answering():
            block = rpc.block(tag)
        self._rpc, self._addresses, self._lacking = rpc, addresses, lacking
        self.block = BlockRef(block.number, block.hash, block.timestamp)

    def _read(self, contract: str, function: str, *args: Any) -> Any:
        abi = abi_of(ARTIFACTS[contract])
        address = address_of(self._addresses, contract)
        with answering():
            data = self._rpc.call(address, abi.encode(function, args), self.block.hash)
        if not data:
            raise UnavailableError(
                "no contract answers",
                where=f"{ARTIFACTS[contract]} {address}",
                hint="check the addresses in the trust file",
            )
        return abi.decode(function, data)

    def run(self, run_id: RunId) -> RunFacts | None:
        """A run, None if nobody opened it."""
        v = self._read("registry", "runOf", run_id)
        if int(v["owner"], 16) == 0:
            return None
        return RunFacts(
            run_id,
            Address(v["owner"]),
            v["drawBlock"],
            v["seq"],
            v["size"],
            v["root"],
            v["preregistrationDigest"],
            DatasetId(v["datasetId"]),
            v["seed"],
        )

    def head(self, run_id: RunId, seq: int) -> HeadFacts | None:
        """A head, None if the run has none of this number."""
        v = self._read("registry", "headAt", run_id, seq)
        return (
            None
            if v["size"] == 0
            else HeadFacts(v["root"], v["size"], v["blockNumber"], v["timestamp"])
        )

    def claims(self, model: bytes) -> list[ClaimFacts]:
        """Every release of a model, oldest first; asks page by page.

        Raises:
            UnavailableError: the endpoint tells of more than `MAX_CLAIMS`.
        """
        result: list[ClaimFacts] = []
        while True:
            v = self._read("registry", "lineageOf", model, len(result), PAGE)
            _require_bounded("releases of one file", "lineageOf", v["total"], v["page"])
            result += [
                ClaimFacts(
                    RunId(c["runId"]),
                    Address(c["owner"]),
                    c["seq"],
                    c["index"],
                    c["blockNumber"],
                    c["revokedBlock"],
                    c["manifestDigest"],
                    c["recordDigest"],
                )
                for c in v["page"]
            ]
            if not v["page"] or len(result) >= v["total"]:
                return result

    def revocation(self, run_id: RunId, index: int) -> Revocation | None:
        """The revocation of a record, None unless it was revoked."""
        return _revocation(self._read("registry", "revocationOf", run_id, index))

    def revoked_entries(self, run_id: RunId) -> list[int] | None:
        """All revoked records of a run, page by page; None if the registry cannot list them.

        Raises:
            UnavailableError: the endpoint tells of more than a log can have, or leaves some out.
        """
        if "revokedEntriesOf" in self._lacking():
            return None
        result: list[int] = []
        while True:
            v = self._read("registry", "revokedEntriesOf", run_id, len(result), PAGE)
            result += v["indices"]
            if len(result) == v["total"]:
                return result
            if not len(result) < v["total"] <= MAX_CLAIMS or not v["indices"]:
                raise UnavailableError(
                    "endpoint tells of another number of revoked records",
                    where="revokedEntriesOf",
                    expected=v["total"],
                    actual=len(result),
                )

    def signer_revocation(self, signer: str, by: str, until: int) -> SignerRevocation | None:
        """What `by` said last, in a block up to `until`, of an account's key; None if nothing.

        The list is in the order of blocks. It is searched by halves, an entry at a time: however
        much the account said later, at most 256 entries are read.

        Raises:
            UnavailableError: the endpoint tells of an entry and does not give it.
        """
        if "revocationsOfSignerBy" in self._lacking():
            return None
        names = (checksum_address(signer), checksum_address(by))
        found, first = None, 0
        end = self._read("registry", "revocationsOfSignerBy", *names, 0, 0)["total"]
        while first < end:  # what lies before `first` was said by then, from `end` on later
            middle = (first + end) // 2
            page = self._read("registry", "revocationsOfSignerBy", *names, middle, 1)["page"]
            if len(page) != 1:
                raise UnavailableError(
                    "endpoint does not give a revocation that it tells of",
                    where=f"revocationsOfSignerBy {signer} {by} {middle}",
                    expected=1,
                    actual=len(page),
                    hint="ask another endpoint",
                )
            said = SignerRevocation(page[0]["blockNumber"], page[0]["fromBlock"], page[0]["reason"])
            if said.block_number > until:
                end = middle
            else:
                found, first = said, middle + 1
        return found

    def dataset_revocation(self, dataset_id: DatasetId, owner: str) -> Revocation | None:
        """The revocation of a dataset by `owner`, None unless there is one."""
        return _revocation(
            self._read("registry", "datasetRevocationOf", dataset_id, checksum_address(owner))
        )

    def contract_code(self, account: Address) -> str | None:
        """Keccak-256 of an account's code, None if it has none or delegates (EIP-7702)."""
        with answering():
            code = self._rpc.code(account, self.block.hash)
        return None if not code or code.startswith(_DELEGATION) else to_hex(keccak(code))

    def accepts_signature(self, account: Address, digest: bytes, signature: bytes) -> bool:
        """Whether a contract says that a signature is its own.

        Source: EIP-1271. A contract that refuses the call says no, as multisigs do.
        """
        data = _SIGNER.encode("isValidSignature", (digest, signature))
        with answering():
            try:
                return self._rpc.call(account, data, self.block.hash) == _YES
            except RpcError as error:
                if error.is_revert:
                    return False
                raise

    def dataset(self, dataset_id: DatasetId) -> DatasetFacts | None:
        """A registration, None if nobody began it."""
        v = self._read("ledger", "datasetOf", dataset_id)
        if int(v["owner"], 16) == 0:
            return None
        return DatasetFacts(
            Address(v["owner"]),
            KeyId(v["epochKey"]),
            KeyId(v["treeKey"]),
            v["root"],
            v["depth"],
            v["count"],
            v["slots"],
            v["chunks"],
            v["finished"],
            v["linkSeed"],
            v["dHash"],
        )

    def anchoring(self, run_id: RunId, epoch: int, number: int) -> AnchoringFacts | None:
        """An epoch's anchoring, None unless there is one of this number."""
        v = self._read("ledger", "anchoringOf", run_id, epoch, number)
        if v["seed"] == ZERO_WORD:
            return None
        return AnchoringFacts(
            DatasetId(v["datasetId"]),
            v["seed"],
            v["consumed"],
            v["logSize"],
            v["logRoot"],
            v["accepted"],
            v["blockNumber"],
        )

    def anchoring_count(self, run_id: RunId, epoch: int) -> int:
        """Anchorings of an epoch so far."""
        return int(self._read("ledger", "anchoringCount", run_id, epoch))

    def batch_verifier(self, contract: str = "ledger") -> Address:
        """Address of the contract that checks several proofs at once for `ledger` or `models`."""
        return Address(self._read(contract, "batchVerifier"))

    def is_chunk_proved(self, run_id: RunId, epoch: int, number: int, c: int) -> bool:
        """Whether the ledger accepted chunk `c` of an anchoring."""
        return bool(self._read("ledger", "isChunkProved", run_id, epoch, number, c))

    def runs_of(self, owner: str) -> list[RunId]:
        """Every run of an account, oldest first; asks page by page.

        Raises:
            UnavailableError: the endpoint tells of more than `MAX_CLAIMS`.
        """
        result: list[RunId] = []
        while True:
            v = self._read("registry", "runsOf", checksum_address(owner), len(result), PAGE)
            _require_bounded("runs of one account", "runsOf", v["total"], v["runIds"])
            result += [RunId(run_id) for run_id in v["runIds"]]
            if not v["runIds"] or len(result) >= v["total"]:
                return result

    def sorted_complete(self, dataset_id: DatasetId, vk_id: KeyId) -> bool:
        """Whether every chunk is proven under this key."""
        return "audits" in self._addresses and bool(
            self._read("audits", "isSortedUnder", dataset_id, vk_id)
        )

    def is_sorted(self, dataset_id: DatasetId) -> bool:
        """Whether every chunk is proven under some one key; only then is absence accepted."""
        return "audits" in self._addresses and bool(self._read("audits", "isSorted", dataset_id))

    def is_shown(self, dataset_id: DatasetId, kind: str, digest: bytes) -> bool:
        """Whether `member` or `absent` was shown of a record digest."""
        view = {"member": "isMember", "absent": "isAbsent"}[kind]
        return "audits" in self._addresses and bool(self._read("audits", view, dataset_id, digest))

    def model_anchoring(self, run_id: RunId, stage: int, number: int) -> ModelAnchoringFacts | None:
        """A stage's anchoring, None unless there is one of this number."""
        if "models" not in self._addresses:
            return None
        v = self._read("models", "anchoringOf", run_id, stage, number)
        return _model(v["anchoring"], v["progress"]) if v["progress"]["blockNumber"] else None

    def model_anchoring_count(self, run_id: RunId, stage: int) -> int:
        """Anchorings of a stage so far."""
        return (
            0
            if "models" not in self._addresses
            else int(self._read("models", "anchoringCount", run_id, stage))
        )

    def attested(self, run_id: RunId, auditor: Address) -> Attested:
        """What an account attested about a run; one call, for at most `MAX_ATTESTED` digests.

        Raises:
            UnavailableError: the endpoint gives other entries than the contract can have.
        """
        if "attestations" not in self._addresses:
            return Attested()
        asked = (run_id, checksum_address(auditor), 0, MAX_ATTESTED)
        v = self._read("attestations", "attestationsOf", *asked)
        entries = tuple(AttestedDigest(e["digest"], e["blockNumber"]) for e in v["page"])
        _require_attested(entries, v["total"], self.block.number)
        return Attested(entries, v["total"])

    def attested_block(self, run_id: RunId, auditor: Address, digest: bytes) -> int:
        """The block in which an account sent the digest of an attestation; 0 if it did not."""
        asked = (run_id, checksum_address(auditor), digest)
        return int(self._read("attestations", "blockOf", *asked))


def _model(a: dict[str, Any], p: dict[str, Any]) -> ModelAnchoringFacts:
    base, adapter, merged = (
        TableFacts(a[name]["root"], a[name]["entries"]) for name in ("base", "adapter", "merged")
    )
    return ModelAnchoringFacts(
        base,
        adapter,
        merged,
        a["artifact"],
        a["kind"],
        a["slots"],
        a["scale"],
        a["draws"],
        a["blocks"],
        p["seed"],
        p["codesHash"],
        p["logRoot"],
        p["logSize"],
        p["blockNumber"],
        p["drawBlock"],
        p["nextTensor"],
        p["nextGroup"],
        p["blocksProved"],
        p["accepted"],
        p["missed"],
    )


def _require_bounded(of_what: str, view: str, total: int, page: Sequence[Any]) -> None:
    """A paged view may neither go on for ever nor fill the memory.

    Raises:
        UnavailableError: more in all than `MAX_CLAIMS`, or more on a page than were asked for.
    """
    if total > MAX_CLAIMS or len(page) > PAGE:
        raise UnavailableError(
            f"endpoint tells of too many {of_what}",
            where=view,
            expected=f"<= {MAX_CLAIMS}, on pages of {PAGE}",
            actual=f"{total}, a page of {len(page)}",
            hint="ask another endpoint",
        )


def _require_attested(entries: Sequence[AttestedDigest], total: int, newest: int) -> None:
    """An attestation that an endpoint leaves out, or gives twice in place of it, would be hidden.

    Raises:
        UnavailableError: more or fewer entries than there must be, one that stands twice, or blocks
            that are not in their order, or after the newest one.
    """
    expected, different = min(total, MAX_ATTESTED), len({entry.digest for entry in entries})
    blocks = [entry.block_number for entry in entries]
    in_order = [*blocks, newest] == sorted([*blocks, newest])
    if not (len(entries) == different == expected and in_order):
        raise UnavailableError(
            "endpoint gives other attestations than the contract can have",
            where="attestationsOf",
            expected=f"{expected} different ones, in blocks up to {newest}, in their order",
            actual=f"{len(entries)}, {different} different ones, in blocks {blocks[:3]}..",
            hint="ask another endpoint",
        )


def _revocation(value: dict[str, Any]) -> Revocation | None:
    return Revocation(value["blockNumber"], value["reason"]) if value["blockNumber"] else None


class Reader:
    """`provenance.judgement.facts.ChainReader` over JSON-RPC.

    Args:
        confirmations: For chains without a `finalized` block: a block is final with so many blocks
            on top. None to ask for `finalized`.
    """

    def __init__(self, rpc: Rpc, addresses: Addresses, confirmations: int | None = None) -> None:
        self._rpc, self._addresses, self._confirmations = rpc, addresses, confirmations
        self._lacks: frozenset[str] | None = None

    def identity(self) -> ChainIdentity:
        """Chain id, genesis block, and the code at each address in the newest block."""
        with answering():
            newest = self._rpc.block("latest").hash
            code = {name: self._rpc.code(at, newest) for name, at in self._addresses.items()}
            chain_id, genesis = self._rpc.chain_id(), to_hex(self._rpc.block(0).hash)
        # Of the very bytes whose hash is compared with the pinned one.
        self._lacks = frozenset(
            view for view in _NEWER if not provides(code.get("registry", b""), "registry", view)
        )
        contracts = {
            name: Contract(self._addresses[name], to_hex(keccak(own))) for name, own in code.items()
        }
        return ChainIdentity(chain_id, genesis, contracts)

    def _lacking(self) -> frozenset[str]:
        """Which newer views the registry of the last `identity` lacks."""
        if self._lacks is None:
            self.identity()
        return self._lacks or frozenset()

    def final(self) -> Snapshot:
        """The contracts' state at the newest block that counts as final."""
        if self._confirmations is None:
            return Snapshot(self._rpc, self._addresses, "finalized", self._lacking)
        with answering():
            latest = self._rpc.block("latest").number
        number = max(0, latest - self._confirmations)
        return Snapshot(self._rpc, self._addresses, number, self._lacking)

    def latest(self) -> Snapshot:
        """The contracts' state at the newest block."""
        return Snapshot(self._rpc, self._addresses, "latest", self._lacking)

    def block(self, number: int) -> BlockRef:
        """A block by its number."""
        with answering():
            block = self._rpc.block(number)
        return BlockRef(block.number, block.hash, block.timestamp)

    def agreement(self) -> Agreement | None:
        """How several endpoints agreed so far; None if there is only one."""
        return self._rpc.agreement()

    def lookup(self) -> ChainLookup:
        """Transactions, blocks and events, for pages: no verdict rests on them."""
        return ChainLookup(self._rpc, self._addresses)
