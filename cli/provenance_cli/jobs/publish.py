"""Tasks of `provenance publish`: merge, quantize, prove the weights, and release the file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from provenance.chain.session import Session, load_deployment
from provenance.digest import hash_file
from provenance.errors import Conflict
from provenance.ids import Address, to_hex
from provenance.judgement.trust_file import load_trust
from provenance.judgement.verdict import Verdict
from provenance.layout import RunFolder, read_json
from provenance.log.fold import read_history
from provenance.log.graph.folders import merged_of
from provenance.log.history import History, Placed
from provenance.log.run_log import OpenLog, open_log, run_id_of
from provenance.log.tree import read_records
from provenance.progress import Progress
from provenance.statements import STAGES, quantization_kind
from provenance_cli.actions.prove import WeightsRequest, prove_run_weights
from provenance_cli.actions.release import release_run, require_name
from provenance_cli.jobs import estimates
from provenance_cli.jobs.tasks import Estimate, Relay, Task
from provenance_cli.judge.question import Question, judge
from provenance_cli.options import DEFAULT_DRAWS
from provenance_cli.setup.deployment import require_funds
from provenance_cli.wiring import inspector_for, start_chain
from provenance_trainer.formats.registry import FORMATS
from provenance_trainer.run.derived import log_merge, log_quantize
from provenance_zk.training.epochs import unproven_epochs
from provenance_zk.weights.keys import adapter_keys, require_keys
from provenance_zk.weights.run_proofs import is_stage_proven, stale_samples
from provenance_zk.workers.executors import Workshop

MERGE_S, QUANTIZE_S = 40.0, 15.0  # SmolLM2-135M on two CPU cores


@dataclass(frozen=True)
class PublishRequest:
    """What the user asks for.

    name: of the release. None takes the name of a release that is logged already, else the default.
    quantization: name of a deployed format.
    draws: blocks of weights to draw and prove, for the merge and again for the quantization.
    prove: prove merge and quantization; else they are only declared.
    """

    run: Path
    name: str | None
    quantization: str = "Q8_0"
    draws: int = DEFAULT_DRAWS
    prove: bool = True
    key: str = "default"


class PublishJob:
    """Publishes one run.

    Args:
        workshop: makes and checks the proofs. Its owner closes it.
    """

    def __init__(self, request: PublishRequest, workshop: Workshop) -> None:
        """Nothing is written.

        Raises:
            NotFound: the folder holds no run.
        """
        self._request, self._settings, self._workshop = request, workshop.settings, workshop
        self._run = RunFolder(request.run).require()
        self.relay = Relay()

    def check(self, *, spend: bool = True) -> None:
        """Check what can be checked before anything is sent to the chain.

        Args:
            spend: whether the job will run. If not, the chain is not started and no password is
                needed.

        Raises:
            Conflict: training is not finished, an epoch is not proven, the file is released under
                another name, or proofs that will not be made again were accepted elsewhere.
            ConfigError: no trust file, or the contracts pin no key for some proofs about weights;
                the message names all of them.
            NotFound: the cache lacks keys for them.
            AuthError: wrong password.
            InputError: no such format of deployed files.
            VerificationError: the records of the run contradict each other.
        """
        FORMATS.named(self._request.quantization)
        history = self._history
        _require_provable(self._run, history)
        done = self._release_of(history)
        if done is not None:
            require_name(done, self._request.name)
        load_trust(self._settings.trust)
        deployment = load_deployment(self._settings)
        _require_same_ledger(self._run, history, deployment.ledger)
        if not self._request.prove:
            _require_no_stale_samples(self._run, history, deployment.models)
        elif not self._is_proven():
            wanted = adapter_keys(inspector_for(), self._run.adapter, self._kinds)
            require_keys(deployment, self._settings.cache / "keys", wanted)
        if spend:
            start_chain(self._settings)
            require_funds(self._session.rpc, self._session.address)

    def tasks(self) -> list[Task]:
        """The tasks in order, without the proofs if the request leaves them out."""
        tasks = [
            Task("merge", self._is_merged, self._merge, Estimate(seconds=MERGE_S)),
            Task("quantize", self._is_quantized, self._quantize, Estimate(seconds=QUANTIZE_S)),
        ]
        if self._request.prove:
            cost = self._weights_cost()
            tasks.append(Task("prove weights", self._is_proven, self._prove, cost))
        released = Task("release", self._is_released, self._release, estimates.release())
        return [*tasks, released]

    def verdict(self) -> Verdict:
        """The verdict of a verifier who has the base model and the run's evidence."""
        base = str(read_json(self._run.info)["base"])
        question = Question(str(self.file), (self._run.root,), base=base)
        return judge(question, self._workshop.judging_prover)

    @cached_property
    def file(self) -> Path:
        """The released file."""
        with open_log(self._run) as log:
            return log.quantized_file()

    def made(self, verdict: Verdict) -> dict[str, Any]:
        """The release and the verdict, for programs."""
        done = self._release_of(self._history)
        return {
            "format": "provenance-publish/1",
            "run": str(self._run.root),
            "run_id": to_hex(run_id_of(self._run)),
            "file": str(self.file),
            "model": str(hash_file(self.file)),
            "name": None if done is None else done.fields["name"],
            "verdict": verdict.to_json(),
        }

    @cached_property
    def _session(self) -> Session:
        return Session(self._settings, self._request.key, self.relay)

    @property
    def _history(self) -> History:
        return read_history(read_records(self._run.journal))

    @property
    def _kinds(self) -> tuple[str, str]:
        return ("merge", quantization_kind(self._request.quantization).name)

    def _weights_cost(self) -> Estimate:
        deployment = load_deployment(self._settings)
        tensors = len(inspector_for().adapter_factors(self._run.adapter))
        slots = [(kind, deployment.key(kind).slots) for kind in self._kinds]
        return estimates.weights(slots, tensors, self._request.draws)

    def _is_merged(self) -> bool:
        merges, merged = self._history.merges, self._run.merged
        return bool(merges) and merged.is_dir() and merged_of(merges[-1].record).is_at(merged)

    def _merge(self, progress: Progress) -> str:
        with open_log(self._run) as log:
            _discard_unlogged_merge(log)
            record = log_merge(log, None, False, progress)
        return f"{len(record.fields['adapted'])} tensors, {record.fields['merged']}"

    def _is_quantized(self) -> bool:
        """Whether the last quantization has the wanted format, the last merge, and its file."""
        history = self._history
        if not history.quantizations:
            return False
        made, merge = history.quantizations[-1], history.merges[-1]
        if made.fields["source"] != merged_of(merge.record).name:
            return False
        same = made.fields["quantization"] == self._request.quantization
        return same and made.fields["file"] in _digests(self._run.release)

    def _quantize(self, progress: Progress) -> str:
        with open_log(self._run) as log:
            _discard_unlogged_files(log)
            record, file = log_quantize(log, None, self._request.quantization, progress)
        return f"{file}, {record.fields['size'] / 1e6:.1f} MB"

    def _is_proven(self) -> bool:
        history, models = self._history, load_deployment(self._settings).models
        return all(is_stage_proven(history, name, models) for name in STAGES)

    def _prove(self, progress: Progress) -> str:
        request = WeightsRequest(self._run.root, self._request.draws)
        value = prove_run_weights(request, self._session, self._workshop, progress)
        return f"accepted, {value['records']} records anchored"

    def _release_of(self, history: History) -> Placed | None:
        """The release of the last quantized file, if it is logged."""
        made = history.quantizations
        return history.release_of(made[-1].fields["file"]) if made else None

    def _is_released(self) -> bool:
        """Whether the log names the release, and the claim is on chain."""
        done = self._release_of(self._history)
        if done is None:
            return False
        run_id, model = run_id_of(self._run), hash_file(self.file)
        claims = self._session.latest().claims(model)
        return any((claim.run_id, claim.index) == (run_id, done.index) for claim in claims)

    def _release(self, progress: Progress) -> str:
        done = release_run(self._run.root, self._request.name, self._session, progress)
        return f"{done.name}, block {done.block}, tx {to_hex(done.tx)}"


