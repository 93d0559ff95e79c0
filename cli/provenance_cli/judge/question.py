"""One question to the verifier, made from command-line options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.digest import Digest
from provenance.errors import InputError
from provenance.ids import RunId
from provenance.judgement.policy import load_policy
from provenance.judgement.trust_file import load_trust
from provenance.judgement.verdict import Verdict
from provenance.settings import Settings
from provenance.verify import Options, Verifier, verify
from provenance.verify.protocols import TrainingReplayer
from provenance.verify.sources.evidence import FolderSource, load_openings
from provenance_cli.judge.editions import require_no_rollback
from provenance_cli.output import note
from provenance_cli.wiring import (
    base_folder,
    evidence_folders,
    inspector_for,
    memo_for,
    prover_for,
    reader_for,
    require_folder,
)

if TYPE_CHECKING:
    from provenance_zk.prover.client import ZkProver


@dataclass(frozen=True)
class Question:
    """What to judge, by which trust file and policy, with which evidence.

    An attacker may control the subject, the evidence and the openings.

    subject: path of a file, or a digest as text.
    evidence: run folders, or folders of run folders.
    release: id of the run that is said to have released the subject, as `0x` text.
    base: name or folder of the base model.
    data: folder of the committed dataset with its salts.
    openings: a folder of openings, and the nonce that the verifier chose for them.
    slow: check proofs in pure Python.
    allow_rollback: take a trust file older than one that was used before.
    fresh: compute everything now, also what earlier verifications kept.
    replay: how many segments of training to do again, or `all`; None for none.
    """

    subject: str
    evidence: tuple[Path, ...] = ()
    trust_file: Path | None = None
    policy_file: Path | None = None
    release: str | None = None
    base: str | None = None
    data: Path | None = None
    openings: tuple[Path | None, str | None] = (None, None)
    slow: bool = False
    allow_rollback: bool = False
    fresh: bool = False
    replay: str | None = None


def judge(question: Question, prover: ZkProver | None = None) -> Verdict:
    """Verify with the settings of this process.

    Args:
        prover: the program of this machine, which is believed; None to start it for each request.

    Raises:
        InputError: a file or folder that the question names is missing or malformed.
        UnavailableError: the prover is missing.
    """
    settings = Settings.load()
    if question.data is not None:
        require_folder(question.data, "--with-data", "give a folder that `dataset commit` wrote")
    trust = load_trust(question.trust_file or settings.trust)
    require_no_rollback(trust, settings, allowed=question.allow_rollback)
    folders = evidence_folders(question.evidence, question.subject)
    base, data = base_folder(settings, question.base), None
    if question.data is not None:
        from provenance_trainer.run.replay import open_data_checker  # imports torch

        data = open_data_checker(question.data, folders, settings, base)
    replayer = _replayer(question, settings, folders)
    options = Options(
        release=RunId(Digest.parse(question.release)) if question.release else None,
        base=base,
        data=data,
        openings=load_openings(*question.openings),
        replayer=replayer,
    )
    verifier = Verifier(
        trust=trust,
        reader=reader_for(settings, trust),
        source=FolderSource(folders),
        prover=prover_for(
            settings, question.slow, memo_for(settings, fresh=question.fresh), prover
        ),
        inspector=inspector_for(),
        policy=load_policy(question.policy_file),
    )
    return verify(question.subject, verifier, options)


def _replayer(
    question: Question, settings: Settings, folders: Sequence[Path]
) -> TrainingReplayer | None:
    """What trains again for `--replay`; None if it was not asked for.

    Raises:
        InputError: dataset or base is not named, or there is no such number.
    """
    if question.replay is None:
        return None
    if question.data is None or question.base is None:
        raise InputError(
            "training again takes the dataset with its salts and the base",
            where="--replay",
            hint="name them with --with-data and --base",
        )
    from provenance_trainer.replay.checker import TrainingReplay  # imports torch
    from provenance_trainer.replay.process import Material

    material = Material(question.data, question.base, settings)
    wanted = segments_wanted(question.replay, "--replay")
    return TrainingReplay(folders, material, wanted, note)


def segments_wanted(text: str, where: str) -> int | None:
    """How many segments an option asks for; None for all.

    Raises:
        InputError: neither a number from 1 on nor `all`.
    """
    if text == "all":
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise InputError(
            "not a number of segments", where=where, expected="1, 2, .. or all", actual=text[:40]
        )
    return int(text)
