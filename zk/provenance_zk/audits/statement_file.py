"""A statement about a dataset and its proof, in one file that a third party can check.

    {"format": "provenance-statement/1", "kind": "absent", "dataset": {"root", "depth", "count"},
     "digest": "sha256:..", "proof": {..}}

`sorted` has no digest: the number of its chunk is a public input. The whole file is
attacker-controlled. A verifier compares what it claims with the public inputs of its proof, and its
dataset with the one that the verifier asks about.

Source: docs/formats/audits.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.causes import cause_of, content_cause
from provenance.dataset.manifest import DatasetRoot
from provenance.digest import Digest
from provenance.encoding import parse_json
from provenance.errors import InputError, VerificationError
from provenance.statements import kinds_of
from provenance_zk.proof_file import ProofFile, unique_fields
from provenance_zk.statements import used_leaves

FORMAT = "provenance-statement/1"
DATASET_KINDS = kinds_of("DatasetAudits")
_FIELDS = {"format", "kind", "dataset", "proof"}
_MAX_BYTES = 1 << 17


def read_small(path: Path) -> Any:
    """JSON of a proof or statement file (attacker-controlled).

    Raises:
        InputError: missing, too large, not JSON, or a field named twice.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            "cannot read proof file", where=str(path), actual=cause_of(error, path)
        ) from error
    if len(data) > _MAX_BYTES:
        raise InputError(
            "proof file is too large", where=str(path), expected=f"<= {_MAX_BYTES} bytes"
        )
    try:
        return parse_json(data, unique_fields)
    except ValueError as error:
        raise InputError(
            "proof file is not JSON", where=str(path), actual=content_cause(data) or error
        ) from error


@dataclass(frozen=True)
class Statement:
    """A statement with its proof. Law: `Statement.from_json(s.to_json()) == s`.

    `digest` is None for `sorted`.
    """

    kind: str
    dataset: DatasetRoot
    digest: Digest | None
    proof: ProofFile

    @classmethod
    def from_json(cls, value: Any, where: str = "statement") -> Statement:
        """Read a statement (attacker-controlled).

        Raises:
            InputError: another format, kind or field, or a proof of another kind.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise InputError("not a statement file", where=where, expected=FORMAT)
        kind = value.get("kind")
        form = _form(kind, where)
        if set(value) != form.fields:
            raise InputError(
                "statement has other fields",
                where=where,
                expected=", ".join(sorted(form.fields)),
                actual=", ".join(sorted(map(str, value)))[:200],
            )
        digest = _digest(value["digest"], where) if "digest" in form.fields else None
        proof = ProofFile.from_json(value["proof"])
        if proof.kind != kind:
            raise InputError(
                "statement carries a proof of another kind",
                where=where,
                expected=kind,
                actual=proof.kind,
            )
        return cls(kind, DatasetRoot.from_json(value["dataset"], f"{where} dataset"), digest, proof)

    @classmethod
    def load(cls, path: Path) -> Statement:
        """Read a statement file (attacker-controlled); raises as `from_json` and `read_small`."""
        return cls.from_json(read_small(path), str(path))

    def to_json(self) -> dict[str, Any]:
        """The file's JSON value; the inverse of `from_json`."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "kind": self.kind,
            "dataset": self.dataset.to_json(),
        }
        if self.digest is not None:
            value["digest"] = str(self.digest)
        return value | {"proof": self.proof.to_json()}

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return (json.dumps(self.to_json(), indent=2) + "\n").encode("ascii")

    def require_inputs(self, slots: int) -> None:
        """Compare the proof's public inputs with what the file says.

        Args:
            slots: word 2 of the pinned key; for `sorted` the leaves per chunk.

        Raises:
            VerificationError: a public input differs; `where` names it.
        """
        for name, expected in _form(self.kind).inputs(self, slots).items():
            actual = self.proof.public_value(name)
            if actual != expected:
                raise VerificationError(
                    "proof is about something else than the file says",
                    where=f"public input {name}",
                    expected=hex(expected),
                    actual=hex(actual),
                )

    def require_digest(self) -> Digest:
        """The digest that a `member` or `absent` statement is about.

        Raises:
            InputError: the statement has none.
        """
        if self.digest is None:
            raise InputError("statement has no digest", where=self.kind, expected="sha256:..")
        return self.digest

    @property
    def needs_order(self) -> bool:
        """Whether it holds only if all leaves of the dataset are in order."""
        return _form(self.kind).needs_order

    @property
    def chunk(self) -> int:
        """Number of the chunk that a `sorted` statement is about."""
        return self.proof.public_value("k")

    def sentence(self) -> str:
        """What a verified proof shows, for people."""
        return _form(self.kind).sentence(self)


