"""`provenance dataset contains` and `digest`: whether a dataset has a record, and its digest."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.ids import to_hex
from provenance_cli.dataset.record_file import parse_record, record_of
from provenance_cli.options import DatasetDir, Json
from provenance_cli.output import note, result, working

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provenance.dataset.committed import CommittedDataset, Place
    from provenance.digest import Digest
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver
    from provenance_zk.prover.keys import KeyFolder

EXIT_CODES = {"present": 0, "absent": 4, "undetermined": 3}


MAX_BLOCKLIST_BYTES = 256 << 20


def contains(
    folder: DatasetDir,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="sha256:..", help="The digest of a record.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="A file with the record: its text, or its JSON object."
        ),
    ] = None,
    blocklist: Annotated[
        Path | None,
        typer.Option(
            "--blocklist",
            metavar="PATH",
            help="A file with one digest per line, or a folder with one record per file.",
        ),
    ] = None,
    prove_to: Annotated[
        Path | None,
        typer.Option(
            "--prove",
            metavar="PATH",
            help="Write a proof of the answer to this file; with --blocklist, to this folder.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether a dataset has a record.

    Exit code 0: present. 4: absent. 3: undetermined, because an erased record
    may have been it. A text is compared in Unicode NFC, the form in which
    datasets hold texts. Everything else counts, a newline at its end too.

    With --blocklist the exit code is 0 if all are absent, 1 if some are
    present, and 3 if none is present but some are undetermined; --prove then
    writes a proof for each absent digest. A proof makes the digest public.
    """
    from provenance.dataset.committed import CommittedDataset
    from provenance.digest import Digest
    from provenance.encoding import dataset_record_bytes, dataset_record_digest
    from provenance.errors import InputError
    from provenance_cli.outputs import try_file, try_folder

    (try_file if blocklist is None else try_folder)(prove_to, "--prove")
    if sum(value is not None for value in (digest, file, blocklist)) != 1:
        raise InputError(
            "name what to look for",
            expected="one of --digest sha256:.., --file FILE, --blocklist PATH",
        )
    with CommittedDataset.open(folder, _salt_key() if prove_to is not None else None) as opened:
        if blocklist is not None:
            _check_list(opened, blocklist, prove_to, as_json)
            return
        row = record_of(opened, file) if file is not None else {}
        wanted = (
            Digest.parse(digest)
            if digest is not None
            else dataset_record_digest(dataset_record_bytes(row))
        )
        place = opened.place(wanted)
        value = {"format": "provenance-contains/1", **_answer(opened, wanted, place)}
        if prove_to is not None and place.answer != "undetermined":
            with _statements(opened) as statements:
                value["proof"] = str(statements.write(wanted, place, prove_to))
        result(
            value,
            as_json,
            "\n".join(f"{name.replace('_', ' '):10}  {value[name]}" for name in value),
        )
    raise typer.Exit(EXIT_CODES[value["answer"]])


