"""`provenance dataset erase`: delete one record for good, and find what is left of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.ids import bare_digits, to_hex
from provenance_cli.dataset.record_file import record_of
from provenance_cli.options import Json
from provenance_cli.output import note, result

if TYPE_CHECKING:
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.erasure import ErasedRecord, Left

PREFIX_DIGITS = 8  # digits of the leaf that the user types before anything is deleted

_Runs = Annotated[
    list[Path] | None,
    typer.Option("--run", metavar="RUN", help="Folder of a run that used the dataset; repeatable."),
]


def erase(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")
    ],
    leaf: Annotated[
        str | None, typer.Option("--leaf", metavar="0x..", help="Erase the record with this leaf.")
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="sha256:..", help="Erase the record with this digest."),
    ] = None,
    index: Annotated[
        int | None,
        typer.Option("--index", metavar="N", help="Erase the record with this leaf index."),
    ] = None,
    run: _Runs = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="PREFIX",
            help="First 8 digits of the record's leaf (default: ask at the terminal).",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Erase nothing; search for what is left of erased records."),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="With --check: an erased record as it was, to search for its text.",
        ),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", help="Name of the key that signs the tombstone.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Erase a record: its bytes, its salt, and the salts of batches that used it.

    This cannot be undone. The leaf stays, so earlier proofs stay valid. With
    --check, exit code 1 means that something was found.
    """
    from provenance.errors import InputError

    runs, selectors = run or [], [leaf, digest, index]
    if check:
        if any(value is not None for value in [*selectors, confirm]):
            raise InputError(
                "--check searches for all erased records, so none can be selected",
                hint="leave out --leaf, --digest, --index and --confirm",
            )
        _look(folder, runs, file, as_json)
        return
    if file is not None or sum(value is not None for value in selectors) != 1:
        raise InputError(
            "select exactly one record to erase",
            expected="--leaf 0x.., --digest sha256:.. or --index N",
            hint="--file is only for --check",
        )
    value, text = _erase(folder, (leaf, digest, index), runs, confirm, key)
    result(value, as_json, text)


def _erase(
    folder: Path,
    selected: tuple[str | None, str | None, int | None],
    runs: list[Path],
    confirm: str | None,
    key: str,
) -> tuple[dict[str, Any], str]:
    """Erase the selected record; returns what to print, as JSON and as text."""
    from provenance.chain.session import key_path
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.erasure import erase_record, what_is_left
    from provenance.dataset.saltstore import load_key
    from provenance.layout import RunFolder
    from provenance.settings import Settings
    from provenance.signing.keystore import load_key as load_account
    from provenance.signing.keystore import read_password
    from provenance_cli.outputs import try_folder
    from provenance_zk.audits.sorted_proofs import FOLDER, is_complete

    settings = Settings.load()
    salt_key = load_key(settings.home / "salts.key")
    folders = [RunFolder(run).require() for run in runs]
    with CommittedDataset.open(folder, salt_key) as opened:
        chosen = _select(opened, *selected)
        leaf = to_hex(opened.leaf(chosen))
        note(f"record {chosen} of {len(opened)}, leaf {leaf}, will be erased for good")
        if not is_complete(folder / FOLDER, opened.root):
            note(
                "warning: the dataset was not proven sorted, and after an erasure it never can be; "
                "without that nobody can prove that a record is absent "
                "(to prove it first: provenance dataset prove)"
            )
        _require_confirmed(leaf, confirm)
        # What is deleted cannot come back, so the tombstone's place is tried first.
        try_folder(folder, "DIR")
        account = load_account(key_path(settings, key), read_password(settings.password_file))
        erased = erase_record(opened, chosen, folders, salt_key, account)
        left = what_is_left(opened, folders, hub_caches(os.environ))
        value = {
            "format": "provenance-erasure/1",
            **opened.root.to_json(),
            "leaf_index": chosen,
            "leaf": leaf,
            "batch_salts": [
                {"run": str(r), "batches": used, "deleted": gone}
                for r, used, gone in erased.batch_salts
            ],
            "tombstone": erased.tombstone.record.to_json(),
            "signer": erased.tombstone.signer,
            "left": [x.to_json() for x in left],
        }
    return value, _text(chosen, erased, left)