@dataclass(frozen=True)
class _Form:
    """What the statements of one kind have in common.

    Attributes:
        fields: of the file.
        inputs: public inputs that follow from the file and the slots of the key.
        sentence: what a verified proof shows.
        needs_order: whether it holds only if all leaves of the dataset are in order.
    """

    fields: frozenset[str]
    inputs: Callable[[Statement, int], Mapping[str, int]]
    sentence: Callable[[Statement], str]
    needs_order: bool = False


def _form(kind: Any, where: str = "statement") -> _Form:
    """The form of a kind (attacker-controlled).

    Raises:
        InputError: no statement file is of this kind.
    """
    if not isinstance(kind, str) or kind not in _FORMS:
        raise InputError(
            "no statement file is of this kind",
            where=where,
            expected=", ".join(_FORMS),
            actual=repr(kind)[:40],
        )
    return _FORMS[kind]


def _sorted_inputs(statement: Statement, slots: int) -> Mapping[str, int]:
    dataset, k = statement.dataset, statement.chunk
    chunks = -(-dataset.count // slots)
    if k >= chunks:
        raise VerificationError(
            "no such chunk", where="public input k", expected=f"< {chunks}", actual=k
        )
    last = k == chunks - 1
    return {
        "root": dataset.root,
        "used": used_leaves(dataset.count, k, slots),
        "more": int(not last),
        **({"next": 0} if last else {}),
    }


def _member_inputs(statement: Statement, slots: int) -> Mapping[str, int]:
    _, low = statement.require_digest().limbs
    return {**_absent_inputs(statement, slots), "lo": low}


def _absent_inputs(statement: Statement, _slots: int) -> Mapping[str, int]:
    high, _ = statement.require_digest().limbs
    return {"root": statement.dataset.root, "count": statement.dataset.count, "hi": high}


def _records(statement: Statement) -> str:
    return f"the {statement.dataset.count} records under root {statement.dataset.hex0x}"


def _sorted_sentence(statement: Statement) -> str:
    chunk = f"chunk {statement.chunk} of {_records(statement)}"
    return f"{chunk} is strictly increasing by the first half of the digest"


def _member_sentence(statement: Statement) -> str:
    return f"{statement.digest} is the digest of one of {_records(statement)}"


def _absent_sentence(statement: Statement) -> str:
    none_of = f"{statement.digest} is the digest of none of {_records(statement)}"
    return f"{none_of}, provided that they are sorted"


_FORMS: Mapping[str, _Form] = {
    "sorted": _Form(frozenset(_FIELDS), _sorted_inputs, _sorted_sentence),
    "member": _Form(frozenset(_FIELDS | {"digest"}), _member_inputs, _member_sentence),
    "absent": _Form(frozenset(_FIELDS | {"digest"}), _absent_inputs, _absent_sentence, True),
}


def _digest(value: Any, where: str) -> Digest:
    if not isinstance(value, str) or not value.startswith("sha256:") or value != value.lower():
        raise InputError(
            "not a digest",
            where=f"{where} digest",
            expected="sha256: and 64 lower-case hex digits",
            actual=repr(value)[:80],
        )
    return Digest.parse(value)


def describe(dataset: DatasetRoot) -> str:
    """A dataset, for people."""
    return f"{dataset.count} records under root {dataset.hex0x}, depth {dataset.depth}"


def require_complete(statements: Sequence[Statement], dataset: DatasetRoot, slots: int) -> None:
    """Check that `sorted` statements cover the dataset, and that each chunk meets the next.

    Args:
        statements: each was verified on its own.
        slots: leaves per chunk.

    Raises:
        VerificationError: a statement about another dataset, a chunk that is missing or repeated,
            or a chunk whose `next` is not the `first` of the next one.
    """
    chunks = _by_chunk(statements, dataset)
    count = -(-dataset.count // slots)
    missing = [k for k in range(count) if k not in chunks]
    if missing or len(chunks) != count:
        raise VerificationError(
            "set of sorted chunks is not complete",
            expected=f"{count} chunks",
            actual=f"{len(chunks)}, without {', '.join(map(str, missing[:10]))}",
        )
    for k in range(count - 1):
        following = chunks[k].proof.public_value("next")
        first = chunks[k + 1].proof.public_value("first")
        if following != first:
            raise VerificationError(
                "chunk is not followed by its neighbour",
                where=f"chunk {k}",
                expected=hex(first),
                actual=hex(following),
            )


def _by_chunk(statements: Sequence[Statement], dataset: DatasetRoot) -> dict[int, Statement]:
    chunks: dict[int, Statement] = {}
    for statement in statements:
        if statement.kind != "sorted" or statement.dataset != dataset:
            raise VerificationError(
                "statement is no sorted chunk of this dataset",
                where=statement.kind,
                expected=dataset.hex0x,
                actual=statement.dataset.hex0x,
            )
        if chunks.setdefault(statement.chunk, statement) is not statement:
            raise VerificationError("chunk is there twice", where=f"chunk {statement.chunk}")
    return chunks
