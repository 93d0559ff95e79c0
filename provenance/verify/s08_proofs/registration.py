"""The dataset of a run: its registration is finished on chain, and its proofs hold here too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provenance.errors import InputError, MissingEvidence, VerificationError
from provenance.ids import to_hex, to_word
from provenance.judgement.facts import DatasetFacts
from provenance.text.counted import counted
from provenance.verify.protocols import RegistrationEvidence
from provenance.verify.s08_proofs.run import Run


def check_dataset(run: Run) -> DatasetFacts:
    """Make the claim `dataset.registered`, and return the registration that the chain holds.

    Raises:
        Stopped: the claim fails, or (Lacking) evidence for it is missing.
    """
    notes = run.case.notes
    with notes.guarded("dataset.registered"):
        facts = _registered(run)
        _check_named(run, facts)
        registration = run.log.evidence.registration()
        if registration is None:
            raise MissingEvidence(
                "evidence lacks the proofs of the dataset's registration",
                where="provenance/dataset/registration.json",
            )
        run.case.verifier.prover.check_registration(_evidence(run, facts, registration))
        notes.holds(
            "dataset.registered",
            f"{counted(facts.count, 'record')} under root {to_word(facts.root)}, "
            "tree and link proofs verified on chain and here",
        )
    return facts


def _registered(run: Run) -> DatasetFacts:
    dataset_id = run.log.run.dataset_id
    facts = run.chain.snapshot.dataset(dataset_id)
    if facts is None or not facts.finished:
        raise VerificationError(
            "dataset registration is not finished on chain",
            where=to_hex(dataset_id),
            expected="finished",
            actual="unknown" if facts is None else "begun",
        )
    return facts


def _check_named(run: Run, facts: DatasetFacts) -> None:
    """The run was opened for this dataset."""
    named = run.lineage.run_open.fields["dataset"]
    expected = {"root": to_word(facts.root), "depth": facts.depth, "count": facts.count}
    if "dataset_id" in named:
        expected["dataset_id"] = to_hex(run.log.run.dataset_id)
    for name, value in expected.items():
        if named.get(name) != value:
            raise VerificationError(
                "run.open names another dataset than the registered one",
                where=f"dataset.{name}",
                expected=value,
                actual=named.get(name),
            )


def _evidence(run: Run, facts: DatasetFacts, value: Mapping[str, Any]) -> RegistrationEvidence:
    try:
        points = [(int(x, 16), int(y, 16)) for x, y in value["points"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("registration.json is malformed", where="points") from error
    return RegistrationEvidence(
        dataset_id=run.log.run.dataset_id,
        dataset=facts,
        identity=run.chain.identity,
        epoch_words=run.pinned_key(facts.epoch_key, "epoch"),
        tree_words=run.pinned_key(facts.tree_key, "tree"),
        points=points,
        trees=value["trees"],
        links=value["links"],
    )
