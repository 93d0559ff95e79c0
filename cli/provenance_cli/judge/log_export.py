"""`provenance log`: a run's log for other tools."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import Conflict, VerificationError
from provenance.ids import Address
from provenance.judgement.head_signatures import HeadSignatures, domain_of, head_signatures
from provenance.judgement.pinned import final_state
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust
from provenance.layout import RunFolder, read_json, write_atomically
from provenance.log.anchoring import SignedHead, read_heads
from provenance.log.c2sp import checkpoint, origin, signed_checkpoint, tiles
from provenance.log.fold import read_history
from provenance.log.run_log import run_id_of
from provenance.log.tree import Head, read_records, require_prefix
from provenance.log.witness.cosignature import Cosignature, WitnessKey
from provenance.log.witness.kept import CosignedHead
from provenance.log.witness.note import MAX_SIGNATURES, SignatureLine
from provenance.merkle import Tree
from provenance.settings import Settings
from provenance.signing import Domain, verify_head
from provenance.verify.sources.evidence import FolderEvidence
from provenance_cli.options import Json
from provenance_cli.output import result
from provenance_cli.outputs import try_folder
from provenance_cli.wiring import reader_for

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Export a run's log for other tools."
)


@app.callback()
def _root() -> None:
    """Export a run's log for other tools."""


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for tiles and checkpoints; one may be there.")
    ],
    json: Json = False,
) -> None:
    """Write the log up to its last signed head as C2SP tiles, and each signed head as a checkpoint.

    Each head is checked first. Given again, it brings the folder up to the log; the file
    `checkpoint` is written last.
    """
    try_folder(out, "--out")
    path = Settings.load().trust
    log = read_signed_log(run, None if path is None else load_trust(path))
    kept = FolderEvidence(log.folder).cosignatures()
    notes = {
        each.head.size: log.note(each, _cosignatures(log, each.head, kept)) for each in log.heads
    }
    last = max(notes)
    for name, data in tiles(log.entries[:last]):
        write_atomically(out / name, data)
    for size, text in notes.items():
        write_atomically(out / "checkpoints" / str(size), text.encode())
    write_atomically(out / "checkpoint", notes[last].encode())
    value = {
        "format": "provenance-log-export/1",
        "out": str(out),
        "origin": origin(log.heads[-1].head, log.domain),
        "size": last,
        "checkpoints": len(notes),
    }
    result(value, json)


def _cosignatures(
    log: SignedLog, head: Head, kept: Sequence[CosignedHead]
) -> Iterator[SignatureLine]:
    """The newest cosignature of a head by each witness, as far as its own key says so.

    Nobody is believed here: whoever reads the export knows which witnesses they trust.
    """
    newest: dict[WitnessKey, Cosignature] = {}
    text = checkpoint(head, log.domain)
    for each in kept:
        given = each.cosignature
        old = newest.get(given.witness)
        if each.head == head and (old is None or old.time < given.time) and given.is_of(text):
            newest[given.witness] = given
    for found in list(newest.values())[: MAX_SIGNATURES - 1]:
        yield found.line


@dataclass(frozen=True)
class SignedLog:
    """A run's log with its signed heads, each of which was checked, oldest first."""

    folder: RunFolder
    entries: Sequence[bytes]
    tree: Tree
    domain: Domain
    signer: str
    heads: list[SignedHead]

    def note(self, signed: SignedHead, more: Iterable[SignatureLine] = ()) -> str:
        """A head as a signed checkpoint, with more lines below."""
        return signed_checkpoint(signed.head, self.domain, self.signer, signed.signature, more)


def read_signed_log(run: Path, trust: Trust | None = None) -> SignedLog:
    """Read a run's log, and check that each of its heads is a prefix that the run's key signed.

    Args:
        trust: says which signers are contracts. Such a one is asked itself (EIP-1271).

    Raises:
        NotFound: no run.
        Conflict: it has no signed head, or was never registered.
        InputError, VerificationError: journal or heads are damaged, or contradict each other.
        UnavailableError: the signer is a contract, and the chain does not answer or is another one.
    """
    folder = RunFolder(run).require()
    records, heads = read_records(folder.journal), read_heads(folder.heads)
    if not heads:
        raise Conflict(
            "run has no signed head",
            where=str(folder.heads),
            hint="train with --anchor, or provenance prove RUN",
        )
    run_id, domain = run_id_of(folder), domain_of_run(folder)
    signer = str(read_history(records).opening.fields["signer"])
    entries = [record.entry for record in records]
    tree = Tree(entries)
    contract = None if trust is None else _contract(signer, domain, trust)
    for signed in heads:
        require_prefix(signed.head, run_id, tree)
        if contract is None:
            verify_head(signed.head, domain, signed.signature, signer)
        elif not contract.is_of(signed.head, signed.signature, signer):
            raise VerificationError(
                "the contract that owns the run does not take a head's signature",
                where=f"head {signed.seq}",
                expected=f"isValidSignature (EIP-1271) of {signer}",
                hint="its owners may have changed: have the head signed again",
            )
    return SignedLog(folder, entries, tree, domain, signer, heads)


def _contract(signer: str, domain: Domain, trust: Trust) -> HeadSignatures | None:
    """How the signatures of a signer that is a contract are checked; None if its own key signs.

    Raises:
        VerificationError: it has other code than the trust file pins.
        Conflict: the run is of another chain or registry than the trust file.
        UnavailableError: as `final_state`.
    """
    if not any(p.address == signer and p.code_hash is not None for p in trust.publishers):
        return None
    require_same_domain(domain, trust)
    now = datetime.datetime.now(datetime.UTC)
    snapshot = final_state(trust, reader_for(Settings.load(), trust), now)
    found = head_signatures(trust, snapshot, Address(signer), snapshot.block.number)
    return None if found.contract is None else found


def require_same_domain(domain: Domain, trust: Trust) -> None:
    """Check that a run's signatures count where the trust file's contracts are.

    Raises:
        Conflict: it is of another chain or registry.
    """
    if domain != domain_of(trust):
        raise Conflict(
            "run is of another chain or registry than the trust file",
            expected=domain_of(trust),
            actual=domain,
            hint="name the trust file of its contracts (--trust, PROVENANCE_TRUST)",
        )


def domain_of_run(folder: RunFolder) -> Domain:
    """Where the signatures of a run's heads count, as `run.json` says.

    Raises:
        Conflict: the run was never registered.
    """
    info = read_json(folder.info)
    if "registry" not in info or "chain_id" not in info:
        raise Conflict(
            "run was never registered", where=str(folder.info), hint="train with --anchor"
        )
    return Domain(int(info["chain_id"]), Address(str(info["registry"]).lower()))
