"""Sources that the library `datasets` reads: folders that it saved, and datasets of its hub."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provenance.errors import ConfigError, InputError, NotFound, UnavailableError
from provenance_zk.training.sources.files import folder_source
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import RowReader, Rows, RowSource
from provenance_zk.training.sources.splits import canonical_split
from provenance_zk.training.sources.streams import SourceFile
from provenance_zk.training.sources.values import WAY_OUT, listed


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            "the package `datasets` is not installed", hint="pip install 'model-provenance[train]'"
        ) from error
    datasets.disable_progress_bars()
    # What they come to is told here; between, their libraries print a line for each try.
    for name in ("huggingface_hub", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return datasets


def _reader(dataset: Any) -> RowReader:
    def rows(reading: Reading, wanted: str | None) -> Rows:
        chosen, number = dataset, 0
        if wanted in dataset.column_names:
            chosen = dataset.select_columns([wanted])  # images of other columns are not decoded
            reading.others |= dict.fromkeys(c for c in dataset.column_names if c != wanted)
        try:
            for row in chosen:
                number += 1
                yield f"row {number}", row
        except (ImportError, OSError, ValueError, ArithmeticError, RuntimeError) as error:
            raise InputError(
                "row cannot be read", where=f"row {number + 1}", actual=_line(error), hint=WAY_OUT
            ) from error

    return rows


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def saved_source(path: Path, split: str | None) -> RowSource:
    """Rows of a folder that `Dataset.save_to_disk` wrote.

    Args:
        split: of a saved `DatasetDict`; None for the only one there is.

    Raises:
        InputError: not such a folder, or no such split.
        ConfigError: the library is not installed.
    """
    datasets = _datasets()
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:
        raise InputError(
            "not a readable datasets folder", where=str(path), actual=_line(error)
        ) from error
    if not isinstance(loaded, dict):
        own = None if loaded.split is None else str(loaded.split)
        if split is not None and canonical_split(split) not in {"train", own}:
            raise InputError(
                "no such split", where=str(path), expected=own or "train", actual=split
            )
        return RowSource(
            str(path), _licence(loaded), _entries(path, path), _reader(loaded), split=own
        )
    name = _chosen(loaded, split, str(path))
    remarks = [f"split {name}", *_others(loaded, name)]
    entries = _entries(path, path / name)
    return RowSource(
        str(path), _licence(loaded[name]), entries, _reader(loaded[name]), remarks, name
    )


def _chosen(names: Iterable[str], split: str | None, where: str) -> str:
    """The split's name as the source has it."""
    every = list(names)
    if split is None and len(every) == 1:
        return every[0]
    for wanted in () if split is None else (split, canonical_split(split)):
        if wanted in every:
            return wanted
    raise InputError(
        "no such split" if split is not None else "source holds several splits",
        where=where,
        expected=", ".join(every)[:200],
        actual=split,
        hint="choose one with --split" if split is not None else None,
    )


def _others(names: Iterable[str], name: str) -> list[str]:
    others = [other for other in names if other != name]
    return [f"splits left out: {listed(others)}"] if others else []


def _licence(dataset: Any) -> str:
    return str(dataset.info.license or "")


def _entries(root: Path, folder: Path) -> list[dict[str, Any]]:
    """The files below a folder, named from `root`."""
    return [
        SourceFile(path, path.relative_to(root).as_posix()).entry()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def hub_source(name: str, split: str | None, near: str | None) -> RowSource:
    """Rows of one split of a dataset of the hub, or of its cache when the hub is out of reach.

    Args:
        split: None for the only one there is.
        near: a hint at a path that was perhaps meant.

    Raises:
        NotFound: no such dataset.
        InputError: a dataset that cannot be read, or no such split.
        UnavailableError: the hub is out of reach and the dataset not in the cache.
        ConfigError: the library is not installed.
    """
    datasets = _datasets()
    try:
        loaded = datasets.load_dataset(name, split=split)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise NotFound(
            "neither a file nor a folder here, nor a dataset of the hub",
            where=name,
            actual=_line(error),
            hint=near or "check the spelling; a closed dataset asks for `hf auth login`",
        ) from error
    except OSError as error:  # ConnectionError, time-outs and what the hub's client raises
        snapshot = _snapshot(name)
        if snapshot is not None:
            return _cached(name, snapshot, split)
        raise _unreachable(name, near, error) from error
    except Exception as error:
        raise InputError("dataset cannot be read", where=name, actual=_line(error)) from error
    if isinstance(loaded, dict):
        loaded = loaded[_chosen(loaded, None, name)]
    own = split or str(loaded.split or "train")
    return RowSource(
        f"hub:{name}:{own}",
        _licence(loaded),
        _checksums(loaded),
        _reader(loaded),
        _others(loaded.info.splits or (), own),
        own,
    )


def _checksums(loaded: Any) -> list[dict[str, Any]]:
    sums = loaded.info.download_checksums or {}
    return [
        {"path": url, "size": int(fact["num_bytes"] or 0), "sha256": f"sha256:{fact['checksum']}"}
        for url, fact in sorted(sums.items())
        if fact.get("checksum")
    ]


def _snapshot(name: str) -> Path | None:
    """The folder of the hub's cache that holds a copy of the dataset's repository."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
    except (OSError, ValueError):
        return None  # not there, or no name that it could have


def _cached(name: str, snapshot: Path, split: str | None) -> RowSource:
    source = folder_source(snapshot, split)
    source.source = f"hub:{name}:{source.split or split or 'train'}"
    source.remarks.append(f"read from the hub's cache, revision {snapshot.name}")
    return source


def _unreachable(name: str, near: str | None, error: Exception) -> UnavailableError:
    from huggingface_hub.constants import is_offline_mode

    here = "no such file or folder here, and "
    if is_offline_mode():
        return UnavailableError(
            f"{here}offline: no dataset of this name in the cache",
            where=name,
            actual=_line(error),
            hint=near or "unset HF_HUB_OFFLINE to fetch it, or give a local path",
        )
    return UnavailableError(
        f"{here}the hub is out of reach: no dataset of this name in the cache",
        where=name,
        actual=_line(error),
        hint=near or "check the network, or give a local path",
    )
