"""Judging a proof or statement file as a third party: one who sees neither data nor weights, and
trusts neither file nor folder.

    1 key.pinned        the trust file names the key
    2 proof.valid       the Groth16 equation holds under that key
    3 statement.inputs  the proof's public inputs are what the file says
    4 dataset.named     the dataset is one that the caller, or the chain, names: root, depth and
    count 5 dataset.sorted    `absent` only: a complete, chained set of `sorted` proofs of that
    dataset 6 not.revoked       a registration named on chain: neither its owner nor a trusted
    publisher revoked it 7 shown.on_chain    `member` and `absent` of such a registration: the
    pinned contract of audits accepted the same; never required

Without 4 nothing is shown: count is a public input like any other, and whoever understates it hides
the records behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.dataset.manifest import DatasetRoot
from provenance.digest import hash_file
from provenance.errors import InputError, NotFound, VerificationError
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Claim, Status, Verdict
from provenance_zk.audits.chain_witness import ChainWitness
from provenance_zk.audits.statement_file import FORMAT, Statement, read_small, require_complete
from provenance_zk.checker import KNOWS_D, Engine, require_key
from provenance_zk.groth16.verifier import Key, parse_key
from provenance_zk.prover.keys import find_key, load_words
from provenance_zk.statements import FULL_MASK, ProofFile

CLAIMS = {
    name: step
    for step, name in enumerate(
        (
            "key.pinned",
            "proof.valid",
            "statement.inputs",
            "dataset.named",
            "dataset.sorted",
            "not.revoked",
            "shown.on_chain",
        ),
        1,
    )
}
OPTIONAL = frozenset({"shown.on_chain"})
LIMITS = (
    "that the dataset was used to train any model (provenance verify shows that)",
    "anything about records that say the same in other bytes",
    "which record or position a proof is about",
)


@dataclass(frozen=True)
class NamedDataset:
    """The dataset that the verifier asks about, who named it, and the chain where it is registered
    if that is what named it.
    """

    root: DatasetRoot
    by: str
    witness: ChainWitness | None = None


@dataclass(frozen=True)
class KeyFolders:
    """Where the bytes of verifying keys are looked for.

    They are pinned by id, so any place will do.
    """

    folders: tuple[Path, ...]
    cache: Path

    def words(self, vk_id: bytes) -> bytes:
        """Raises NotFound if nobody has them, VerificationError if a file has another key's."""
        name = f"0x{vk_id.hex()}"
        for folder in self.folders:
            for path in (folder / name / "vk.words", folder / "keys" / name / "vk.words"):
                if path.is_file():
                    return require_key(load_words(path), vk_id)
        return find_key(self.cache, vk_id).words


@dataclass(frozen=True)
class SortedSet:
    """A complete set: what shows it, and the key that its proofs are under."""

    text: str
    vk_id: bytes


class SortedSource:
    """Answers whether a dataset's `sorted` set is complete; raises NotFound where it cannot tell,
    VerificationError where it is not.
    """

    def require(self, dataset: DatasetRoot) -> SortedSet:
        raise NotFound(
            "no set of sorted proofs is at hand",
            hint="name its folder with --sorted, or --dataset-id of one shown on chain",
        )


class SortedOnChain(SortedSource):
    """The pinned contract of audits, asked about a registration under each pinned `sorted` key.

    Args:
        complete: whether the set of a key is complete in a final block.
    """

    def __init__(
        self, dataset: DatasetRoot, trust: Trust, complete: Callable[[bytes], bool]
    ) -> None:
        self._dataset, self._trust, self._complete = dataset, trust, complete

    def require(self, dataset: DatasetRoot) -> SortedSet:
        keys = [bytes.fromhex(key.vk_id[2:]) for key in self._trust.keys if key.kind == "sorted"]
        found = next(
            (key for key in keys if dataset == self._dataset and self._complete(key)), None
        )
        if found is None:
            return super().require(dataset)
        return SortedSet(
            f"shown on chain under sorted key 0x{found.hex()}, complete and chained", found
        )


