"""`provenance dataset contains`: whether records with given bytes are in a committed dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.output import result
from provenance_zk.commands import dataset, record_of

if TYPE_CHECKING:
    from provenance.dataset import CommittedDataset
    from provenance.digest import Digest

EXIT_CODES = {"present": 0, "absent": 4, "undetermined": 3}
MAX_BLOCKLIST_BYTES = 256 << 20

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataset.command()
def contains(
    folder: _Folder,
    digest: Annotated[str | None, typer.Option("--digest", metavar="sha256:..", help="A record's digest.")] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="A record's text, or its JSON row.")] = None,
    blocklist: Annotated[Path | None, typer.Option("--blocklist", metavar="PATH", help="Digests, one a line; or a folder.")] = None,
    as_json: _Json = False,
) -> None:
    """Say whether a record with exactly these bytes is in a dataset: exit code 0 present, 4 absent, 3 undetermined.

    Undetermined: an erased record may have been it. A trailing newline of a file counts, as every byte does. With --blocklist: 0 all
    absent, 1 some present, 3 none present but some undetermined.
    """
    from provenance.dataset import CommittedDataset
    from provenance.digest import Digest
    from provenance.encoding import dataset_record_bytes, dataset_record_digest
    from provenance.errors import InputError

    if sum(value is not None for value in (digest, file, blocklist)) != 1:
        raise InputError("name what to look for", expected="one of --digest sha256:.., --file FILE, --blocklist PATH")
    with CommittedDataset.open(folder) as opened:
        if blocklist is not None:
            _check_list(opened, blocklist, as_json)
            return
        row = record_of(opened, file) if file is not None else {}
        wanted = Digest.parse(digest) if digest is not None else dataset_record_digest(dataset_record_bytes(row))
        value = {"format": "provenance-contains/1", **_answer(opened, wanted)}
        result(value, as_json, "\n".join(f"{name.replace('_', ' '):10}  {value[name]}" for name in value))
    raise typer.Exit(EXIT_CODES[value["answer"]])


def _answer(opened: CommittedDataset, digest: Digest) -> dict[str, Any]:
    place = opened.place(digest)
    value: dict[str, Any] = {"answer": place.answer, "digest": str(digest)}
    if place.index is not None:
        value |= {"leaf_index": place.index, "leaf": f"0x{opened.leaf(place.index).hex()}", "source_row": opened.source_row(place.index)}
    return value


def read_blocklist(opened: CommittedDataset, path: Path) -> list[tuple[str, Digest]]:
    """(where it stands, digest) of a list: one digest a line (blank lines and # comments apart), or one record a file of a folder.

    Raises:
        InputError: unreadable, too large, empty, or an entry that is no digest or record.
    """
    from provenance.digest import Digest, open_regular
    from provenance.encoding import dataset_record_bytes, dataset_record_digest
    from provenance.errors import InputError

    found: list[tuple[str, Digest]] = []
    if path.is_dir():
        for file in sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")):
            found.append((file.name, dataset_record_digest(dataset_record_bytes(record_of(opened, file)))))
    else:
        with open_regular(path) as stream:
            data = stream.read(MAX_BLOCKLIST_BYTES + 1)
        if len(data) > MAX_BLOCKLIST_BYTES:
            raise InputError("blocklist is too large", where=str(path), expected=f"<= {MAX_BLOCKLIST_BYTES} bytes")
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if (text := line.partition("#")[0].strip()):
                try:
                    found.append((f"line {number}", Digest.parse(text)))
                except InputError as error:
                    raise InputError(error.what, where=f"{path} line {number}", expected=error.expected, actual=error.actual) from error
    if not found:
        raise InputError("blocklist names nothing", where=str(path), expected="a digest a line, or a folder of records")
    return found


def _check_list(opened: CommittedDataset, path: Path, as_json: bool) -> None:
    entries = [{"entry": where, **_answer(opened, digest)} for where, digest in read_blocklist(opened, path)]
    counts = {answer: sum(entry["answer"] == answer for entry in entries) for answer in EXIT_CODES}
    value = {"format": "provenance-blocklist/1", **opened.root.to_json(), "counts": counts, "entries": entries}
    lines = [f"{entry['answer']:<12}  {entry['digest']}  {entry['entry']}" for entry in entries]
    result(value, as_json, "\n".join([*lines, ", ".join(f"{count} {answer}" for answer, count in counts.items())]))
    raise typer.Exit(1 if counts["present"] else 3 if counts["undetermined"] else 0)
