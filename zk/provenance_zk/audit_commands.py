"""`provenance dataset prove` and `contains`: statements about a committed dataset, made by its owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.output import note, result, stage
from provenance_zk.commands import dataset, parse_record, record_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provenance.dataset import CommittedDataset, Place
    from provenance.digest import Digest
    from provenance_zk.client import ZkProver
    from provenance_zk.keys import KeyFolder

EXIT_CODES = {"present": 0, "absent": 4, "undetermined": 3}
MAX_BLOCKLIST_BYTES = 256 << 20

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataset.command()
def prove(
    folder: _Folder,
    slots: Annotated[int, typer.Option("--slots", metavar="N", help="Leaves per chunk: 256, or 16 for small datasets.")] = 256,
    as_json: _Json = False,
) -> None:
    """Prove that the dataset is sorted, chunk by chunk, into DIR/proofs. Repeatable: valid proofs there are kept.

    The proofs are public. Proofs of absence rest on them, and they cannot be made any more once a record is erased.
    """
    from provenance.dataset import CommittedDataset
    from provenance.errors import InputError
    from provenance.saltstore import load_key
    from provenance.settings import Settings
    from provenance_zk.audit_proofs import prove_sorted_set
    from provenance_zk.client import ZkProver, find_binary
    from provenance_zk.keys import SORTED_SLOTS, ensure_keys
    from provenance_zk.sorted_proofs import FOLDER

    if slots not in SORTED_SLOTS:
        raise InputError("no sorted key of this size", where="--slots", expected=" or ".join(map(str, SORTED_SLOTS)), actual=slots)
    settings = Settings.load()
    prover = ZkProver(find_binary(settings.zkprover))
    with CommittedDataset.open(folder, load_key(settings.home / "salts.key")) as opened, stage("prove") as progress:
        progress(f"key for chunks of {slots} leaves")
        key = ensure_keys(prover, settings.cache / "keys", "sorted", slots, opened.root.depth)
        statements = prove_sorted_set(opened, key, prover, progress)
        value = {"format": "provenance-sorted/1", **opened.root.to_json(), "chunks": len(statements), "slots": slots,
                 "vk_id": f"0x{key.vk_id.hex()}", "proofs": str(folder / FOLDER)}
    result(value, as_json, f"{len(statements)} chunks of {slots} leaves proven sorted, in {folder / FOLDER}")


@dataset.command()
def contains(
    folder: _Folder,
    digest: Annotated[str | None, typer.Option("--digest", metavar="sha256:..", help="A record's digest.")] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="A record's text, or its JSON row.")] = None,
    blocklist: Annotated[Path | None, typer.Option("--blocklist", metavar="PATH", help="Digests, one a line; or a folder.")] = None,
    prove_to: Annotated[Path | None, typer.Option("--prove", metavar="PATH", help="Write the proof (a list: one a digest).")] = None,
    as_json: _Json = False,
) -> None:
    """Say whether a record with exactly these bytes is in a dataset: exit code 0 present, 4 absent, 3 undetermined.

    Undetermined: an erased record may have been it. A trailing newline of a file counts, as every byte does. With --blocklist: 0 all
    absent, 1 some present, 3 none present but some undetermined; --prove then names a folder. A proof makes the digest public.
    """
    from provenance.dataset import CommittedDataset
    from provenance.digest import Digest
    from provenance.encoding import dataset_record_bytes, dataset_record_digest
    from provenance.errors import InputError

    if sum(value is not None for value in (digest, file, blocklist)) != 1:
        raise InputError("name what to look for", expected="one of --digest sha256:.., --file FILE, --blocklist PATH")
    with CommittedDataset.open(folder, _salt_key() if prove_to is not None else None) as opened:
        if blocklist is not None:
            _check_list(opened, blocklist, prove_to, as_json)
            return
        row = record_of(opened, file) if file is not None else {}
        wanted = Digest.parse(digest) if digest is not None else dataset_record_digest(dataset_record_bytes(row))
        place = opened.place(wanted)
        value = {"format": "provenance-contains/1", **_answer(opened, wanted, place)}
        if prove_to is not None and place.answer != "undetermined":
            value["proof"] = str(_Statements(opened).write(wanted, place, prove_to))
        result(value, as_json, "\n".join(f"{name.replace('_', ' '):10}  {value[name]}" for name in value))
    raise typer.Exit(EXIT_CODES[value["answer"]])


@dataset.command()
def digest(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A record's text, or its JSON row.")],
    row: Annotated[bool, typer.Option("--row", help="The record has several columns: FILE is its JSON row.")] = False,
    as_json: _Json = False,
) -> None:
    """Print the digest that a record with exactly these bytes has, in whatever dataset: no dataset is needed."""
    from provenance.encoding import dataset_record_bytes, dataset_record_digest

    found = dataset_record_digest(dataset_record_bytes(parse_record(file, None if row else "text")))
    result({"format": "provenance-record-digest/1", "digest": str(found)}, as_json, str(found))


def _salt_key() -> bytes:
    from provenance.saltstore import load_key
    from provenance.settings import Settings

    return load_key(Settings.load().home / "salts.key")


def _answer(opened: CommittedDataset, digest: Digest, place: Place) -> dict[str, Any]:
    value: dict[str, Any] = {"answer": place.answer, "digest": str(digest)}
    if place.index is not None:
        value |= {"leaf_index": place.index, "leaf": f"0x{opened.leaf(place.index).hex()}", "source_row": opened.source_row(place.index)}
    return value


class _Statements:
    """Writes statement files, making each key when the first proof asks for it."""

    def __init__(self, opened: CommittedDataset) -> None:
        from provenance.settings import Settings
        from provenance_zk.client import ZkProver, find_binary
        from provenance_zk.sorted_proofs import FOLDER, is_complete

        self._opened, self._settings, self._keys = opened, Settings.load(), dict[str, "KeyFolder"]()
        self._prover: ZkProver = ZkProver(find_binary(self._settings.zkprover))
        self._is_sorted = is_complete(opened.folder / FOLDER, opened.root)

    def write(self, digest: Digest, place: Place, path: Path) -> Path:
        from provenance.layout import write_atomically
        from provenance_zk.audit_proofs import prove_place
        from provenance_zk.sorted_proofs import publish_key

        key = self._key("member" if place.answer == "present" else "absent")
        write_atomically(path, prove_place(self._opened, digest, place, key, self._prover).to_bytes())
        publish_key(path.parent, key)
        return path

    def _key(self, kind: str) -> KeyFolder:
        from provenance_zk.keys import ensure_keys

        if kind not in self._keys:
            if kind == "absent" and not self._is_sorted:
                note(f"warning: absence counts only beside the dataset's sorted proofs (provenance dataset prove {self._opened.folder})")
            self._keys[kind] = ensure_keys(self._prover, self._settings.cache / "keys", kind, 1, self._opened.root.depth)
        return self._keys[kind]


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


def _check_list(opened: CommittedDataset, path: Path, prove_to: Path | None, as_json: bool) -> None:
    listed = read_blocklist(opened, path)
    entries = _entries(opened, listed, prove_to)
    counts = {answer: sum(entry["answer"] == answer for entry in entries) for answer in EXIT_CODES}
    value = {"format": "provenance-blocklist/1", **opened.root.to_json(), "counts": counts, "entries": entries}
    lines = [f"{entry['answer']:<12}  {entry['digest']}  {entry['entry']}" for entry in entries]
    result(value, as_json, "\n".join([*lines, ", ".join(f"{count} {answer}" for answer, count in counts.items())]))
    raise typer.Exit(1 if counts["present"] else 3 if counts["undetermined"] else 0)


def _entries(opened: CommittedDataset, listed: Sequence[tuple[str, Digest]], prove_to: Path | None) -> list[dict[str, Any]]:
    places = [(where, digest, opened.place(digest)) for where, digest in listed]
    entries = [{"entry": where, **_answer(opened, digest, place)} for where, digest, place in places]
    if prove_to is None:
        return entries
    statements = _Statements(opened)
    wanted = [(i, digest, place) for i, (_, digest, place) in enumerate(places) if place.answer == "absent"]
    with stage("prove") as progress:
        for done, (i, digest, place) in enumerate(wanted, 1):
            progress(f"absence {done} of {len(wanted)}")
            entries[i]["proof"] = str(statements.write(digest, place, prove_to / f"absent-{digest.hex()}.json"))
    return entries