def digest(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file with the record: its text, or its JSON.")
    ],
    row: Annotated[
        bool,
        typer.Option("--row", help="FILE holds a JSON object: the record has several columns."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the digest of a record.

    A text counts in Unicode NFC, and a row as its JSON says. A record has the
    same digest in every dataset, so no dataset is needed.
    """
    from provenance.encoding import dataset_record_bytes, dataset_record_digest

    found = dataset_record_digest(dataset_record_bytes(parse_record(file, None if row else "text")))
    result({"format": "provenance-record-digest/1", "digest": str(found)}, as_json, str(found))


def _salt_key() -> bytes:
    from provenance.dataset.saltstore import load_key
    from provenance.settings import Settings

    return load_key(Settings.load().home / "salts.key")


def _answer(opened: CommittedDataset, digest: Digest, place: Place) -> dict[str, Any]:
    value: dict[str, Any] = {"answer": place.answer, "digest": str(digest)}
    if place.index is not None:
        value |= {
            "leaf_index": place.index,
            "leaf": to_hex(opened.leaf(place.index)),
            "source_row": opened.source_row(place.index),
        }
    return value


class _Statements:
    """Writes statement files. Each key is made, or found, when the first proof needs it."""

    def __init__(self, opened: CommittedDataset, settings: Settings, prover: ZkProver) -> None:
        from provenance_zk.audits.sorted_proofs import FOLDER, is_complete

        self._opened, self._settings, self._prover, self._keys = (
            opened,
            settings,
            prover,
            dict[str, "KeyFolder"](),
        )
        self._is_sorted = is_complete(opened.folder / FOLDER, opened.root)

    def write(self, digest: Digest, place: Place, path: Path) -> Path:
        from provenance_zk.audits.proving import prove_place
        from provenance_zk.audits.sorted_proofs import publish

        key = self._key("member" if place.answer == "present" else "absent")
        publish(path, prove_place(self._opened, digest, place, key, self._prover), key)
        return path

    def _key(self, kind: str) -> KeyFolder:
        from provenance_zk.prover.keys import ensure_keys

        if kind not in self._keys:
            if kind == "absent" and not self._is_sorted:
                note(
                    "warning: a proof of absence shows nothing without the dataset's sorted "
                    f"proofs (make them: provenance dataset prove {self._opened.folder})"
                )
            self._keys[kind] = ensure_keys(
                self._prover, self._settings.cache / "keys", kind, 1, self._opened.root.depth
            )
        return self._keys[kind]


@contextmanager
def _statements(opened: CommittedDataset) -> Iterator[_Statements]:
    from provenance.settings import Settings
    from provenance_zk.workers.executors import Workshop

    settings = Settings.load()
    with Workshop(settings) as workshop:
        yield _Statements(opened, settings, workshop.prover)


def read_blocklist(opened: CommittedDataset, path: Path) -> list[tuple[str, Digest]]:
    """The entries of a blocklist: for each, where it stands and its digest.

    Args:
        path: a file with one digest per line, where blank lines and `#` comments are skipped, or a
            folder with one record per file.

    Raises:
        InputError: it cannot be read, is larger than MAX_BLOCKLIST_BYTES or empty, or an entry is
            no digest or record.
    """
    from provenance.digest import Digest, open_regular
    from provenance.encoding import dataset_record_bytes, dataset_record_digest
    from provenance.errors import InputError

    found: list[tuple[str, Digest]] = []
    if path.is_dir():
        for file in sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")):
            found.append(
                (file.name, dataset_record_digest(dataset_record_bytes(record_of(opened, file))))
            )
    else:
        with open_regular(path) as stream:
            data = stream.read(MAX_BLOCKLIST_BYTES + 1)
        if len(data) > MAX_BLOCKLIST_BYTES:
            raise InputError(
                "blocklist is too large",
                where=str(path),
                expected=f"<= {MAX_BLOCKLIST_BYTES} bytes",
            )
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if text := line.partition("#")[0].strip():
                try:
                    found.append((f"line {number}", Digest.parse(text)))
                except InputError as error:
                    raise InputError(
                        error.what,
                        where=f"{path} line {number}",
                        expected=error.expected,
                        actual=error.actual,
                    ) from error
    if not found:
        raise InputError(
            "blocklist has no entries",
            where=str(path),
            expected="one digest per line, or a folder with one record per file",
        )
    return found


def _check_list(opened: CommittedDataset, path: Path, prove_to: Path | None, as_json: bool) -> None:
    listed = read_blocklist(opened, path)
    entries = _entries(opened, listed, prove_to)
    counts = {answer: sum(entry["answer"] == answer for entry in entries) for answer in EXIT_CODES}
    value = {
        "format": "provenance-blocklist/1",
        **opened.root.to_json(),
        "counts": counts,
        "entries": entries,
    }
    lines = [f"{entry['answer']:<12}  {entry['digest']}  {entry['entry']}" for entry in entries]
    result(
        value,
        as_json,
        "\n".join([*lines, ", ".join(f"{count} {answer}" for answer, count in counts.items())]),
    )
    raise typer.Exit(1 if counts["present"] else 3 if counts["undetermined"] else 0)


def _entries(
    opened: CommittedDataset, listed: Sequence[tuple[str, Digest]], prove_to: Path | None
) -> list[dict[str, Any]]:
    places = [(where, digest, opened.place(digest)) for where, digest in listed]
    entries = [
        {"entry": where, **_answer(opened, digest, place)} for where, digest, place in places
    ]
    if prove_to is None:
        return entries
    wanted = [
        (i, digest, place)
        for i, (_, digest, place) in enumerate(places)
        if place.answer == "absent"
    ]
    with _statements(opened) as statements, working("prove") as progress:
        for done, (i, digest, place) in enumerate(wanted, 1):
            progress(f"absence {done} of {len(wanted)}")
            entries[i]["proof"] = str(
                statements.write(digest, place, prove_to / f"absent-{digest.hex()}.json")
            )
    return entries
