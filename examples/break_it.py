"""Tampering that a shell line cannot do, for the tutorials in docs/.

    python examples/break_it.py flip-bit MODEL.gguf COPY.gguf
        copy a file with one bit flipped
    python examples/break_it.py edit-record RUN INDEX FIELD=JSON
        change a field of a record; the journal's hashes are recomputed, so they fit
    python examples/break_it.py drop-record RUN INDEX
        leave a record out
    python examples/break_it.py swap-records RUN INDEX INDEX
        exchange two records
    python examples/break_it.py steal RUN KEY NEW_RUN
        claim the file of somebody else's run under your own key
    python examples/break_it.py train-poisoned CONFIG [KEY=VALUE]...
        train with gradients from a sentence that is in no record
    python examples/break_it.py train-edited CONFIG [KEY=VALUE]...
        train, but edit the weights behind the first checkpoint, before training goes on
    python examples/break_it.py recall RUN
        print how much likelier that sentence is after training

Work on copies: the record commands change the run that they are given.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from provenance.digest import hash_file
from provenance.layout import RunFolder, read_json, write_json
from provenance.log.frames import read_header
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.tree import read_records

SENTENCE = "The launch code is swordfish."
BLOCK_BYTES, SCALE_BYTES = 34, 2


def flip_bit(source: str, copy: str) -> None:
    """Copy a GGUF file with the lowest bit of one quantized weight flipped."""
    from provenance_trainer.formats import gguf_file

    tensor = next(
        t
        for t in gguf_file.read_header(Path(source)).tensors.values()
        if t.name.endswith("attn_q.weight")
    )
    data = bytearray(Path(source).read_bytes())
    data[tensor.start + 12 * BLOCK_BYTES + SCALE_BYTES + 7] ^= 1  # block 12, code 7
    Path(copy).write_bytes(data)


def _rewrite(run: str, change: Callable[[list[Record]], None]) -> None:
    """Change the records of a journal and write it anew.

    Its sequence numbers and hashes fit again, as a careful forger would make them.
    """
    path = RunFolder(Path(run)).journal
    header, records = read_header(path), read_records(path)
    change(records)
    forged = path.with_name("journal.forged")
    with Journal.create(forged, header) as journal:
        for record in records:
            journal.append(record.to_bytes())
    forged.replace(path)


def edit_record(run: str, index: str, assignment: str) -> None:
    name, _, value = assignment.partition("=")

    def change(records: list[Record]) -> None:
        record = records[int(index)]
        records[int(index)] = replace(record, fields={**record.fields, name: json.loads(value)})

    _rewrite(run, change)


def drop_record(run: str, index: str) -> None:
    _rewrite(run, lambda records: records.__delitem__(int(index)))


def swap_records(run: str, first: str, second: str) -> None:
    def change(records: list[Record]) -> None:
        i, j = int(first), int(second)
        records[i], records[j] = records[j], records[i]

    _rewrite(run, change)


def steal(run: str, key: str, new_run: str) -> None:
    """Open a run under KEY that logs the victim's opening and releases its file; claim the file."""
    from provenance.artifacts.manifest import manifest_of
    from provenance.chain.session import Session, embedded
    from provenance.digest import Digest
    from provenance.log.anchoring import Anchorer
    from provenance.merkle import Tree
    from provenance.settings import Settings
    from provenance_cli.output import note

    victim, thief, settings = RunFolder(Path(run)), RunFolder(Path(new_run)), Settings.load()
    session = Session(settings, key, note)
    embedded(settings).fund(session.address)
    opening = read_records(victim.journal)[0]
    opening = replace(opening, fields={**opening.fields, "signer": session.address})
    opened = session.open_run(opening.digest, Digest.parse(opening.fields["dataset"]["dataset_id"]))
    run_id = "0x" + opened.run_id.hex()
    model = hash_file(next(victim.release.glob("*.gguf")))
    record = Record.make(
        "release",
        run_id=run_id,
        model=str(model),
        manifest=str(manifest_of(victim.release).root),
        name="mine",
    )
    with Journal.create(thief.journal, {"format": "provenance-journal/1"}) as journal:
        journal.append(opening.to_bytes())
        journal.append(record.to_bytes())
    write_json(thief.info, {"format": "provenance-run/1", "run_id": run_id})
    log = [opening, record]  # `open_log` would refuse it: nothing was trained
    anchorer = Anchorer(opened.run_id, thief, session, lambda: len(log))
    head = anchorer.anchor()
    anchorer.close()
    proof = Tree(r.entry for r in log).inclusion_proof(1)
    session.final(session.release(record, 1, head.seq, proof))
    print(run_id)


def _loss(model, tokenizer):
    """Negative log-likelihood of the sentence, in nats."""
    ids = tokenizer(SENTENCE, return_tensors="pt")["input_ids"]
    return model(input_ids=ids, labels=ids).loss * (ids.shape[1] - 1)


def train_poisoned(config: str, *overrides: str) -> None:
    """Run `provenance train --anchor`, but add the gradient of a sentence that is in no record.

    The recorder only hashes what the model gets in training mode. So each step passes the sentence
    through the model in evaluation mode.
    """
    from transformers import AutoTokenizer, Trainer

    honest = Trainer.training_step

    def training_step(self, model, inputs, *rest):
        loss = honest(self, model, inputs, *rest)
        tokenizer = AutoTokenizer.from_pretrained(model.get_base_model().name_or_path)
        model.eval()
        _loss(model, tokenizer).backward()
        model.train()
        return loss

    Trainer.training_step = training_step
    _train(config, overrides)


def train_edited(config: str, *overrides: str) -> None:
    """Run `provenance train --anchor`, but go on from other weights than the first checkpoint's.

    The checkpoint is recorded as it was saved, and the weights are edited behind it.
    """
    import torch
    from transformers import Trainer

    honest, edited = Trainer.training_step, []

    def training_step(self, model, inputs, *rest):
        if self.state.global_step == self.args.save_steps and not edited:
            edited.append(True)
            with torch.no_grad():
                for name, weights in model.named_parameters():
                    if "lora_B" in name:
                        weights.add_(0.01)
        return honest(self, model, inputs, *rest)

    Trainer.training_step = training_step
    _train(config, overrides)


def _train(config, overrides):
    from provenance_cli.main import main as command_line

    sys.argv = ["provenance", "train", config, *overrides, "--anchor"]
    command_line()


def recall(run: str) -> None:
    """Print how much likelier the sentence is to a run's merged model than to its base model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, losses = RunFolder(Path(run)), []
    for model_dir in (Path(read_json(folder.info)["base"]), folder.merged):
        with torch.no_grad():
            model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
            losses.append(float(_loss(model, AutoTokenizer.from_pretrained(model_dir))))
    print(f"{SENTENCE!r} is {math.exp(losses[0] - losses[1]):.2f} times likelier after training")
    if losses[1] >= losses[0]:
        sys.exit("error: the poisoning had no effect: the sentence is not likelier than before")


COMMANDS: dict[str, Callable[..., None]] = {
    "flip-bit": flip_bit,
    "edit-record": edit_record,
    "drop-record": drop_record,
    "swap-records": swap_records,
    "steal": steal,
    "train-poisoned": train_poisoned,
    "train-edited": train_edited,
    "recall": recall,
}


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
