"""A recorded run from opening to close, and the records of merge and quantization.

    run.open journaled -> openRun -> seed drawn and final -> seed journaled -> training -> adapter checkpoint -> run.close

Every line before training may be cut off and repeated with `--resume`: the journal says how far it came, and the chain's calls
are idempotent by the digest of `run.open`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.artifacts.content import content_digest
from provenance.artifacts.manifest import manifest_of
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import SaltStore, load_key
from provenance.errors import Conflict, InputError, VerificationError
from provenance.ids import DatasetId, RunId
from provenance.layout import RunFolder, read_json, write_json
from provenance.log.anchoring import Anchorer, AnchorThread
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.settings import Settings
from provenance_trainer.config import TrainConfig

if TYPE_CHECKING:
    from provenance.chain.session import Session
    from provenance.log.run_log import OpenLog
    from provenance_trainer.model.base import BaseModel
    from provenance_trainer.run.train import TrainSummary

Say = Callable[[str], None]
ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True)
class Opened:
    """A run whose seed is drawn. `run_id` is None for an unregistered one."""

    run_id: RunId | None
    seed: bytes


def train_recorded(
    config: TrainConfig, settings: Settings, *, anchor: bool, resume: bool, key: str, say: Say
) -> dict[str, Any]:
    """Train and record; returns the result that the command prints.

    Raises:
        Conflict: the output folder holds a run already (and `resume` was not asked for), or a finished one.
        UnavailableError: chain unreachable at start.
    """
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # progress is told in plain lines
    folder = RunFolder(Path(config.output_dir))
    _require_startable(folder, resume)
    session, dataset_id = _connect(config, settings, key, say) if anchor else (None, None)
    salt_key = load_key(settings.home / "salts.key")
    with CommittedDataset.open(Path(config.dataset_name), salt_key) as dataset:
        from provenance_trainer.model.base import load_base

        base = load_base(config.model_name_or_path, settings.cache / "models")
        if folder.journal.exists():
            journal = Journal.open(folder.journal)
        else:
            journal = _create_journal(folder, config, base, dataset, session, dataset_id)
        try:
            opened = _open_run(folder, journal, config, base, session, dataset_id, say)
            return _train(
                config, folder, journal, dataset, base, opened, session, salt_key, resume, say
            )
        finally:
            journal.close()


def _require_startable(folder: RunFolder, resume: bool) -> None:
    if not folder.journal.exists():
        if resume:
            raise Conflict(
                "nothing to resume", where=str(folder.root), expected="provenance/journal"
            )
        if folder.root.exists() and any(folder.root.iterdir()):
            raise Conflict(
                "output folder is not empty",
                where=str(folder.root),
                hint="choose another output_dir",
            )
        return
    if not resume:
        raise Conflict(
            "output folder holds a run already",
            where=str(folder.root),
            hint="choose another output_dir, or --resume",
        )
    if any(r.type == "run.close" for r in read_records(folder.journal)):
        raise Conflict(
            "run is finished",
            where=str(folder.root),
            hint="provenance prove, merge, quantize and release go on from here",
        )


def _connect(
    config: TrainConfig, settings: Settings, key: str, say: Say
) -> tuple[Session, DatasetId]:
    from provenance.chain.session import Session
    from provenance_zk.training.registration import require_registration

    session = Session(settings, key, say)
    return session, require_registration(
        Path(config.dataset_name), session.deployment.ledger
    ).dataset_id


def _create_journal(
    folder: RunFolder,
    config: TrainConfig,
    base: BaseModel,
    dataset: CommittedDataset,
    session: Session | None,
    dataset_id: DatasetId | None,
) -> Journal:
    from provenance_trainer.record.preregistration import open_record

    record = open_record(
        config,
        base,
        dataset,
        session.address if session else ZERO_ADDRESS,
        registered=session is not None,
    )
    named = dict(record.fields["dataset"])
    if dataset_id is not None:
        named["dataset_id"] = "0x" + dataset_id.hex()
    # The nonce keeps two runs of one configuration apart, even when both are opened within a second.
    record = Record.make(
        "run.open",
        time=record.time,
        **{**record.fields, "dataset": named, "nonce": "0x" + os.urandom(32).hex()},
    )
    journal = Journal.create(folder.journal, {"format": "provenance-journal/1"})
    journal.append(record.to_bytes())
    journal.barrier()  # the pre-registration is durable before anything is asked of the chain
    return journal


def _open_run(
    folder: RunFolder,
    journal: Journal,
    config: TrainConfig,
    base: BaseModel,
    session: Session | None,
    dataset_id: DatasetId | None,
    say: Say,
) -> Opened:
    """Register the run and draw its seed, or find both in the journal."""
    records = read_records(folder.journal)
    opening = records[0]
    _require_same_run(opening, config, base, session, folder)
    seed = next((r for r in records if r.type == "seed"), None)
    if seed is None:
        seed = _draw(opening, session, dataset_id, say)
        journal.append(seed.to_bytes())
        journal.barrier()
    run_id = seed.fields.get("run_id")
    info: dict[str, Any] = {
        "format": "provenance-run/1",
        "dataset": str(Path(config.dataset_name).absolute()),
        "base": str(base.dir),
    }
    if session is not None and run_id is not None:
        deployment = session.deployment
        info |= {
            "run_id": run_id,
            "chain_id": deployment.chain_id,
            "registry": deployment.registry,
            "ledger": deployment.ledger,
        }
    write_json(folder.info, info)
    return Opened(RunId.parse(run_id) if run_id else None, bytes.fromhex(seed.fields["seed"][2:]))


def _draw(
    opening: Record, session: Session | None, dataset_id: DatasetId | None, say: Say
) -> Record:
    if session is None or dataset_id is None:
        say("unregistered run: the seed is local, so the order is not pre-registered")
        return Record.make("seed", seed="0x" + os.urandom(32).hex(), source="local")
    run = session.open_run(opening.digest, dataset_id)
    say(
        f"run 0x{run.run_id.hex()} opened; waiting for block {run.draw_block} to draw the seed, and for finality"
    )
    seed = session.draw_seed(run)
    say(f"seed 0x{seed.hex()} drawn from block {run.draw_block}, final")
    return Record.make(
        "seed",
        seed="0x" + seed.hex(),
        source="chain",
        draw_block=run.draw_block,
        run_id="0x" + run.run_id.hex(),
    )


def _require_same_run(
    opening: Record,
    config: TrainConfig,
    base: BaseModel,
    session: Session | None,
    folder: RunFolder,
) -> None:
    """A resumed run is the one that was opened: same configuration, base and key."""
    from provenance_trainer.config import config_digest

    for what, expected, actual in (
        ("configuration", opening.fields["config_digest"], str(config_digest(config))),
        ("base model", opening.fields["base"]["content"], str(base.content)),
        ("signing key", opening.fields["signer"], session.address if session else ZERO_ADDRESS),
    ):
        if expected != actual:
            raise Conflict(
                f"{what} differs from the one the run was opened with",
                where=str(folder.root),
                expected=expected,
                actual=actual,
                hint="a run's pre-registration cannot change; start a new run",
            )


def _anchor_thread(
    folder: RunFolder,
    journal: Journal,
    opened: Opened,
    session: Session | None,
    config: TrainConfig,
    say: Say,
) -> AnchorThread | None:
    if session is None or opened.run_id is None:
        return None
    anchorer = Anchorer(opened.run_id, folder, session, lambda: journal.durable)
    return AnchorThread(anchorer, config.provenance.anchor_interval_s, say)


def _train(
    config: TrainConfig,
    folder: RunFolder,
    journal: Journal,
    dataset: CommittedDataset,
    base: BaseModel,
    opened: Opened,
    session: Session | None,
    salt_key: bytes,
    resume: bool,
    say: Say,
) -> dict[str, Any]:
    from provenance_trainer.record.checkpoints import checkpoint_digests, find_resume_point
    from provenance_trainer.record.recorder import Recorder
    from provenance_trainer.record.sampler import EpochOrders
    from provenance_trainer.run.train import prepare_run, run_training

    records = read_records(folder.journal)
    point = find_resume_point(records, folder.root) if resume and len(records) > 2 else None
    prepared = prepare_run(config, base, dataset)
    thread = _anchor_thread(folder, journal, opened, session, config, say)
    with SaltStore.open(folder.secrets / "salts.sqlite", salt_key) as salts:
        recorder = Recorder(
            journal,
            dataset,
            salts,
            EpochOrders(opened.seed, len(dataset)),
            on_failure=config.provenance.on_failure,
        )
        try:
            summary = run_training(
                prepared, recorder, opened.seed, resume=point, anchor=thread, say=say
            )
            recorder.checkpoint(
                folder.adapter.name, checkpoint_digests(folder.adapter), summary.steps
            )
            recorder.append(
                Record.make(
                    "run.close", status="completed", step=summary.steps, summary=summary.to_json()
                )
            )
            recorder.barrier()
        finally:
            recorder.close()
            anchored = _finish(thread, say)
    return _result(folder, journal, opened, summary, anchored)


def _finish(thread: AnchorThread | None, say: Say) -> int:
    """Anchor what is left; returns the number of heads. What cannot be anchored now is anchored by the next command."""
    if thread is None:
        return 0
    if not thread.close():
        say(f"warning: {thread.status()}; `provenance prove` anchors the rest")
    return thread.anchored.seq


def _result(
    folder: RunFolder, journal: Journal, opened: Opened, summary: TrainSummary, heads: int
) -> dict[str, Any]:
    return {
        "format": "provenance-train/1",
        "run": str(folder.root),
        "run_id": "0x" + opened.run_id.hex() if opened.run_id else None,
        "records": len(journal),
        "heads": heads,
        "summary": summary.to_json(),
    }


def log_merge(
    log: OpenLog, settings: Settings, base: Path | None, compare_to_peft: bool, tell: Say
) -> Record:
    """Merge and append the `merge` record; a merge that is logged and on disk already is returned.

    Raises:
        VerificationError: adapter or base on disk are not those the log names.
    """
    from provenance_trainer.model.merge import merge_adapter

    folder = log.folder
    done = next((r for r in reversed(log.records) if r.type == "merge"), None)
    if (
        done is not None
        and folder.merged.is_dir()
        and str(content_digest(folder.merged)) == done.fields["merged"]
    ):
        return done
    base_dir = base or Path(read_json(folder.info)["base"])
    checkpoint_index = max(i for i, r in enumerate(log.records) if r.type == "checkpoint")
    _require_content("adapter", folder.adapter, log.records[checkpoint_index].fields["weights"])
    _require_content("base model", base_dir, log.records[0].fields["base"]["content"])
    if folder.merged.exists():
        raise Conflict(
            "merged folder exists and is not the logged one",
            where=str(folder.merged),
            hint="remove it and merge again",
        )
    report = merge_adapter(
        base_dir,
        folder.adapter,
        folder.merged,
        lambda what, done, total: tell(f"{what} {done}/{total}"),
        compare_to_peft=compare_to_peft,
    )
    record = Record.make(
        "merge",
        base=str(report.base),
        adapter=str(report.adapter),
        adapter_manifest=str(manifest_of(folder.adapter).root),
        merged=str(report.merged),
        merged_manifest=str(manifest_of(folder.merged).root),
        checkpoint=checkpoint_index,
        scale=report.scale,
        adapted=list(report.adapted),
        max_ulp_to_peft=report.max_ulp_to_peft,
    )
    log.append(record)
    return record


def _require_content(what: str, path: Path, expected: str) -> None:
    actual = str(content_digest(path))
    if actual != expected:
        raise VerificationError(
            f"{what} on disk is not the logged one",
            where=str(path),
            expected=expected,
            actual=actual,
        )


def log_quantize(log: OpenLog, name: str | None, quantization: str = "Q8_0") -> tuple[Record, Path]:
    """Quantize (`Q8_0` or `int8`) and append the `quantize` record; the file names its run and the log's head before it."""
    from provenance.log.run_log import run_id_of
    from provenance_trainer.formats.gguf import export_gguf
    from provenance_trainer.formats.int8 import SUFFIX, export_int8

    folder = log.folder
    merge = log.last("merge")
    _require_content("merged weights", folder.merged, merge.fields["merged"])
    base_name = str(log.records[0].fields["base"]["name"])
    int8 = quantization == "int8"
    file = (
        folder.release
        / f"{_file_name(name or f'{Path(base_name).name}-{quantization}')}{SUFFIX if int8 else '.gguf'}"
    )
    if file.exists():
        raise Conflict(
            "file exists already", where=str(file), hint="remove it, or choose another --name"
        )
    size, head = log.head_hex()
    folder.release.mkdir(exist_ok=True)
    report = (export_int8 if int8 else export_gguf)(
        folder.merged,
        file,
        {
            "provenance.base_model": base_name,
            "provenance.run_id": "0x" + run_id_of(folder).hex(),
            "provenance.log_head": head,
            "provenance.log_size": size,
            "provenance.merged_content": merge.fields["merged"],
        },
    )
    record = Record.make(
        "quantize",
        source=merge.fields["merged"],
        format="safetensors" if int8 else "gguf",
        quantization=quantization,
        file=str(report.file),
        size=report.size,
        tensors=report.tensors,
    )
    log.append(record)
    return record, file


def _file_name(name: str) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise InputError("not a file name", where="--name", actual=name)
    return name
