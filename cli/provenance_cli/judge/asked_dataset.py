"""For `proof verify`: the engine that checks proofs, and the dataset that its caller names."""

from __future__ import annotations

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import InputError, NotFound, VerificationError
from provenance.ids import DatasetId, KeyId, parse_word
from provenance.judgement.trust import Trust
from provenance.settings import Settings
from provenance_cli.output import note
from provenance_cli.wiring import reader_for
from provenance_zk.audits.chain_witness import ChainWitness
from provenance_zk.audits.proof_check import NamedDataset
from provenance_zk.audits.sorted_source import SortedOnChain, SortedSource
from provenance_zk.checker import Engine, ProverEngine, SlowEngine
from provenance_zk.prover.client import ZkProver, find_binary

SLOW_S = 1.0  # seconds per proof in pure Python, on two CPU cores


def engine_for(settings: Settings, slow: bool, proofs: int) -> Engine:
    """The engine that checks proofs: the prover, or with `slow` pure Python.

    With `slow` a note tells how long this many `proofs` will take.
    """
    if not slow:
        return ProverEngine(ZkProver(find_binary(settings.zkprover)))
    note(f"{proofs} proofs in pure Python: about {proofs * SLOW_S:.0f} s")
    return SlowEngine()


def named_dataset(
    settings: Settings,
    trust: Trust,
    given: tuple[str | None, int | None, int | None],
    dataset_id: str | None,
) -> tuple[NamedDataset | None, SortedSource]:
    """The dataset that the caller names, and whether the chain knows that it is sorted.

    Args:
        given: root, depth and count, each None if it is not given.
        dataset_id: a registration on chain, in the place of `given`.

    Returns:
        The dataset (None if the caller names none), and a source that only knows something if a
        registration is named.

    Raises:
        InputError: only a part of `given`, or a dataset that is named in both ways.
        NotFound: the chain has no such registration.
        VerificationError: the chain is not the pinned one, or the registration is not finished.
        UnavailableError: the chain is out of reach.
    """
    if dataset_id is not None:
        if any(value is not None for value in given):
            raise InputError(
                "dataset is named twice",
                expected="either --dataset-id, or --root, --depth and --count",
            )
        return _registered(settings, trust, dataset_id)
    if all(value is None for value in given):
        return None, SortedSource()
    root, depth, count = given
    if root is None or depth is None or count is None:
        raise InputError(
            "dataset is named only in part", expected="all of --root, --depth and --count"
        )
    dataset = DatasetRoot.from_json(
        {"root": root, "depth": depth, "count": count}, "--root, --depth, --count"
    )
    return NamedDataset(dataset, "that you named"), SortedSource()


def _registered(
    settings: Settings, trust: Trust, dataset_id: str
) -> tuple[NamedDataset, SortedSource]:
    wanted = DatasetId(parse_word(dataset_id, "--dataset-id").to_bytes(32, "big"))
    reader = reader_for(settings, trust)
    difference = trust.first_difference(reader.identity())
    if difference is not None:
        what, expected, actual = difference
        raise VerificationError(
            f"the chain is not the one that the trust file pins: {what} differs",
            expected=expected,
            actual=actual,
        )
    snapshot = reader.final()
    facts = snapshot.dataset(wanted)
    if facts is None:
        raise NotFound(
            "no final block has this registration",
            where=f"ledger {trust.addresses['ledger']}",
            expected=dataset_id,
        )
    if not facts.finished:
        raise VerificationError(
            "registration is not finished, so no proof backs its count yet",
            where=dataset_id,
            hint="its owner can finish it with: provenance dataset register",
        )
    dataset = DatasetRoot(facts.root, facts.depth, facts.count)
    named = NamedDataset(
        dataset,
        f"registered by {facts.owner}, final at block {snapshot.block.number}",
        ChainWitness.of(snapshot, trust, wanted, facts.owner),
    )
    return named, SortedOnChain(
        dataset, trust, lambda vk_id: snapshot.sorted_complete(wanted, KeyId(vk_id))
    )
