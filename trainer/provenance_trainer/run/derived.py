"""Making merged weights and deployed files from a finished run, and logging a record of each."""

from __future__ import annotations

import shutil
from pathlib import Path

from provenance.errors import Conflict, InputError
from provenance.ids import to_hex
from provenance.layout import read_json
from provenance.log.graph.folders import adapter_of, base_of, merged_of
from provenance.log.history import History
from provenance.log.record import Record
from provenance.log.run_log import OpenLog, run_id_of
from provenance.progress import Progress, silent
from provenance_trainer.formats.registry import FORMATS, Registry
from provenance_trainer.model.merge import MergeReport, merge_adapter
from provenance_trainer.model.way_out import HIGHER_OR_EMPTY

DEFAULT_FORMAT = "Q8_0"


def log_merge(
    log: OpenLog,
    base: Path | None = None,
    compare_to_peft: bool = False,
    progress: Progress = silent,
) -> Record:
    """Merge the adapter into its base model and append the `merge` record.

    If the last logged merge is on disk, nothing is done and its record is returned.

    Args:
        base: Folder of the base model; None for the one that the run was opened with.
        compare_to_peft: Also measure the distance to PEFT's own merge.

    Raises:
        VerificationError: adapter or base on disk are not those the log names.
        InputError: the merged model equals its base, and the run does not allow that.
        Conflict: the folder of merged weights exists and is not the logged one.
    """
    folder = log.folder
    done = _merge_on_disk(log)
    if done is not None:
        return done
    base_dir = base or Path(read_json(folder.info)["base"])
    checkpoint = _closed(log).final_checkpoint
    adapter_of(checkpoint.record).require(folder.adapter)
    base_of(log.records[0]).require(base_dir)
    if folder.merged.exists():
        raise Conflict(
            "folder of merged weights exists, but is not the logged one",
            where=str(folder.merged),
            hint="remove it and merge again",
        )
    report = merge_adapter(
        base_dir, folder.adapter, folder.merged, progress, compare_to_peft=compare_to_peft
    )
    if report.merged.content == report.base.content and not _may_be_empty(log):
        shutil.rmtree(folder.merged)
        raise InputError(
            "merged model equals its base: the adapter is too small to change a bfloat16 weight",
            where=str(folder.adapter),
            expected="a change",
            actual=str(report.merged.content),
            hint=HIGHER_OR_EMPTY,
        )
    record = _merge_record(report, checkpoint.index)
    log.append(record)
    return record


def _closed(log: OpenLog) -> History:
    """The history of a run whose training has ended.

    Raises:
        Conflict: it may still go on.
    """
    history = log.history
    if history.close is None:
        raise Conflict(
            "training is not finished",
            where=str(log.folder.root),
            hint="run the same `provenance train` again to resume it",
        )
    return history


def _may_be_empty(log: OpenLog) -> bool:
    """Whether the run was opened with `provenance.allow_empty`."""
    block = log.records[0].fields["config"].get("provenance")
    return isinstance(block, dict) and block.get("allow_empty") is True


def _merge_on_disk(log: OpenLog) -> Record | None:
    merges = log.history.merges
    if not merges or not log.folder.merged.is_dir():
        return None
    done = merges[-1].record
    return done if merged_of(done).is_at(log.folder.merged) else None


def _merge_record(report: MergeReport, checkpoint: int) -> Record:
    return Record.make(
        "merge",
        base=str(report.base.content),
        base_files=report.base.files_json(),
        adapter=str(report.adapter.content),
        adapter_files=report.adapter.files_json(),
        merged=str(report.merged.content),
        merged_files=report.merged.files_json(),
        checkpoint=checkpoint,
        scale=report.scale,
        adapted=list(report.adapted),
        max_ulp_to_peft=report.max_ulp_to_peft,
    )


def log_quantize(
    log: OpenLog,
    name: str | None = None,
    quantization: str = DEFAULT_FORMAT,
    progress: Progress = silent,
    formats: Registry = FORMATS,
) -> tuple[Record, Path]:
    """Quantize the merged weights and append the `quantize` record.

    The file names its run, and the head of the log as it is before the new record.

    Args:
        name: File name without its ending; None for base model and format.
        quantization: Name of a format in `formats`.

    Returns:
        The record and the new file.

    Raises:
        InputError: there is no such format, the name is bad, or the format cannot hold the model.
        Conflict: nothing is merged yet, or the file exists.
        VerificationError: the merged weights on disk are not the logged ones.
    """
    folder, form = log.folder, formats.named(quantization)
    merge = log.last_merge()
    merged = merged_of(merge.record)
    merged.require(folder.merged)
    base_name = str(log.records[0].fields["base"]["name"])
    stem = _require_file_name(name or f"{Path(base_name).name}-{quantization}")
    file = folder.release / f"{stem}{form.suffix}"
    if file.exists():
        raise Conflict(
            "file exists already", where=str(file), hint="remove it, or choose another --name"
        )
    size, head = log.head_hex()
    claims: dict[str, str | int] = {
        "provenance.base_model": base_name,
        "provenance.run_id": to_hex(run_id_of(folder)),
        "provenance.log_head": head,
        "provenance.log_size": size,
        "provenance.merged_content": merge.fields["merged"],
    }
    folder.release.mkdir(exist_ok=True)
    report = form.write(folder.merged, file, claims, progress)
    record = Record.make(
        "quantize",
        source=merged.name,
        format=form.container,
        quantization=form.name,
        file=str(report.file),
        size=report.size,
        tensors=report.tensors,
    )
    log.append(record)
    return record, file


def _require_file_name(name: str) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise InputError(
            "not a file name", where="--name", expected="a name without folders", actual=name
        )
    return name
