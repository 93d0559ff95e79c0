"""Sources that the library `datasets` reads: folders that it saved, and datasets of its hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from provenance.digest import hash_file
from provenance.errors import ConfigError, InputError, NotFound, UnavailableError
from provenance_zk.training.sources.row_source import Row, RowSource


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            "the package `datasets` is not installed", hint="pip install 'model-provenance[train]'"
        ) from error
    datasets.disable_progress_bars()
    return datasets


def _rows_of(dataset: Any) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        for i, row in enumerate(dataset):
            yield f"row {i + 1}", row

    return rows


def saved_source(path: Path, split: str) -> RowSource:
    """Rows of a folder that `Dataset.save_to_disk` wrote.

    Args:
        split: of a saved `DatasetDict`.

    Raises:
        InputError: not such a folder, or no such split.
        ConfigError: the library is not installed.
    """
    datasets = _datasets()
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:
        raise InputError("not a readable datasets folder", where=str(path), actual=error) from error
    if isinstance(loaded, dict):
        if split not in loaded:
            raise InputError(
                "no such split", where=str(path), expected=", ".join(loaded), actual=split
            )
        loaded = loaded[split]
    files = sorted(p for p in path.rglob("*") if p.is_file())
    entries = [
        {
            "path": p.relative_to(path).as_posix(),
            "size": p.stat().st_size,
            "sha256": str(hash_file(p)),
        }
        for p in files
    ]
    return RowSource(str(path), str(loaded.info.license or ""), (), None, entries, _rows_of(loaded))


def hub_source(name: str, split: str) -> RowSource:
    """Rows of one split of a dataset of the hub.

    Raises:
        NotFound: no such dataset.
        InputError: a dataset that cannot be read.
        UnavailableError: the hub is out of reach.
        ConfigError: the library is not installed.
    """
    datasets = _datasets()
    try:
        loaded = datasets.load_dataset(name, split=split)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise NotFound(
            "no such file, folder or dataset", where=name, actual=str(error)[:200]
        ) from error
    except ValueError as error:
        raise InputError("dataset cannot be read", where=name, actual=str(error)[:200]) from error
    except Exception as error:
        raise UnavailableError(
            "cannot load dataset from the hub",
            where=name,
            actual=str(error)[:200],
            hint="check the network, or give a local path",
        ) from error
    sums = loaded.info.download_checksums or {}
    entries = [
        {"path": url, "size": int(fact["num_bytes"] or 0), "sha256": f"sha256:{fact['checksum']}"}
        for url, fact in sorted(sums.items())
        if fact.get("checksum")
    ]
    return RowSource(
        f"hub:{name}:{split}", str(loaded.info.license or ""), (), None, entries, _rows_of(loaded)
    )
