"""The page of verdicts lists the steps as they are taken, and the claims that each one makes."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, get_type_hints

import pytest

from provenance.judgement.facts import Agreement
from provenance.judgement.policy import CLAIMS, Policy
from provenance.judgement.verdict import Claim
from provenance.verify import Artifact, Options, Verifier, steps, verify_artifact
from provenance.verify.claims import Report
from provenance.verify.protocols import BatchCount, Difference, NonceOpening
from provenance.verify.steps import STEPS
from tests.core.verify.test_ancestry import generations
from tests.core.verify.test_ancestry import judge as judge_generations
from tests.core.verify.test_missing_evidence import no_registration
from tests.core.verify.test_recomputation import Inspector
from tests.core.verify.test_recomputation import Run as Weighed
from tests.core.verify.test_verify_samples import File, Sampled
from tests.docs.documents import ROOT, code, table
from tests.support.core.witnesses import MadeWitness, trusting
from tests.support.memory_run import MODEL, OWNER, MemoryRun

PAGE = ROOT / "docs" / "formats" / "verdict.md"
_PACKAGE = "provenance.verify."

Taken = tuple[str, str, tuple[str, ...], Callable[..., Any]]


def listed() -> list[tuple[str, str, tuple[str, ...], str | None, tuple[str, ...]]]:
    """(module, step, takes, gives, claims) of each row of the page."""
    rows = []
    for module, name, takes, gives, claims in table(PAGE, "<!-- table: steps -->"):
        given = code(gives)
        row = (code(module)[0], code(name)[0], tuple(code(takes)))
        rows.append((*row, given[0] if given else None, tuple(code(claims))))
    return rows


def taken() -> list[Taken]:
    """(module, step, takes, function) of each step, by the calls that a verification makes.

    A step is named by the value that it gives, else by what its function checks.
    """
    found: list[Taken] = []
    body = ast.parse(inspect.getsource(steps._check)).body[0]
    assert isinstance(body, ast.FunctionDef)
    for statement in body.body:
        assert isinstance(statement, ast.Assign | ast.Expr)
        call = statement.value
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        function = getattr(steps, call.func.id)
        module = function.__module__.removeprefix(_PACKAGE).split(".")[0]
        name = module.partition("_")[2]
        if isinstance(statement, ast.Assign):
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            name = target.id
        used = {n.id for part in call.args for n in ast.walk(part) if isinstance(n, ast.Name)}
        takes = tuple(s.name for s in STEPS if s.name in used)
        found.append((module, name, takes, function))
    *most, last = found
    assert last[3] is steps.require_unchanged  # the file is looked at again
    *_, agreed, decided = ast.parse(inspect.getsource(steps.judge)).body[0].body  # type: ignore[attr-defined]
    assert [ast.unparse(agreed), ast.unparse(decided)] == [
        "check_agreement(case)",
        "return decide(case, report)",
    ]
    return [
        *most,
        ("s02_chain", "agreement", (), steps.check_agreement),
        ("s10_policy", "policy", (), steps.decide),
    ]


def test_the_page_lists_the_steps_of_the_table() -> None:
    assert [(name, takes, claims) for _, name, takes, _, claims in listed()] == [
        (step.name, step.takes, step.claims) for step in STEPS
    ]


def test_the_page_lists_the_steps_in_the_order_in_which_they_are_taken() -> None:
    shown = [(module, name, takes, gives) for module, name, takes, gives, _ in listed()]
    assert shown == [
        (module, name, takes, _gives(function)) for module, name, takes, function in taken()
    ]


def _gives(function: Callable[..., Any]) -> str | None:
    given = get_type_hints(function)["return"]
    return None if given is type(None) else str(given.__name__)


def test_a_step_takes_only_what_was_found_before_it() -> None:
    for number, step in enumerate(STEPS):
        assert set(step.takes) <= {earlier.name for earlier in STEPS[:number]}


def test_every_claim_is_made_by_a_step() -> None:
    assert {id_ for step in STEPS for id_ in step.claims} == set(CLAIMS)


# Every step of many verifications is watched.


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """(step, claim) of each claim that is made while the fixture is used."""
    functions = {function.__code__: name for _, name, _, function in taken()}
    found: set[tuple[str, str]] = set()

    class Watched(list[Claim]):
        def append(self, claim: Claim) -> None:
            found.add((str(_step(functions)), claim.id))
            super().append(claim)

    start = Report.__init__

    def watched(report: Report, *args: Any, **kwargs: Any) -> None:
        start(report, *args, **kwargs)
        if _step(functions) is None:  # else it is about another run, and its claims stay with it
            report.claims = Watched(report.claims)

    monkeypatch.setattr(Report, "__init__", watched)
    return found


def _step(functions: dict[Any, str]) -> str | None:
    """The step that is taken now; None outside of steps."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in functions:
            return functions[frame.f_code]
        frame = frame.f_back
    return None