def _select(
    opened: CommittedDataset, leaf: str | None, digest: str | None, index: int | None
) -> int:
    from provenance.digest import Digest
    from provenance.errors import NotFound
    from provenance.ids import parse_word

    if leaf is not None:
        found = opened.index_of(parse_word(leaf, "--leaf").to_bytes(32, "big"))
    elif digest is not None:
        found = opened.find(Digest.parse(digest))
    else:
        found = index
        opened.leaf(index or 0)  # raises if there is no such index
    if found is None:
        raise NotFound(
            "no such record",
            where=str(opened.folder),
            expected=leaf or digest,
            hint="an erased record can only be selected by its leaf or index",
        )
    return found


def _require_confirmed(leaf: str, confirm: str | None) -> None:
    """Check the leaf's first digits, which the user gives or types, so that no slip erases.

    Raises:
        InputError: the digits are others, or none were given and stdin is no terminal.
    """
    from provenance.errors import InputError

    wanted = leaf[: 2 + PREFIX_DIGITS]
    if confirm is None:
        if not sys.stdin.isatty():
            raise InputError(
                "erasing is not confirmed",
                expected=f"--confirm {wanted}",
                hint="nothing was erased",
            )
        confirm = typer.prompt(
            f"to erase the record, type the first {PREFIX_DIGITS} digits of its leaf", err=True
        )
    given = bare_digits(confirm.lower())
    if len(given) < PREFIX_DIGITS or not bare_digits(leaf).startswith(given):
        raise InputError(
            "confirmation does not match the record's leaf",
            expected=wanted,
            actual=confirm[:80],
            hint="nothing was erased",
        )


def hub_caches(environ: Mapping[str, str]) -> list[Path]:
    """The folders where Hugging Face libraries keep downloaded and prepared datasets."""
    home = Path(
        environ.get("HF_HOME")
        or Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )
    return [
        Path(environ.get("HF_DATASETS_CACHE") or home / "datasets"),
        Path(environ.get("HF_HUB_CACHE") or home / "hub"),
    ]


def _text(index: int, erased: ErasedRecord, left: list[Left]) -> str:
    lines = [
        f"erased record {index}, leaf {to_hex(erased.tombstone.leaf)}; tombstone signed by "
        f"{erased.tombstone.signer}"
    ]
    lines += [
        f"{run}: {used} batches used the record, the salts of {gone} were deleted now"
        for run, used, gone in erased.batch_salts
    ]
    lines.append("not reached by this command, and left for you to delete:")
    lines += [
        f"  {x.what}" + (f": {x.path}{'' if x.present else ' (not there)'}" if x.path else "")
        for x in left
    ]
    return "\n".join(lines)


def _look(folder: Path, runs: list[Path], file: Path | None, as_json: bool) -> None:
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.saltstore import load_key
    from provenance.layout import RunFolder
    from provenance.settings import Settings
    from provenance_zk.training.residue import search

    key = load_key(Settings.load().home / "salts.key")
    with CommittedDataset.open(folder, key) as opened:
        record = record_of(opened, file) if file is not None else None
        report = search(
            opened, [RunFolder(run).require() for run in runs], hub_caches(os.environ), key, record
        )
        value: dict[str, Any] = {
            "format": "provenance-erasure-check/1",
            **opened.root.to_json(),
            "erased": opened.erased(),
            **report.to_json(),
        }
    lines = [f"found: {place}" for place in report.found] or ["nothing was found"]
    lines += [f"not searched: {place}" for place in report.not_searched]
    result(value, as_json, "\n".join(lines))
    if report.found:
        raise typer.Exit(1)