@dataclass
class _Judgement:
    claims: list[Claim] = field(default_factory=list)
    development: list[str] = field(default_factory=list)

    def add(self, id_: str, text: str, holds: bool | None, **facts: Any) -> bool:
        self.claims.append(Claim(id_, CLAIMS[id_], text, holds, **facts))
        return holds is True

    def guarded(self, id_: str, check: Callable[[], str], text: str) -> bool:
        """Run a check:

        NotFound leaves the claim open, any other error of evidence makes it fail.
        """
        try:
            return self.add(id_, check(), True)
        except NotFound as error:
            return self.add(id_, text, None, needs=str(error))
        except (VerificationError, InputError) as error:
            return self.add(
                id_,
                error.what,
                False,
                where=error.where,
                expected=error.expected,
                actual=error.actual,
            )


class ProofJudge:
    """Judges files one by one against the same trust file, keys and dataset.

    Args:
        named: None when the caller named no dataset; verdicts are then never `verified`.
    """

    def __init__(
        self,
        trust: Trust,
        engine: Engine,
        keys: KeyFolders,
        named: NamedDataset | None,
        sorted_set: SortedSource,
    ) -> None:
        self._trust, self._engine, self._keys, self._named, self._sorted = (
            trust,
            engine,
            keys,
            named,
            sorted_set,
        )

    def judge(self, path: Path) -> Verdict:
        """The verdict on one file (attacker-controlled).

        Raises:
            InputError: not a proof or statement file.
            UnavailableError: prover or chain out of reach.
        """
        statement, proof = parse_file(read_small(path), path)
        judgement = _Judgement()
        key = self.pin(judgement, proof)
        if key is not None and self._is_valid(judgement, key, proof):
            if statement is None:
                judgement.add(
                    "statement.inputs",
                    "the public inputs are those of a statement about a dataset",
                    None,
                    needs=(
                        f"a {FORMAT} file; provenance verify checks proofs of epochs and "
                        "weights with their run"
                    ),
                )
            elif judgement.guarded(
                "statement.inputs", lambda: _inputs(statement, key), ""
            ) and self._names(judgement, statement):
                self._require_sorted(judgement, statement)
                self._hear(judgement, statement)
        return self._verdict(path, judgement, statement, proof)

    def pin(self, judgement: _Judgement, proof: ProofFile) -> Key | None:
        """The pinned key of a proof, None if there is none."""
        trusted = self._trust.key(f"0x{proof.vk_id.hex()}")
        if trusted is None or trusted.kind != proof.kind:
            judgement.add(
                "key.pinned",
                "the trust file does not name the proof's key",
                False,
                where="trust file keys",
                expected="a pinned key" if trusted is None else trusted.kind,
                actual=f"{proof.kind} 0x{proof.vk_id.hex()}",
            )
            return None
        found: list[Key] = []

        def look() -> str:
            found.append(parse_key(self._keys.words(proof.vk_id)))
            return f"{proof.kind} key 0x{proof.vk_id.hex()} is pinned, class {trusted.klass}"

        if not judgement.guarded("key.pinned", look, "the bytes of the pinned key are at hand"):
            return None
        self._tell_development(judgement, proof.vk_id)
        return found[0]

    def chunk_slots(self, statements: Sequence[Statement]) -> int:
        """Leaves per chunk of these `sorted` statements, after each was verified under one pinned
        key.

        Raises:
            VerificationError: several keys, one that is not pinned, or a statement that does not
                hold.
            NotFound: the key's bytes are not at hand.
        """
        judgement, first = _Judgement(), statements[0].proof
        key = self.pin(judgement, first)
        if key is None:
            claim = judgement.claims[-1]
            raise (
                NotFound(str(claim.needs))
                if claim.holds is None
                else VerificationError(
                    claim.text, where="sorted proofs", expected=claim.expected, actual=claim.actual
                )
            )
        for i, statement in enumerate(statements):
            if statement.proof.vk_id != first.vk_id:
                raise VerificationError(
                    "sorted proofs are made with several keys",
                    where=f"sorted proof {i}",
                    expected=f"0x{first.vk_id.hex()}",
                    actual=f"0x{statement.proof.vk_id.hex()}",
                )
            _inputs(statement, key)
        require_valid(self._engine, self._keys.words(key.vk_id), [s.proof for s in statements])
        return key.slots

    def _is_valid(self, judgement: _Judgement, key: Key, proof: ProofFile) -> bool:
        def check() -> str:
            require_valid(self._engine, self._keys.words(key.vk_id), [proof])
            return "the Groth16 equation holds under the pinned key"

        return judgement.guarded("proof.valid", check, "")

    def _names(self, judgement: _Judgement, statement: Statement) -> bool:
        text = "the statement is about a dataset that the verifier knows: root, depth and count"
        if self._named is None:
            return judgement.add(
                "dataset.named",
                text,
                None,
                needs="--dataset-id 0x.. and the chain, or --root, --depth and --count",
            )
        if statement.dataset != self._named.root:
            return judgement.add(
                "dataset.named",
                f"the statement is about another dataset than the one {self._named.by}",
                False,
                expected=_show(self._named.root),
                actual=_show(statement.dataset),
            )
        return judgement.add("dataset.named", f"{_show(statement.dataset)}, {self._named.by}", True)

    def _require_sorted(self, judgement: _Judgement, statement: Statement) -> None:
        def check() -> str:
            shown = self._sorted.require(statement.dataset)
            self._tell_development(judgement, shown.vk_id)
            return shown.text

        if statement.kind == "absent":
            judgement.guarded(
                "dataset.sorted",
                check,
                "all leaves are in strictly increasing order of their digests",
            )

    def _hear(self, judgement: _Judgement, statement: Statement) -> None:
        """What the chain that named the dataset says further."""
        witness = self._named.witness if self._named is not None else None
        if witness is None:
            return
        name, revocation = f"0x{witness.dataset_id.hex()}", witness.revocation()
        if revocation is not None:
            text = (
                f"the dataset was revoked in block {revocation.block_number}: {revocation.reason}"
            )
            judgement.add("not.revoked", text, False, where=name)
            return
        judgement.add(
            "not.revoked", f"the registration is not revoked at block {witness.block}", True
        )
        if statement.digest is None:
            return
        text = (
            f"the contract of audits {witness.audits or '(none is pinned)'} shows the same "
            f"at block {witness.block}"
        )
        shown, needs = (
            witness.shows(statement.kind, statement.digest),
            f"provenance proof submit FILE --dataset-id {name}",
        )
        judgement.add("shown.on_chain", text, shown or None, needs=None if shown else needs)

    def _tell_development(self, judgement: _Judgement, vk_id: bytes) -> None:
        """Every key that a verdict rests on counts, not the file's own alone."""
        trusted = self._trust.key(f"0x{vk_id.hex()}")
        reason = "local environment" if self._trust.environment == "local" else None
        if trusted is None or trusted.klass == "dev":
            reason = f"development key 0x{vk_id.hex()}: whoever made it can forge proofs"
        if reason is not None and reason not in judgement.development:
            judgement.development.append(reason)

    def _verdict(
        self, path: Path, judgement: _Judgement, statement: Statement | None, proof: ProofFile
    ) -> Verdict:
        status, reason = self._status(judgement, statement)
        subject = {
            "name": path.name,
            "digest": str(hash_file(path)),
            "file_seen": True,
            "kind": proof.kind,
        }
        if statement is not None:
            subject |= {
                "dataset": statement.dataset.to_json(),
                "record": str(statement.digest) if statement.digest else None,
            }
        return Verdict(
            status,
            reason,
            subject,
            tuple(judgement.claims),
            development=tuple(judgement.development),
            trust=str(self._trust.digest),
            limits=LIMITS,
        )

    def _status(self, judgement: _Judgement, statement: Statement | None) -> tuple[Status, str]:
        failed = next((c for c in judgement.claims if c.holds is False), None)
        if failed is not None and failed.id == "not.revoked":
            return Status.REVOKED, failed.text
        if failed is not None:
            facts = [
                f"{name} {value}"
                for name, value in (("expected", failed.expected), ("actual", failed.actual))
                if value
            ]
            return Status.FAILED, ": ".join(
                [*filter(None, [failed.where]), ", ".join([failed.text, *facts])]
            )
        left = [c.id for c in judgement.claims if c.holds is None and c.id not in OPTIONAL]
        if left or statement is None:
            return Status.INDETERMINATE, f"not checked: {', '.join(left)}"
        if judgement.development and self._trust.environment != "local":
            return Status.POLICY_DENIED, judgement.development[0]
        return Status.VERIFIED, statement.sentence()