def _require_provable(run: RunFolder, history: History) -> None:
    if history.close is None:
        raise Conflict(
            "training is not finished",
            where=str(run.root),
            hint="run the same `provenance train` again to resume it",
        )
    run_id_of(run)  # refuses a run that was never registered
    if missing := unproven_epochs(history):
        raise Conflict(
            "an epoch is not proven",
            where=str(run.root),
            actual=f"epoch {missing[0]}",
            hint=f"run: provenance prove {run.root}",
        )


def _require_same_ledger(run: RunFolder, history: History, ledger: Address) -> None:
    """A file would be released whose epochs the trust file's contract never accepted."""
    for epoch in history.epochs:
        record = epoch.proven
        if record is not None and (actual := record.fields["ledger"]) != ledger:
            raise Conflict(
                "an epoch is proven on another contract than the deployed one",
                where=f"{run.root}, epoch {epoch.number}",
                expected=ledger,
                actual=actual,
                hint="train again into another output_dir; an earlier release is verified with "
                "the trust file of its contracts (--trust)",
            )


def _require_no_stale_samples(run: RunFolder, history: History, models: Address) -> None:
    """A file would be released whose proofs the trust file's contract never accepted."""
    if stale := stale_samples(history, models):
        raise Conflict(
            "weights are proven on another contract than the deployed one",
            where=str(run.root),
            expected=models,
            actual=stale[0],
            hint="leave --no-prove out, to prove them again",
        )


def _digests(folder: Path) -> set[str]:
    return {str(hash_file(path)) for path in folder.glob("*") if path.is_file()}


def _discard_unlogged_merge(log: OpenLog) -> None:
    """Remove what a killed merge left behind: partial folders, and one that no record names."""
    folder = log.folder
    for partial in folder.root.glob(f".{folder.merged.name}.*"):
        shutil.rmtree(partial)
    named = (merged_of(record) for record in log.records if record.type == "merge")
    if folder.merged.is_dir() and not any(merged.is_at(folder.merged) for merged in named):
        shutil.rmtree(folder.merged)


def _discard_unlogged_files(log: OpenLog) -> None:
    """Remove what a killed quantization left behind: files that no record names."""
    named = {r.fields["file"] for r in log.records if r.type == "quantize"}
    for path in log.folder.release.glob("*"):
        if path.is_file() and str(hash_file(path)) not in named:
            path.unlink()
