"""Judging a proof or statement file as a third party.

The verifier sees neither data nor weights, and trusts neither file nor folder. The steps, each
named by its claim:

    1 key.pinned        the trust file names the key
    2 proof.valid       the Groth16 equation holds under that key
    3 statement.inputs  the proof's public inputs are what the file says
    4 dataset.named     the dataset is one that the caller, or the chain, names: root, depth, count
    5 dataset.sorted    `absent` only: a complete, chained set of `sorted` proofs of that dataset
    6 not.revoked       of a registration on chain: neither its owner nor a trusted publisher
                        revoked it
    7 shown.on_chain    of such a registration, `member` and `absent` only: the pinned contract of
                        audits accepted the same statement; never required

Without step 4 a proof shows nothing: the prover chooses the count, and one that is too small hides
the records beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.dataset.manifest import DatasetRoot
from provenance.digest import hash_file
from provenance.errors import InputError, NotFound, VerificationError
from provenance.ids import KeyId, to_hex
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Verdict
from provenance.text.shown import MOST_REASON, quoted
from provenance_zk.audits.chain_witness import ChainWitness
from provenance_zk.audits.judgement import Judgement
from provenance_zk.audits.sorted_proofs import words_of
from provenance_zk.audits.sorted_source import SortedSource
from provenance_zk.audits.statement_file import FORMAT, Statement, describe, read_small
from provenance_zk.checker import Engine
from provenance_zk.checker.requirements import require_key, require_valid
from provenance_zk.groth16.key import Key, parse_key
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.keys import WORDS_FILE, find_key, load_words
from provenance_zk.statements import D_MASK, FULL_MASK

LIMITS = (
    "that the dataset was used to train any model (provenance verify shows that)",
    "anything about records with the same content in other bytes",
    "which record or position a proof is about",
)


@dataclass(frozen=True)
class NamedDataset:
    """The dataset that the verifier asks about, and who named it.

    `witness` is the chain that names it, None if the caller named it.
    """

    root: DatasetRoot
    by: str
    witness: ChainWitness | None = None


@dataclass(frozen=True)
class KeyFolders:
    """Folders in which the bytes of verifying keys are looked for.

    The trust file pins keys by id, so no folder needs to be trusted.
    """

    folders: tuple[Path, ...]
    cache: Path

    def words(self, vk_id: KeyId) -> bytes:
        """The bytes of a key.

        Raises:
            NotFound: no folder has them.
            VerificationError: a file holds another key's bytes.
        """
        for folder in self.folders:
            for path in (folder / to_hex(vk_id) / WORDS_FILE, words_of(folder, vk_id)):
                if path.is_file():
                    return require_key(load_words(path), vk_id)
        return find_key(self.cache, vk_id).words


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
        self._trust, self._engine, self._keys = trust, engine, keys
        self._named, self._sorted = named, sorted_set

    def judge(self, path: Path) -> Verdict:
        """The verdict on one file (attacker-controlled).

        Raises:
            InputError: not a proof or statement file.
            UnavailableError: prover or chain out of reach.
        """
        statement, proof = parse_file(read_small(path), path)
        judgement = Judgement()
        key = self._pin(judgement, proof)
        if (
            key is not None
            and self._is_valid(judgement, key, proof)
            and self._states(judgement, key, statement)
            and statement is not None
            and self._names(judgement, statement)
        ):
            self._require_sorted(judgement, statement)
            self._hear(judgement, statement)
        return self._verdict(path, judgement, statement, proof)

    def chunk_slots(self, statements: Sequence[Statement]) -> int:
        """Verify `sorted` statements (attacker-controlled); returns the leaves per chunk.

        Raises:
            VerificationError: they are made with several keys, the key is not pinned, or a
                statement does not hold.
            NotFound: the key's bytes are not at hand.
        """
        judgement, first = Judgement(), statements[0].proof
        key = self._pin(judgement, first)
        if key is None:
            claim = judgement.claims[-1]
            if claim.holds is None:
                raise NotFound(str(claim.needs))
            raise VerificationError(
                claim.text, where="sorted proofs", expected=claim.expected, actual=claim.actual
            )
        for i, statement in enumerate(statements):
            if statement.proof.vk_id != first.vk_id:
                raise VerificationError(
                    "sorted proofs are made with several keys",
                    where=f"sorted proof {i}",
                    expected=first.vk_id,
                    actual=statement.proof.vk_id,
                )
            _require_inputs(statement, key)
        self._require_valid(key, [s.proof for s in statements])
        return key.slots

    def _pin(self, judgement: Judgement, proof: ProofFile) -> Key | None:
        """1: the pinned key of a proof, None if there is none."""
        trusted = self._trust.key(str(proof.vk_id))
        if trusted is None or trusted.kind != proof.kind:
            judgement.add(
                "key.pinned",
                "the trust file does not name the proof's key",
                False,
                where="trust file keys",
                expected="a pinned key" if trusted is None else trusted.kind,
                actual=f"{proof.kind} {proof.vk_id}",
            )
            return None
        found: list[Key] = []

        def look() -> str:
            found.append(parse_key(self._keys.words(proof.vk_id)))
            return f"{proof.kind} key {proof.vk_id} is pinned, class {trusted.klass}"

        if not judgement.guarded("key.pinned", look, "the bytes of the pinned key are at hand"):
            return None
        self._tell_development(judgement, proof.vk_id)
        return found[0]

    def _is_valid(self, judgement: Judgement, key: Key, proof: ProofFile) -> bool:
        """2: whether the proof holds under the key."""

        def check() -> str:
            self._require_valid(key, [proof])
            return "the Groth16 equation holds under the pinned key"

        return judgement.guarded("proof.valid", check, "")

    def _require_valid(self, key: Key, proofs: Sequence[ProofFile]) -> None:
        """Check proofs of one key; a malformed one raises VerificationError, too.

        An `epoch` proof comes alone here, without the registration that checked D. So its maker
        must show knowledge of all of D, U and P. A link proof is an `epoch` proof whose U is the
        point at infinity: its maker must show knowledge of D alone.
        """
        mask = 0
        if proofs[0].kind == "epoch":
            mask = D_MASK if proofs[0].commitments[1] == (0, 0) else FULL_MASK
        try:
            require_valid(self._engine, self._keys.words(key.vk_id), proofs, mask, "proof")
        except InputError as error:
            raise VerificationError(
                error.what, where=error.where, expected=error.expected, actual=error.actual
            ) from error

    def _states(self, judgement: Judgement, key: Key, statement: Statement | None) -> bool:
        """3: whether the public inputs are the statement's."""
        if statement is not None:

            def check() -> str:
                return _require_inputs(statement, key)

            return judgement.guarded("statement.inputs", check, "")
        return judgement.add(
            "statement.inputs",
            "the public inputs are those of a statement about a dataset",
            None,
            needs=f"a {FORMAT} file; provenance verify checks proofs of epochs and weights with "
            "their run",
        )

    def _names(self, judgement: Judgement, statement: Statement) -> bool:
        """4: whether the statement is about the dataset that the verifier asks about."""
        text = "the statement is about a dataset that the verifier knows: root, depth and count"
        if self._named is None:
            needs = "--dataset-id 0x.. and the chain, or --root, --depth and --count"
            return judgement.add("dataset.named", text, None, needs=needs)
        if statement.dataset != self._named.root:
            return judgement.add(
                "dataset.named",
                f"the statement is about another dataset than the one {self._named.by}",
                False,
                expected=describe(self._named.root),
                actual=describe(statement.dataset),
            )
        return judgement.add(
            "dataset.named", f"{describe(statement.dataset)}, {self._named.by}", True
        )

    def _require_sorted(self, judgement: Judgement, statement: Statement) -> None:
        """5: `absent` holds only if all leaves are in order."""

        def check() -> str:
            shown = self._sorted.require(statement.dataset)
            self._tell_development(judgement, shown.vk_id)
            return shown.text

        text = "all leaves are in strictly increasing order of their digests"
        if statement.needs_order:
            judgement.guarded("dataset.sorted", check, text)

    def _hear(self, judgement: Judgement, statement: Statement) -> None:
        """6 and 7: what the chain that named the dataset says about it."""
        witness = self._named.witness if self._named is not None else None
        if witness is None:
            return
        name, revocation = str(witness.dataset_id), witness.revocation()
        if revocation is not None:
            block, reason = revocation.block_number, quoted(revocation.reason, MOST_REASON)
            text = f"the dataset was revoked in block {block}: {reason}"
            judgement.add("not.revoked", text, False, where=name)
            return
        text = f"the registration is not revoked at block {witness.block}"
        judgement.add("not.revoked", text, True)
        if statement.digest is None:
            return
        contract = witness.audits or "(none is pinned)"
        text = f"the contract of audits {contract} shows the same at block {witness.block}"
        shown = witness.shows(statement.kind, statement.digest)
        needs = None if shown else f"provenance proof submit FILE --dataset-id {name}"
        judgement.add("shown.on_chain", text, shown or None, needs=needs)

    def _tell_development(self, judgement: Judgement, vk_id: KeyId) -> None:
        """Note why this key makes the verdict count in a local environment only, if it does.

        It is called for every key that the verdict rests on, not only for the file's own.
        """
        trusted = self._trust.key(str(vk_id))
        reason = "local environment" if self._trust.environment == "local" else None
        if trusted is None or trusted.klass == "dev":
            reason = f"development key {vk_id}: whoever made it can forge proofs"
        if reason is not None and reason not in judgement.development:
            judgement.development.append(reason)

    def _verdict(
        self, path: Path, judgement: Judgement, statement: Statement | None, proof: ProofFile
    ) -> Verdict:
        status, reason = judgement.status(statement, self._trust.environment)
        subject = {
            "name": path.name,
            "digest": str(hash_file(path)),
            "file_seen": True,
            "kind": proof.kind,
        }
        if statement is not None:
            record = str(statement.digest) if statement.digest else None
            subject |= {"dataset": statement.dataset.to_json(), "record": record}
        return Verdict(
            status,
            reason,
            subject,
            tuple(judgement.claims),
            development=tuple(judgement.development),
            trust=str(self._trust.digest),
            limits=LIMITS,
        )


def parse_file(value: Any, path: Path) -> tuple[Statement | None, ProofFile]:
    """The statement and the proof of a proof or statement file (attacker-controlled).

    A proof file has no statement: None.

    Raises:
        InputError: neither a proof nor a statement file.
    """
    if isinstance(value, dict) and value.get("format") == FORMAT:
        statement = Statement.from_json(value, str(path))
        return statement, statement.proof
    return None, ProofFile.from_json(value)


def _require_inputs(statement: Statement, key: Key) -> str:
    """Compare a statement with its key and its proof; returns the claim's sentence."""
    if key.depth != statement.dataset.depth:
        raise VerificationError(
            "key is for trees of another depth",
            where="dataset.depth",
            expected=key.depth,
            actual=statement.dataset.depth,
        )
    statement.require_inputs(key.slots)
    return f"the public inputs are the statement's: {statement.sentence()}"