def parse_file(value: Any, path: Path) -> tuple[Statement | None, ProofFile]:
    """The proof in a proof or statement file (attacker-controlled), and the statement if there is
    one.

    Raises:
        InputError: neither of the two.
    """
    if isinstance(value, dict) and value.get("format") == FORMAT:
        statement = Statement.from_json(value, str(path))
        return statement, statement.proof
    return None, ProofFile.from_json(value)


def _show(dataset: DatasetRoot) -> str:
    return f"{dataset.count} records under root {dataset.hex0x}, depth {dataset.depth}"


def _inputs(statement: Statement, key: Key) -> str:
    if key.depth != statement.dataset.depth:
        raise VerificationError(
            "key is for trees of another depth",
            where="dataset.depth",
            expected=key.depth,
            actual=statement.dataset.depth,
        )
    statement.require_inputs(key.slots)
    return f"the public inputs are the statement's: {statement.sentence()}"


def require_valid(engine: Engine, words: bytes, proofs: Sequence[ProofFile]) -> None:
    """Whether the equation of each proof holds, for proofs of one key.

    No registration is at hand that checked D, so of kind `epoch` (one proof) every commitment's
    knowledge is asked; a link, which its U at infinity tells, shows D's.

    Raises:
        VerificationError: one does not; `where` has its number.
    """
    mask = 0
    if proofs[0].kind == "epoch":
        mask = KNOWS_D if proofs[0].commitments[1] == (0, 0) else FULL_MASK
    try:
        verdicts = engine.verify(words, proofs, mask)
    except InputError as error:
        raise VerificationError(
            error.what, where=error.where, expected=error.expected, actual=error.actual
        ) from error
    for i, good in enumerate(verdicts):
        if not good:
            raise VerificationError(
                "Groth16 proof does not verify",
                where=f"proof {i}",
                expected="a valid proof",
                actual="invalid",
            )


class SortedFolder(SortedSource):
    """A folder with `sorted-<k>.json` files; every one is judged as if it came alone."""

    def __init__(self, paths: Sequence[Path], judge: ProofJudge) -> None:
        self._paths, self._judge = paths, judge
        self._known: dict[DatasetRoot, SortedSet] = {}

    def require(self, dataset: DatasetRoot) -> SortedSet:
        if dataset not in self._known:
            self._known[dataset] = self._check(dataset)
        return self._known[dataset]

    def _check(self, dataset: DatasetRoot) -> SortedSet:
        if not self._paths:
            raise NotFound("folder holds no sorted-0.json", expected="a set of sorted proofs")
        statements = [Statement.load(path) for path in self._paths]
        slots = self._judge.chunk_slots(statements)
        require_complete(statements, dataset, slots)
        return SortedSet(
            f"{len(statements)} sorted proofs of {slots} leaves each, complete and chained",
            statements[0].proof.vk_id,
        )
