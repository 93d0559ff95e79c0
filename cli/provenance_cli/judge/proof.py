"""`provenance proof`: check, submit or export single proof files, and open sampled blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.ids import DatasetId
from provenance_cli.judge.options import AllowRollback
from provenance_cli.judge.verdict_text import WORST_FIRST, proof_verdict_text, proof_verdicts_json
from provenance_cli.options import DEFAULT_DRAWS, ExecutorOption, Json
from provenance_cli.output import note

proof_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check, submit or export proof files; open sampled blocks.",
)


@proof_app.callback()
def _root() -> None:
    """Check, submit or export proof files; open sampled blocks."""


@proof_app.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE..", help="Files of format provenance-statement/1 or provenance-proof/1."
        ),
    ],
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust", help="Trust file (default: PROVENANCE_TRUST, configuration folder)."
        ),
    ] = None,
    keys: Annotated[
        list[Path] | None,
        typer.Option("--keys", metavar="FOLDER", help="Folder of verifying keys; repeatable."),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option("--root", metavar="0x..", help="Root of the dataset that you ask about."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", help="Depth of its tree.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", help="How many records it has.")
    ] = None,
    dataset_id: Annotated[
        str | None,
        typer.Option(
            "--dataset-id",
            metavar="0x..",
            help="Instead of root, depth and count: its registration on chain.",
        ),
    ] = None,
    sorted_folder: Annotated[
        Path | None,
        typer.Option(
            "--sorted",
            metavar="FOLDER",
            help="Folder of the dataset's sorted proofs (default: ask the chain).",
        ),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Check proofs in pure Python, about a second each.")
    ] = False,
    allow_rollback: AllowRollback = False,
    as_json: Json = False,
) -> None:
    """Check proof files against the keys of the trust file and the dataset that you name.

    The exit code is that of the worst verdict.
    """
    from provenance.judgement.trust_file import load_trust
    from provenance.settings import Settings
    from provenance_cli.judge.asked_dataset import engine_for, named_dataset
    from provenance_cli.judge.editions import require_no_rollback
    from provenance_zk.audits.proof_check import KeyFolders, ProofJudge
    from provenance_zk.audits.sorted_folder import SortedFolder
    from provenance_zk.audits.sorted_proofs import FOLDER, chunk_files

    settings = Settings.load()
    trusted = load_trust(trust or settings.trust)
    require_no_rollback(trusted, settings, allowed=allow_rollback)
    named, on_chain = named_dataset(settings, trusted, (root, depth, count), dataset_id)
    folder = (
        sorted_folder / FOLDER
        if sorted_folder is not None and (sorted_folder / FOLDER).is_dir()
        else sorted_folder
    )
    chunks = list(chunk_files(folder)) if folder is not None else []
    engine = engine_for(settings, slow, len(files) + len(chunks))
    beside = [path.parent for path in files] + ([folder] if folder is not None else [])
    folders = KeyFolders(tuple(dict.fromkeys([*(keys or []), *beside])), settings.cache / "keys")
    lone = ProofJudge(trusted, engine, folders, named, on_chain)
    judge = (
        ProofJudge(trusted, engine, folders, named, SortedFolder(chunks, lone))
        if folder is not None
        else lone
    )
    verdicts = [judge.judge(path) for path in files]
    worst = min(verdicts, key=lambda v: WORST_FIRST.index(v.status))
    text = "\n".join(proof_verdict_text(v) for v in verdicts)
    print(proof_verdicts_json(verdicts, worst) if as_json else text)
    raise typer.Exit(worst.exit_code)


@proof_app.command()
def submit(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE..", help="Files of format provenance-statement/1, all of one dataset."
        ),
    ],
    dataset_id: Annotated[
        str,
        typer.Option(
            "--dataset-id", metavar="0x..", help="Id of the dataset's registration on chain."
        ),
    ],
    key: Annotated[
        str, typer.Option("--key", help="Name of the signing key that pays; any account may.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Submit statement files to the deployed contract of audits, which checks
    them.

    Anybody may submit. What the contract knows already is not sent again. It
    accepts a proof of absence only after all sorted proofs of the dataset;
    their files may be in the same call. A record's digest becomes public for
    good. The command ends when all is final.
    """
    from provenance.chain.session import Session
    from provenance.ids import parse_word
    from provenance.settings import Settings
    from provenance_cli.output import result, working
    from provenance_zk.audits.statement_file import Statement
    from provenance_zk.audits.submission import submit_statements

    wanted = DatasetId(parse_word(dataset_id, "--dataset-id").to_bytes(32, "big"))
    statements = [(path, Statement.load(path)) for path in files]
    session = Session(Settings.load(), key, note)
    with working("submit") as progress:
        outcomes = submit_statements(statements, wanted, session, session.deployment.keys, progress)
    value = {
        "format": "provenance-submitted/1",
        "dataset_id": str(wanted),
        "contract": session.deployment.audits,
        "statements": [outcome.to_json() for outcome in outcomes],
    }
    result(
        value,
        as_json,
        "\n".join(
            [
                *(outcome.line() for outcome in outcomes),
                f"contract of audits {session.deployment.audits}",
            ]
        ),
    )


