"""What `proof verify` checks with, and the dataset that its caller asks about."""

from __future__ import annotations

from provenance.dataset.manifest import DatasetRoot
from provenance.errors import InputError, NotFound, VerificationError
from provenance.ids import DatasetId, KeyId
from provenance.judgement.trust import Trust
from provenance.settings import Settings
from provenance_cli.output import note
from provenance_cli.wiring import reader_for
from provenance_zk.audits.chain_witness import ChainWitness
from provenance_zk.audits.proof_check import NamedDataset
from provenance_zk.audits.sorted_source import SortedOnChain, SortedSource
from provenance_zk.checker import Engine, ProverEngine, SlowEngine
from provenance_zk.field import parse_word
from provenance_zk.prover.client import ZkProver, find_binary

SLOW_S = 1.0  # a proof in pure Python, on the machines this was tried on


def engine_for(settings: Settings, slow: bool, proofs: int) -> Engine:
    """The prover, or pure Python with `slow`, which says how long `proofs` will take."""
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
    """The dataset the caller asks about, and what the chain knows of its order.

    Raises:
        InputError: half a name, or two.
        NotFound: the chain has no such registration.
        VerificationError: the chain is not the pinned one, or the registration is not finished.
        UnavailableError: the chain is out of reach.
    """
    if dataset_id is not None:
        if any(value is not None for value in given):
            raise InputError(
                "name the dataset once", expected="--dataset-id, or --root, --depth and --count"
            )
        return _registered(settings, trust, dataset_id)
    if all(value is None for value in given):
        return None, SortedSource()
    root, depth, count = given
    if root is None or depth is None or count is None:
        raise InputError(
            "a dataset is named by three things", expected="--root, --depth and --count"
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
            f"the chain is not the pinned one: {what} differs", expected=expected, actual=actual
        )
    snapshot = reader.final()
    facts = snapshot.dataset(wanted)
    if facts is None:
        raise NotFound(
            "no such registration in a final block",
            where=f"ledger {trust.addresses['ledger']}",
            expected=dataset_id,
        )
    if not facts.finished:
        raise VerificationError(
            "registration is not finished, so its count is nobody's but the owner's",
            where=dataset_id,
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
