"""What a verifier recomputes from files at hand: which claims hold, which fail, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts.content import content_digest
from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.errors import AuthError, InputError, NotFound, VerificationError
from provenance.judgement.policy import DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Claim, Grade, Status, Verdict
from provenance.log.record import Record
from provenance.verify import Artifact, Options, Verifier, verify_artifact
from provenance.verify.protocols import BatchCount, Difference
from tests.support.memory_run import MODEL, Change, MemoryRun

FILE = Path("model.q")
DIFFERENT = [Difference(f"w block {i}", "1", "2") for i in range(12)]


@dataclass(frozen=True)
class Inspector:
    """A `FormatInspector` with given answers, for files of a format of its own."""

    format: str = "Q8_0"
    quantized: Sequence[Difference] = ()
    unadapted: Sequence[Difference] = ()
    merge: Sequence[Difference] = ()
    factors: Sequence[str] = ()
    scale: Fraction = Fraction(2)

    def metadata(self, path: Path) -> Mapping[str, str]:
        return {}

    def quantization(self, path: Path) -> str | None:
        return self.format

    def exactness(self, quantization: str) -> str:
        return f"as {quantization} is"

    def adapter_factors(self, adapter: Path) -> Mapping[str, tuple[str, str]]:
        return dict.fromkeys(self.factors, ("a", "b"))

    def adaptable(self, base: Path, targets: Sequence[str]) -> Set[str]:
        return {f"{name}.weight" for name in targets}

    def adapter_scale(self, adapter: Path) -> Fraction:
        return self.scale

    def changed_pairs(self, adapter: Path) -> tuple[int, int]:
        return 4, 4

    def compare_quantized(self, merged: Path, path: Path) -> Sequence[Difference]:
        return self.quantized

    def compare_unadapted(
        self, base: Path, adapted: Sequence[str], path: Path
    ) -> Sequence[Difference]:
        return self.unadapted

    def compare_merged(self, base: Path, adapter: Path, merged: Path) -> Sequence[Difference]:
        return self.merge


def weights(folder: Path, name: str) -> Path:
    """A folder of weights with a content digest of its own."""
    made = folder / name
    made.mkdir()
    header = b'{"%s":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' % name.encode()
    data = len(header).to_bytes(8, "little") + header
    (made / "model.safetensors").write_bytes(data)
    return made


class Run:
    """A released run with base, adapter and merged weights at hand.

    beside: files beside the weights of base and merged model, by name.
    """

    def __init__(
        self,
        folder: Path,
        change: Change = lambda log: log,
        config: Mapping[str, Any] | None = None,
        beside: Mapping[str, str] | None = None,
    ) -> None:
        self._change = change
        self._files = {n: str(sha256(text.encode())) for n, text in (beside or {}).items()}
        self.base, self.adapter, self.merged = (
            weights(folder, name) for name in ("base", "adapter", "merged")
        )
        for name, text in (beside or {}).items():
            (self.base / name).write_text(text)
            (self.merged / name).write_text(text)
        base = {"content": str(content_digest(self.base)), "files": self._files}
        self.memory = MemoryRun(self._link, {"base": base, "config": config or {}})
        self.memory.evidence.adapter_at = self.adapter
        self.memory.evidence.merged_at = self.merged

    def _link(self, log: list[Record]) -> list[Record]:
        """Let the records name the digests of the folders."""
        base, adapter, merged = (
            str(content_digest(path)) for path in (self.base, self.adapter, self.merged)
        )
        names: dict[str, dict[str, Any]] = {
            "checkpoint": {"weights": adapter},
            "merge": {
                "base": base,
                "adapter": adapter,
                "merged": merged,
                "base_files": self._files,
                "merged_files": self._files,
            },
            "quantize": {"source": NamedFolder("merged", merged, self._files).name},
        }
        return self._change(
            [replace(r, fields=dict(r.fields) | names.get(r.type, {})) for r in log]
        )

    def judge(
        self, inspector: Inspector | None = None, *, file: bool = True, base: Path | None = None
    ) -> Verdict:
        verifier = Verifier(
            trust=self.memory.trust,
            reader=self.memory.chain,
            source=self.memory.source,
            prover=self.memory.believer,
            inspector=inspector,  # type: ignore[arg-type]
        )
        artifact = Artifact(MODEL, "model", FILE if file else None)
        return verify_artifact(artifact, verifier, Options(base=base))


def claims(verdict: Verdict, id_: str) -> list[Claim]:
    return [c for c in verdict.claims if c.id == id_]


def test_everything_at_hand_is_recomputed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    verdict = run.judge(Inspector(), base=run.base)
    assert verdict.status is Status.VERIFIED
    for id_ in ("file.recomputed", "merge.recomputed", "base.recomputed"):
        (claim,) = claims(verdict, id_)
        assert claim.holds, id_
    grades = {e.kind: e.grade for e in verdict.edges}
    assert grades["quantized_from"] is grades["merged_from"] is Grade.RECOMPUTED


def test_the_inspector_says_how_exact_a_recomputation_is(tmp_path: Path) -> None:
    (claim,) = claims(Run(tmp_path).judge(Inspector()), "file.recomputed")
    assert claim.text.endswith("recomputed as Q8_0 is")


@pytest.mark.parametrize(
    ("id_", "inspector", "file", "needs"),
    [
        ("file.recomputed", Inspector(), False, "the file itself"),
        ("file.recomputed", None, True, "the merged weights"),
        ("merge.recomputed", Inspector(), True, "--base"),
        ("base.recomputed", Inspector(), True, "--base"),
    ],
)
def test_what_is_not_at_hand_is_not_checked(
    tmp_path: Path, id_: str, inspector: Inspector | None, file: bool, needs: str
) -> None:
    verdict = Run(tmp_path).judge(inspector, file=file)
    (claim,) = claims(verdict, id_)
    assert (claim.holds, verdict.status) == (None, Status.VERIFIED)
    assert needs in str(claim.needs)


@pytest.mark.parametrize(
    ("id_", "inspector"),
    [
        ("file.recomputed", Inspector(quantized=DIFFERENT)),
        ("merge.recomputed", Inspector(merge=DIFFERENT)),
        ("base.recomputed", Inspector(unadapted=DIFFERENT)),
    ],
)
def test_the_first_ten_differences_are_told(tmp_path: Path, id_: str, inspector: Inspector) -> None:
    run = Run(tmp_path)
    verdict = run.judge(inspector, base=run.base)
    assert verdict.status is Status.FAILED
    assert [c.where for c in claims(verdict, id_)] == [d.where for d in DIFFERENT[:10]]
    assert {(c.holds, c.expected, c.actual) for c in claims(verdict, id_)} == {(False, "1", "2")}


def test_a_file_of_another_format_fails(tmp_path: Path) -> None:
    (claim,) = claims(Run(tmp_path).judge(Inspector(format="int8")), "file.recomputed")
    assert (claim.holds, claim.expected, claim.actual) == (False, "Q8_0", "int8")


@pytest.mark.parametrize(
    ("changed", "id_"),
    [
        ("merged", "file.recomputed"),
        ("adapter", "merge.recomputed"),
        ("base", "merge.recomputed"),
        ("base", "base.recomputed"),
    ],
)
def test_other_weights_than_the_logged_ones_fail(tmp_path: Path, changed: str, id_: str) -> None:
    run = Run(tmp_path)
    other = weights(tmp_path, "other")
    logged = str(content_digest(getattr(run, changed)))
    if changed != "base":  # which the caller gives
        setattr(run.memory.evidence, f"{changed}_at", other)
    verdict = run.judge(Inspector(), base=other if changed == "base" else run.base)
    (claim,) = claims(verdict, id_)
    assert (verdict.status, claim.holds) == (Status.FAILED, False)
    assert (claim.expected, claim.actual) == (logged, str(content_digest(other)))
    assert changed in claim.text


# What lies beside the weights.


def test_a_file_beside_the_weights_fails_by_its_name(tmp_path: Path) -> None:
    """A chat template, a vocabulary, a rope base, an eps, code: none changes a tensor."""
    for number, name in enumerate(("base", "merged")):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = Run(folder)
        (getattr(run, name) / "chat_template.jinja").write_text("{{ 'obey' }}")
        verdict = run.judge(Inspector(), base=run.base)
        assert verdict.status is Status.FAILED
        failed = [c for c in verdict.claims if c.holds is False]
        assert {c.where for c in failed} == {str(getattr(run, name) / "chat_template.jinja")}
        assert all(c.expected == "no such file" and name in c.text for c in failed)


def test_the_scale_of_an_adapter_at_hand_fails_by_its_file(tmp_path: Path) -> None:
    """`lora_alpha` is set from 2 to 256: no tensor of the adapter changes."""
    run = Run(tmp_path)
    (run.adapter / "adapter_config.json").write_text('{"lora_alpha": 256}')
    (claim,) = claims(run.judge(Inspector(), base=run.base), "merge.recomputed")
    assert (claim.holds, claim.where) == (False, str(run.adapter / "adapter_config.json"))


def test_a_logged_scale_that_is_not_the_adapters_fails(tmp_path: Path) -> None:
    run = Run(tmp_path)
    verdict = run.judge(Inspector(scale=Fraction(128)), base=run.base)
    failed = [c for c in verdict.claims if c.holds is False]
    assert {c.id for c in failed} == {"merge.recomputed", "base.recomputed"}
    assert {(c.where, c.expected, c.actual) for c in failed} == {("merge.scale", "128", "2")}


def all_tensors_listed(log: list[Record]) -> list[Record]:
    """The log calls every tensor adapted, so that none is compared with the base."""
    return [
        replace(r, fields=dict(r.fields) | {"adapted": ["base", "embedding", "merged"]})
        if r.type == "merge"
        else r
        for r in log
    ]


@dataclass(frozen=True)
class Compared(Inspector):
    """Remembers which tensors were not compared."""

    left_out: list[Sequence[str]] = field(default_factory=list)

    def compare_unadapted(
        self, base: Path, adapted: Sequence[str], path: Path
    ) -> Sequence[Difference]:
        self.left_out.append(adapted)
        return ()


def test_listing_all_tensors_as_adapted_has_no_effect(tmp_path: Path) -> None:
    run = Run(tmp_path, all_tensors_listed)
    inspector = Compared(factors=("base",))
    (claim,) = claims(run.judge(inspector, base=run.base), "base.recomputed")
    assert (claim.holds, inspector.left_out) == (False, [])
    assert claim.where == "merge.adapted embedding"


def test_without_the_adapter_the_merged_weights_show_what_is_adapted(tmp_path: Path) -> None:
    run = Run(tmp_path, all_tensors_listed)
    run.memory.evidence.adapter_at = None
    inspector = Compared()
    (claim,) = claims(run.judge(inspector, base=run.base), "base.recomputed")
    assert (claim.holds, inspector.left_out) == (True, [["base", "merged"]])  # not the embedding


def test_a_changed_tensor_that_the_log_does_not_list_fails(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.memory.evidence.adapter_at = None
    (claim,) = claims(run.judge(Compared(), base=run.base), "base.recomputed")
    assert (claim.holds, claim.where) == (False, "base")


@pytest.mark.parametrize("listed", [["q.weight"], ["embedding", "q.weight"], []])
def test_without_weights_the_registered_modules_say_what_is_adapted(
    tmp_path: Path, listed: list[str]
) -> None:
    """Whoever has the file, the base and the public evidence alone still compares all the rest."""

    def change(log: list[Record]) -> list[Record]:
        return [
            replace(r, fields={**r.fields, "adapted": listed}) if r.type == "merge" else r
            for r in log
        ]

    run = Run(tmp_path, change, {"lora_target_modules": ["q"]})
    run.memory.evidence.adapter_at = None
    run.memory.evidence.merged_at = None
    inspector = Compared()
    (claim,) = claims(run.judge(inspector, base=run.base), "base.recomputed")
    if listed == ["q.weight"]:
        assert (claim.holds, inspector.left_out) == (True, [["q.weight"]])
        assert "by the registered configuration" in claim.text
    else:
        wrong = "embedding" if listed else "q.weight"
        assert (claim.holds, claim.where) == (False, f"merge.adapted {wrong}")


@pytest.mark.parametrize("by", ["adapter", "merged"])
def test_a_tensor_of_no_registered_module_cannot_be_adapted(tmp_path: Path, by: str) -> None:
    """An adapter for the embedding, made elsewhere, would excuse whatever was done to it."""

    def change(log: list[Record]) -> list[Record]:
        listed = {"adapted": ["base", "merged"]}
        return [replace(r, fields={**r.fields, **listed}) if r.type == "merge" else r for r in log]

    run = Run(tmp_path, change, {"lora_target_modules": ["q"]})
    if by == "merged":
        run.memory.evidence.adapter_at = None
    inspector = Compared(factors=("base", "merged"))
    (claim,) = claims(run.judge(inspector, base=run.base), "base.recomputed")
    assert (claim.holds, claim.where, inspector.left_out) == (False, "base", [])
    assert "no registered module" in claim.text


def test_the_list_of_the_log_alone_shows_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, all_tensors_listed)
    run.memory.evidence.adapter_at = None
    run.memory.evidence.merged_at = None
    verdict = run.judge(Compared(), base=run.base)
    (claim,) = claims(verdict, "base.recomputed")
    assert (claim.holds, verdict.status) == (None, Status.VERIFIED)
    assert "which tensors are adapted" in str(claim.needs)


def test_a_log_of_an_earlier_release_says_that_files_are_not_bound() -> None:
    bound, unbound = MemoryRun().judge(), MemoryRun(opening={"fed": None}).judge()
    assert [c.holds for c in claims(bound, "files.bound")] == [True]
    assert claims(unbound, "files.bound") == []
    (claim,) = claims(unbound, "lineage.complete")
    assert (claim.holds, "not bound by this log" in claim.text) == (True, True)
    demanding = Policy(require=DEFAULT_REQUIRED | {"files.bound"})
    assert MemoryRun().judge(demanding).status is Status.VERIFIED
    assert MemoryRun(opening={"fed": None}).judge(demanding).status is Status.INDETERMINATE


class Checker:
    """A `DataChecker` with a given answer."""

    def __init__(self, answer: BatchCount | Exception) -> None:
        self._answer = answer

    def check_batches(self, records: object) -> BatchCount:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_undetermined_batches_are_not_checked_and_never_failed() -> None:
    required = Policy(require=DEFAULT_REQUIRED | {"batches.recomputed"})
    assert MemoryRun().judge(required, data=Checker(BatchCount(3, 0))).status is Status.VERIFIED
    verdict = MemoryRun().judge(data=Checker(BatchCount(2, 1)))
    assert verdict.status is Status.VERIFIED
    (claim,) = (c for c in verdict.not_checked if c.id == "batches.recomputed")
    assert "2 batches recomputed" in str(claim.needs)
    assert "1 undetermined" in str(claim.needs)
    assert (
        MemoryRun().judge(required, data=Checker(BatchCount(2, 1))).status is Status.INDETERMINATE
    )


@pytest.mark.parametrize(
    ("error", "holds", "status"),
    [
        (NotFound("no salts"), None, Status.VERIFIED),
        (InputError("not a committed dataset"), None, Status.VERIFIED),
        (AuthError("salt key does not open it"), None, Status.VERIFIED),
        (VerificationError("batch differs", where="record 2"), False, Status.FAILED),
    ],
    ids=["salts missing", "no dataset", "another key", "batch differs"],
)
def test_unusable_material_leaves_the_claim_open_and_another_batch_fails_it(
    error: Exception, holds: bool | None, status: Status
) -> None:
    verdict = MemoryRun().judge(data=Checker(error))
    (claim,) = claims(verdict, "batches.recomputed")
    assert (claim.holds, verdict.status) == (holds, status)
