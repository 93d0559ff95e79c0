"""Gas per proven batch of the reference job on anvil, with anchoring and calldata.

Targets: <= 450 with one proof per transaction, <= 250 with all epochs in one.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import BATCH, BATCHES, EPOCHS, RECORDS, ROOT, line, quiet, say, settings, synthetic_rows

from provenance.chain.rpc import Receipt
from provenance.chain.session import Session, embedded, key_path
from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import load_or_create_key
from provenance.dataset.writer import ManifestFacts
from provenance.digest import sha256
from provenance.ids import KeyId
from provenance.layout import RunFolder
from provenance.log.anchoring import Anchorer
from provenance.log.fold import read_history
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records
from provenance.order import epoch_order
from provenance.signing.keystore import create_key, read_password
from provenance_cli.setup.deployment import Wanted, deploy_all
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.keys import find_key
from provenance_zk.training.commitments import DatasetCommitter
from provenance_zk.training.epochs import DrawnRun, EpochProver, make_job
from provenance_zk.training.registration import Keys, ProvingSite, register

SLOTS = 20_480


class Meter:
    """Adds up the gas of a session's transactions by the first word of their label."""

    def __init__(self, session: Session) -> None:
        self.gas: dict[str, int] = {}
        self._send = session.manager.send
        session.manager.send = self._metered  # type: ignore[method-assign]

    def _metered(self, label: str, *args: Any, **kwargs: Any) -> Receipt:
        receipt = self._send(label, *args, **kwargs)
        kind = label.split(":")[0]
        self.gas[kind] = self.gas.get(kind, 0) + receipt.gas_used
        return receipt


def _journal(
    folder: RunFolder, session: Session, dataset: CommittedDataset, dataset_id: bytes
) -> tuple[bytes, bytes]:
    """A journal of the reference job's batches; returns (run id, seed)."""
    journal = Journal.create(folder.journal, {"format": "provenance-journal/1"})
    opening = Record.make(
        "run.open",
        dataset=dataset.root.to_json(),
        fed={},
        base={"content": str(sha256(b"base")), "files": {}},
        config={},
        config_digest=str(sha256(b"config")),
        code={},
        environment={},
        signer=session.address,
        evaluation={},
        registered=True,
    )
    journal.append(opening.to_bytes())
    run = session.open_run(opening.digest, dataset_id)
    seed = session.draw_seed(run)
    journal.append(
        Record.make(
            "seed",
            seed="0x" + seed.hex(),
            source="chain",
            draw_block=run.draw_block,
            run_id="0x" + run.run_id.hex(),
        ).to_bytes()
    )
    step = 0
    for epoch in range(EPOCHS):
        order = epoch_order(seed, epoch, RECORDS)
        for start in range(0, RECORDS, BATCH):
            positions = list(range(start, min(start + BATCH, RECORDS)))
            step += 1
            journal.append(
                Record.make(
                    "batch",
                    epoch=epoch,
                    step=step,
                    micro=0,
                    rank=0,
                    positions=positions,
                    tensors=str(sha256(b"tensors")),
                    leaves=["0x" + dataset.leaf(int(order[h])).hex() for h in positions],
                ).to_bytes()
            )
        end = Record.make("epoch", epoch=epoch, consumed=RECORDS, remainder=[])
        journal.append(end.to_bytes())
    journal.close()
    return run.run_id, seed


def main() -> None:
    folder = Path(tempfile.mkdtemp(dir=_made(ROOT / "build")))
    config = settings(folder)
    chain = embedded(config)
    try:
        create_key(key_path(config), read_password(config.password_file))
        chain.up()
        say(f"deploying with {SLOTS} slots")
        deploy_all(config, Wanted(SLOTS), quiet)
        _measure(config, folder)
    finally:
        chain.down()
        shutil.rmtree(folder, ignore_errors=True)


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def _measure(config: Any, folder: Path) -> None:
    prover = ZkProver(find_binary(config.zkprover))
    salt_key = load_or_create_key(config.home / "salts.key")
    say(f"committing {RECORDS} records")
    facts = ManifestFacts(source="synthetic", licence="none")
    committer = DatasetCommitter(prover, salt_key)
    committer.commit(synthetic_rows(RECORDS), folder / "dataset", facts)
    session = Session(config, say=quiet)
    meter = Meter(session)
    deployment = session.deployment
    keys = Keys(
        *(
            find_key(config.cache / "keys", KeyId.parse(deployment.key(kind, depth=depth).vk_id))
            for kind, depth in (("epoch", 0), ("tree", 5))
        )
    )
    run = RunFolder(folder / "run")
    with CommittedDataset.open(folder / "dataset", salt_key) as dataset:
        say("registering the dataset")
        site = ProvingSite(salt_key, keys, prover, session, deployment.ledger)
        registered = register(dataset, site)
        dataset_gas = sum(meter.gas.values())
        run_id, seed = _journal(run, session, dataset, registered.dataset_id)
        anchorer = Anchorer(run_id, run, session, lambda: len(read_records(run.journal)))
        anchorer.anchor()
        anchorer.close()
        history = read_history(read_records(run.journal))
        drawn = DrawnRun(run_id, registered.dataset_id, seed)
        jobs = [make_job(history, dataset, drawn, epoch) for epoch in range(EPOCHS)]
        epochs = EpochProver(dataset, site, run)
        say("proving singly")
        for job in jobs:
            epochs.prove([job], batch=False)
        singly = dict(meter.gas)
        say("proving in a batch")
        # The ledger takes these for further epochs, because it sees only commitments, and U (the
        # commitment to the leaves as they were fed) has another blinding.
        epochs.prove([replace(job, epoch=EPOCHS + job.epoch) for job in jobs])
    epoch_gas = singly["anchor"] + singly["epoch"]
    inputs = f"{RECORDS} records, batch {BATCH}, {EPOCHS} epochs = {BATCHES} batches, {SLOTS} slots"
    line(
        "gas per proven batch, verified singly",
        epoch_gas / BATCHES,
        "gas",
        "<= 450",
        epoch_gas / BATCHES <= 450,
        inputs,
    )
    batch_gas = meter.gas["at-once"]
    line(
        "gas per proven batch, all epochs in one transaction",
        batch_gas / BATCHES,
        "gas",
        "<= 250",
        batch_gas / BATCHES <= 250,
        inputs,
    )
    print(
        f"   beside it: anchorEpoch {singly['anchor'] / EPOCHS:,.0f}, proveEpoch "
        f"{singly['epoch'] / EPOCHS:,.0f} each, "
        f"anchorAndProve {batch_gas / EPOCHS:,.0f} each; "
        f"dataset registration {dataset_gas:,} once ({dataset_gas / BATCHES:,.0f} per batch); "
        f"opening and seed {meter.gas['open'] + meter.gas['draw']:,}; one head "
        f"{meter.gas['commit']:,}"
    )