class Data:
    """Recomputes every batch."""

    def check_batches(self, records: object) -> BatchCount:
        return BatchCount(3, 0)


def honest() -> None:
    MemoryRun().judge()


def not_proven() -> None:
    MemoryRun(number=None).judge()


def incomplete() -> None:
    run = MemoryRun()
    no_registration(run.evidence)
    run.judge()


def with_data() -> None:
    MemoryRun().judge(data=Data())


def agreed() -> None:
    run = MemoryRun()
    run.chain.agreement = lambda: Agreement(2, ("http://a", "http://b"), 7, ())  # type: ignore
    run.judge()


def unwitnessed() -> None:
    run = MemoryRun()
    run.trust = trusting(run.trust, 1, MadeWitness.make("witness.example/w1"))
    run.judge()


def revoked(index: int) -> None:
    run = MemoryRun()
    run.chain.revoke(OWNER, run.run_id, index, "why")
    run.chain.mine(3)
    run.judge()


def sampled() -> None:
    run = Sampled({}, {}).run()
    artifact = Artifact(MODEL, "model.gguf", path=Path("model.gguf"))
    inspector: Any = File()
    verifier = replace(run.verifier(), inspector=inspector)
    opening = NonceOpening(bytes(32), 6, [])
    verify_artifact(artifact, verifier, Options(openings={"merge": opening}))


def weighed(folder: Path, **answers: Any) -> None:
    folder.mkdir()
    run = Weighed(folder)
    run.judge(Inspector(**answers), base=run.base)


def of_another_run(folder: Path) -> None:
    folder.mkdir()
    run = Weighed(folder)
    inspector: Any = Inspector(quantized=[Difference("w", "1", "2")])
    verifier: Verifier = replace(run.memory.verifier(), inspector=inspector)
    artifact = Artifact(run.memory.evidence.log[0].digest, "model.q", path=Path("model.q"))
    verify_artifact(artifact, verifier, Options(release=run.memory.run_id))


def test_each_step_makes_the_claims_that_are_listed_and_no_others(
    made: set[tuple[str, str]], tmp_path: Path
) -> None:
    for judge in (honest, not_proven, incomplete, with_data, sampled, agreed, unwitnessed):
        judge()
    for index in (6, 11):  # a checkpoint, the release
        revoked(index)
    weighed(tmp_path / "equal")
    weighed(tmp_path / "different", quantized=[Difference("w", "1", "2")])
    of_another_run(tmp_path / "other")
    judge_generations(generations(2))
    listed_claims = {(step.name, id_) for step in STEPS for id_ in step.claims}
    assert made == listed_claims


def test_the_last_step_makes_required_claims_that_no_step_came_to(
    made: set[tuple[str, str]],
) -> None:
    run = MemoryRun()
    run.evidence.run_id = b""
    run.judge(Policy(require=frozenset({"epoch.proven"})))
    assert ("policy", "epoch.proven") in made