@proof_app.command("open")
def open_(
    run: Annotated[Path, typer.Argument(help="Run folder, with the weights.")],
    nonce: Annotated[
        str, typer.Option("--nonce", metavar="0x..", help="32 bytes that the verifier chose.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for the openings, which are public."),
    ],
    draws: Annotated[
        int,
        typer.Option(
            min=2,
            max=1 << 16,
            help="Blocks to open: this many of the merge, and of the quantization.",
        ),
    ] = DEFAULT_DRAWS,
    executor: ExecutorOption = "local",
    key: Annotated[str, typer.Option("--key", help="Name of the signing key.")] = "default",
    as_json: Json = False,
) -> None:
    """Prove blocks of a run's merge and quantization that a verifier's nonce selects.

    The verifier checks them with `verify --openings`.
    """
    from provenance.chain.session import Session
    from provenance.digest import Digest
    from provenance.settings import Settings
    from provenance_cli.output import result, working
    from provenance_cli.outputs import try_folder
    from provenance_cli.wiring import inspector_for
    from provenance_zk.weights.run_proofs import WeightProver
    from provenance_zk.workers.executors import Workshop

    try_folder(out, "--out")
    settings = Settings.load()
    session = Session(settings, key, note)
    with (
        Workshop(settings, executor) as workshop,
        workshop.workers() as workers,
        working("open") as progress,
    ):
        cache, inspector = settings.cache / "keys", inspector_for()
        owner = WeightProver(session, workshop.prover, workers, cache, inspector, progress)
        value = owner.open(run, bytes(Digest.parse(nonce)), draws, out)
    result(
        value,
        as_json,
        f"{', '.join(f'{count} {name} proofs' for name, count in value['proofs'].items())} in "
        f"{out}",
    )


@proof_app.command()
def export(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="PROOF", help="File of format provenance-proof/1 or provenance-statement/1."
        ),
    ],
    snarkjs: Annotated[
        Path,
        typer.Option(
            "--snarkjs", metavar="OUT", help="Folder for the key, the proof and the public inputs."
        ),
    ],
    keys: Annotated[
        list[Path] | None,
        typer.Option("--keys", metavar="FOLDER", help="Folder of verifying keys; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a proof and its key as files that snarkjs reads. Neither is checked.

    The exported key is only valid for this proof.
    """
    from provenance.layout import write_json
    from provenance.settings import Settings
    from provenance_cli.output import result
    from provenance_cli.outputs import try_folder
    from provenance_zk.audits.proof_check import KeyFolders, parse_file
    from provenance_zk.audits.statement_file import read_small
    from provenance_zk.groth16.snarkjs import export as export_files

    try_folder(snarkjs, "--snarkjs")
    _, proof = parse_file(read_small(file), file)
    folders = KeyFolders((*(keys or []), file.parent), Settings.load().cache / "keys")
    files = export_files(folders.words(proof.vk_id), proof)
    for name, value in files.items():
        write_json(snarkjs / name, value)
    if proof.commitments:
        note(
            "warning: snarkjs checks only the main equation; the proof of knowledge of the "
            "commitments is not exported, and without it this proof shows nothing"
        )
    paths = [str(snarkjs / name) for name in files]
    result(
        {"format": "provenance-proof-export/1", "vkId": str(proof.vk_id), "files": paths},
        as_json,
        "\n".join(paths),
    )
