"""`provenance find`: find what a digest names, in run folders and on chain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from provenance.digest import Digest, hash_file
from provenance.errors import InputError, NotFound, ProvenanceError, UnavailableError
from provenance.ids import DatasetId, RunId, bare_digits, to_hex, to_word
from provenance.judgement.trust_file import load_trust
from provenance.layout import RunFolder
from provenance.log.anchoring import SignedHead, read_heads
from provenance.log.tree import iterate_records
from provenance.settings import Settings
from provenance.verify.sources.evidence import FolderSource, run_id_of
from provenance.verify.sources.names import releases_called
from provenance_cli.options import Json
from provenance_cli.output import note, result
from provenance_cli.wiring import reader_for, require_folder

app = typer.Typer(
    add_completion=False,
    help="Find what a digest names, in run folders and on chain.",
)
_T = TypeVar("_T")
_WORD = re.compile(r"(?:sha256:|0x)[0-9a-f]{64}")


@app.command()
def find(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DIGEST|NAME",
            help="sha256:<64 hex>, 0x<64 hex> or 64 hex digits; or the name of a release.",
        ),
    ],
    evidence: Annotated[
        list[Path] | None,
        typer.Option("--evidence", help="Run folder, or a folder of run folders; repeatable."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Search run folders only, not the chain.")
    ] = False,
    json: Json = False,
) -> None:
    """Search runs and chain for everything with this digest. Exit code 4: nothing has it.

    A name is answered only from records that a publisher of the trust file claimed on chain.
    """
    for folder in evidence or ():
        require_folder(folder, "--evidence")
    runs = FolderSource(evidence or [Path("runs"), Path()]).runs()
    if not _is_digest(what):
        _find_name(what, runs, offline, json)
        return
    wanted = Digest.parse(what)
    matches = [m for folder in runs for m in _in_run(folder, wanted)]
    searched = [str(folder.root) for folder in runs]
    if not offline:
        try:
            matches += _on_chain(wanted)
            searched.append("chain")
        except ProvenanceError as error:
            note(f"chain not searched: {error}")
    if not matches:
        raise NotFound(
            "nothing was found with this digest",
            where=str(wanted),
            expected=f"something in {', '.join(searched) or 'a run folder, but none was found'}",
            hint="name more run folders with --evidence",
        )
    _show({"digest": str(wanted)}, matches, json)


def _is_digest(what: str) -> bool:
    """Whether this is written like a digest, also like a malformed one."""
    body = bare_digits(what.removeprefix("sha256:"))
    return body != what or bool(re.fullmatch("[0-9a-fA-F]{64}", body))


def _find_name(label: str, runs: Sequence[RunFolder], offline: bool, json: bool) -> None:
    """Print the claimed releases that a name means.

    Raises:
        NotFound: there is none among these runs.
        UnavailableError: the chain does not answer.
    """
    if offline:
        raise InputError(
            "a name is answered only from the chain", where="--offline", actual=repr(label)
        )
    settings = Settings.load()
    trust = load_trust(settings.trust)
    snapshot = reader_for(settings, trust).final()
    matches = [
        _match(
            "release",
            folder.root,
            f"{named.release.name}, {named.release.model}, record {named.claim.index} of run "
            f"{named.release.run_id}, claimed by {named.publisher.name} in block "
            f"{named.claim.block_number}{', REVOKED' if named.claim.revoked_block else ''}",
            model=str(named.release.model),
            name=named.release.name,
            run_id=str(named.release.run_id),
        )
        for folder in runs
        for records in [list(_past_damage(folder, iterate_records(folder.journal)))]
        for named in releases_called(label, records, snapshot, trust)
    ]
    if not matches:
        raise NotFound(
            "no trusted publisher claimed a release of this name in a final block",
            where=repr(label),
            expected=f"a record in {', '.join(str(f.root) for f in runs) or 'a run folder'}",
            hint="name more run folders with --evidence, or ask for the file's digest",
        )
    _show({"name": label}, matches, json)


def _show(asked: dict[str, str], matches: Sequence[dict[str, Any]], json: bool) -> None:
    result(
        {"format": "provenance-find/1", **asked, "matches": matches},
        json,
        "\n".join(f"{m['kind']:<12} {m['where']}  {m['what']}" for m in matches),
    )


def _match(kind: str, where: object, what: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "where": str(where), "what": what, **more}


def _in_run(folder: RunFolder, wanted: Digest) -> Iterator[dict[str, Any]]:
    """What of a run has a digest. Where one part of it is damaged, the others are searched."""
    if run_id_of(folder) == bytes(wanted):
        yield _match("run", folder.root, "run id")
    heads = list(_past_damage(folder, _heads(folder)))
    yield from _past_damage(folder, _in_records(folder, wanted, heads))
    for signed in heads:
        if wanted in (signed.head.digest, signed.head.root):
            yield _match(
                "head",
                folder.root,
                f"head {signed.seq} of {signed.head.size} records",
                seq=signed.seq,
            )
    for path in _evidence_files(folder):
        if hash_file(path) == wanted:
            yield _match("file", path, f"{path.stat().st_size} bytes")


def _past_damage(folder: RunFolder, found: Iterator[_T]) -> Iterator[_T]:
    """What is found until something of a folder is damaged, which is named and ends nothing."""
    try:
        yield from found
    except UnavailableError:
        raise
    except ProvenanceError as error:
        note(f"{folder.root} is damaged, and was searched only so far: {error}")


def _heads(folder: RunFolder) -> Iterator[SignedHead]:
    yield from read_heads(folder.heads)


def _in_records(
    folder: RunFolder, wanted: Digest, heads: Sequence[SignedHead]
) -> Iterator[dict[str, Any]]:
    for index, record in enumerate(iterate_records(folder.journal)):
        if wanted in (record.digest, record.entry):
            seq = next((h.seq for h in heads if h.head.size > index), None)
            head = f"under head {seq}" if seq is not None else "not anchored yet"
            yield _match(
                "record",
                folder.root,
                f"record {index} ({record.type}), {head}",
                index=index,
                record=record.to_json(),
                seq=seq,
            )
        elif any(
            bare_digits(word.rpartition(":")[2]) == wanted.hex()
            for word in _WORD.findall(record.to_bytes().decode())
        ):
            yield _match(
                "named", folder.root, f"named by record {index} ({record.type})", index=index
            )


def _evidence_files(folder: RunFolder) -> Sequence[Path]:
    """Proofs, keys, adapter, merged and released files; nothing of the private folder."""
    roots = [
        folder.evidence / "epochs",
        folder.dataset,
        folder.evidence / "keys",
        folder.adapter,
        folder.merged,
        folder.release,
    ]
    return sorted(
        p
        for root in roots
        if root.is_dir()
        for p in root.rglob("*")
        if p.is_file() and not p.is_symlink()
    )


def _on_chain(wanted: Digest) -> list[dict[str, Any]]:
    """The transaction with this hash, and the run, dataset or claims that the contracts know."""
    from provenance.chain.artifact import abi_of
    from provenance.chain.contracts import Reader
    from provenance.chain.session import connect, load_deployment

    settings = Settings.load()
    rpc = connect(settings, note)
    deployment = load_deployment(settings)
    matches = []
    receipt = rpc.receipt(wanted)
    if receipt is not None:
        data = rpc.transaction_input(wanted)
        call = next(
            (
                c[0]
                for c in (
                    abi_of(n).decode_input(data) for n in ("ProvenanceRegistry", "ProofLedger")
                )
                if c
            ),
            "other call",
        )
        matches.append(
            _match(
                "transaction",
                f"block {receipt.block_number}",
                f"{call}, {receipt.gas_used} gas, {'succeeded' if receipt.ok else 'REVERTED'}",
                block=receipt.block_number,
                gas=receipt.gas_used,
            )
        )
    snapshot = Reader(rpc, deployment.addresses).latest()
    run = snapshot.run(RunId(wanted))
    if run is not None:
        matches.append(
            _match(
                "run", "registry", f"owner {run.owner}, {run.size} entries under {run.seq} heads"
            )
        )
    dataset = snapshot.dataset(DatasetId(wanted))
    if dataset is not None:
        state = "finished" if dataset.finished else "begun"
        matches.append(
            _match(
                "dataset",
                "ledger",
                f"{dataset.count} records, root {to_word(dataset.root)}, {state}",
            )
        )
    for claim in snapshot.claims(wanted):
        where = f"record {claim.index} of run {to_hex(claim.run_id)}"
        matches.append(
            _match("release", "registry", f"{where} by {claim.owner}, block {claim.block_number}")
        )
    return matches
