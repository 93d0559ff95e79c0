"""The rules of a log, one attack for each: the record that is refused, and the rule it breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.errors import VerificationError
from provenance.log.fold import Fold, read_history
from provenance.log.record import Record
from provenance.log.records import BODIES
from provenance.log.states import TURNS
from tests.support.core.log_maker import (
    ADAPTER,
    ADAPTER_FILES,
    BASE,
    FILE,
    MERGED,
    MERGED_NAME,
    PRUNED,
    LogMaker,
    derived,
    epoch,
    opened,
    released,
    trained,
)
from tests.support.plain import ADDRESS, FILES, RECORDS, TIME, W

FOREIGN = W["f"]
ADAPTER_NAME = NamedFolder("adapter", ADAPTER, ADAPTER_FILES).name
OTHER = BASE.replace("sha256:", "sha256:0")[: len(BASE)]
OTHER_FILES = FILES | {"config.json": OTHER}


def test_an_honest_log_is_one_history() -> None:
    log = released(LogMaker())
    history = log.history()
    assert (history.size, len(history.batches), len(history.checkpoints)) == (
        len(log.records),
        8,
        2,
    )
    assert [(e.number, e.consumed, len(e.batches)) for e in history.epochs] == [
        (0, 8, 4),
        (1, 8, 4),
    ]
    assert all(e.end is not None and e.proven is not None for e in history.epochs)
    path = history.path(history.releases[0].index)
    assert path.checkpoint == history.checkpoints[-1] == history.final_checkpoint
    assert (path.merge, path.quantize) == (history.merges[0], history.quantizations[0])


def test_a_run_that_goes_on_has_a_history_too() -> None:
    log = opened(LogMaker())
    assert log.history().epochs == ()
    log.batch()
    assert (log.history().close, log.history().epochs[0].end) == (None, None)


def test_every_type_of_a_run_has_its_turn() -> None:
    assert set(TURNS) < {body.TYPE for body in BODIES}


# Attacks: what is done to a log before its last record, which is refused.

Attack = Callable[[LogMaker], Any]


def before_the_seed(log: LogMaker) -> None:
    log.open()
    log.batch()


def second_checkpoint_before_the_seed(log: LogMaker) -> None:
    log.open()
    log.checkpoint("initial")
    log.checkpoint()


def checkpoint_before_the_seed_says_it_is_trained(log: LogMaker) -> None:
    """Weights that existed before the order was drawn are to be released."""
    log.open()
    log.checkpoint(step=4, consumed=8)


def release_of_weights_from_before_the_batches(log: LogMaker) -> None:
    opened(log)
    early = log.checkpoint()
    epoch(log)
    log.close(summary={})
    log.merge(checkpoint=early)


def release_of_weights_from_between_two_epochs(log: LogMaker) -> None:
    epoch(opened(log))
    log.checkpoint()
    epoch(log)
    log.close(summary={})
    log.merge()


def merge_of_an_earlier_checkpoint(log: LogMaker) -> None:
    epoch(opened(log))
    early = log.checkpoint("checkpoint-4", weights=OTHER)
    epoch(log)
    log.checkpoint()
    log.close()
    log.merge(checkpoint=early, adapter=OTHER)


def zero_batches(log: LogMaker) -> None:
    opened(log)
    log.checkpoint()
    log.close()


def zero_positions(log: LogMaker) -> None:
    opened(log)
    log.batch(0)


def epoch_without_batches(log: LogMaker) -> None:
    epoch(opened(log))
    log.end(epoch=1, consumed=0)


def foreign_batches_abandoned(log: LogMaker) -> None:
    """The adapter is trained on foreign data; then the log starts over and feeds the dataset."""
    opened(log)
    log.batch(leaves=[FOREIGN] * 2)
    trained_on_it = log.checkpoint(weights=OTHER)
    log.resume(0)
    epoch(log)
    log.checkpoint()
    log.close()
    log.merge(checkpoint=trained_on_it, adapter=OTHER)


def foreign_checkpoint_stays_the_last_one(log: LogMaker) -> None:
    """As above, but nobody saves a checkpoint after the abandoned one."""
    opened(log)
    log.batch(leaves=[FOREIGN] * 2)
    foreign = log.checkpoint()
    log.resume(0)
    epoch(log)
    log.close(summary={})
    log.merge(checkpoint=foreign)


def foreign_checkpoint_is_not_abandoned(log: LogMaker) -> None:
    opened(log)
    batch = log.batch(leaves=[FOREIGN] * 2)
    log.checkpoint()
    log.resume(0, abandons=[batch])


def resume_from_an_abandoned_checkpoint(log: LogMaker) -> None:
    opened(log)
    log.batch()
    kept = log.checkpoint("checkpoint-1")
    log.batch()
    lost = log.checkpoint("checkpoint-2")
    log.resume(kept)
    log.resume(lost)


def resume_from_a_batch(log: LogMaker) -> None:
    opened(log)
    batch = log.batch()
    log.put("resume", {"from_": batch, "abandons": [], "step": 1}, {})


def with_two_checkpoints(log: LogMaker) -> int:
    opened(log)
    log.batch()
    first = log.checkpoint("checkpoint-1")
    log.batch()
    log.checkpoint("checkpoint-2")
    return first


def abandons(change: Callable[[list[int]], list[int]]) -> Attack:
    def attack(log: LogMaker) -> None:
        first = with_two_checkpoints(log)
        log.resume(first, abandons=change(list(range(first + 1, len(log.records)))))

    return attack


def after_training(*steps: Callable[[LogMaker], Any]) -> Attack:
    def attack(log: LogMaker) -> None:
        trained(log)
        for step in steps:
            step(log)

    return attack


def in_training(*steps: Callable[[LogMaker], Any]) -> Attack:
    def attack(log: LogMaker) -> None:
        opened(log)
        for step in steps:
            step(log)

    return attack


def first(log: LogMaker, type_: str) -> None:
    """A record of the first version, as if an earlier release had written it."""
    getattr(log, type_)()
    made = log.records.pop()
    fields = {k: v for k, v in made.fields.items() if not k.endswith("files")}
    if type_ == "merge":
        fields |= {"adapter_manifest": ADAPTER, "merged_manifest": MERGED}
    log.records.append(Record(type_, TIME, fields, 1))


def digests(count: int) -> list[str]:
    return [str(sha256(bytes([i]))) for i in range(count)]


def ended(*steps: Callable[[LogMaker], Any]) -> Attack:
    return in_training(epoch, *steps)


ATTACKS: dict[str, tuple[Attack, str]] = {
    "batch before the seed": (before_the_seed, "batches are fed after the seed"),
    "second checkpoint before the seed": (
        second_checkpoint_before_the_seed,
        "only one checkpoint, the initial adapter",
    ),
    "trained checkpoint before the seed": (
        checkpoint_before_the_seed_says_it_is_trained,
        "another step than was trained",
    ),
    "weights from before the batches": (
        release_of_weights_from_before_the_batches,
        "does not cover the last batch",
    ),
    "weights from between two epochs": (
        release_of_weights_from_between_two_epochs,
        "does not cover the last batch",
    ),
    "an earlier checkpoint is merged": (
        merge_of_an_earlier_checkpoint,
        "another checkpoint than the last live one",
    ),
    "zero batches": (zero_batches, "closed once, after a batch was fed"),
    "zero positions": (zero_positions, "batch feeds nothing"),
    "epoch without batches": (epoch_without_batches, "ends once, after its batches"),
    "foreign batches abandoned": (
        foreign_batches_abandoned,
        "another checkpoint than the last live one",
    ),
    "foreign checkpoint abandoned and merged": (
        foreign_checkpoint_stays_the_last_one,
        "no checkpoint to merge",
    ),
    "foreign checkpoint kept": (foreign_checkpoint_is_not_abandoned, "abandons exactly"),
    "resume from an abandoned checkpoint": (
        resume_from_an_abandoned_checkpoint,
        "at a live checkpoint",
    ),
    "resume from a batch": (resume_from_a_batch, "at a live checkpoint"),
    "abandons too little": (abandons(lambda later: later[1:]), "abandons exactly"),
    "abandons too much": (abandons(lambda later: [3, *later]), "abandons exactly"),
    "abandons the future": (abandons(lambda later: [*later, 99]), "abandons exactly"),
    "abandons twice": (abandons(lambda later: [*later, later[-1]]), "abandons exactly"),
    "abandons out of order": (abandons(lambda later: later[::-1]), "abandons exactly"),
    "resume at another step": (
        in_training(LogMaker.batch, lambda log: log.resume(0, step=1)),
        "resume names another step",
    ),
    "resume before the seed": (
        lambda log: (log.open(), log.resume(0)),
        "training resumes after the seed",
    ),
    "resume after the close": (
        after_training(lambda log: log.resume(0)),
        "training resumes after the seed and before run.close",
    ),
    "batch after the close": (after_training(LogMaker.batch), "fed after the seed and before"),
    "checkpoint after the close": (
        after_training(LogMaker.checkpoint),
        "checkpoints stand between the opening and run.close",
    ),
    "end of an epoch after the close": (
        lambda log: (opened(log), log.batch(), log.checkpoint(), log.close(), log.end()),
        "an epoch ends before run.close",
    ),
    "two closes": (after_training(LogMaker.close), "a run is closed once"),
    "two seeds": (in_training(LogMaker.seed), "the seed is logged once"),
    "seed after the batches": (in_training(LogMaker.batch, LogMaker.seed), "logged once"),
    "two openings": (in_training(LogMaker.open), "a run is opened once"),
    "no opening": (lambda log: log.seed(), "the seed is logged once, after the opening"),
    "local seed of a registered run": (
        lambda log: (log.open(), log.seed(source="local")),
        "seed is from elsewhere",
    ),
    "seed without its block": (
        lambda log: (log.open(), log.seed(draw_block=None)),
        "names its run and block",
    ),
    "opening without a count": (lambda log: log.open(dataset={}), "how many records"),
    "epoch skipped": (ended(lambda log: log.batch(epoch=2)), "epochs are fed in turn"),
    "epoch fed again": (ended(lambda log: log.batch(epoch=0)), "epochs are fed in turn"),
    "epoch begun before the end of the last": (
        in_training(LogMaker.batch, lambda log: log.batch(epoch=1, positions=[0, 1])),
        "epochs are fed in turn",
    ),
    "first epoch is another": (in_training(lambda log: log.batch(epoch=1)), "fed in turn"),
    "position skipped": (
        in_training(lambda log: log.batch(positions=[0, 2])),
        "positions are fed in turn",
    ),
    "position twice": (
        in_training(LogMaker.batch, lambda log: log.batch(positions=[1, 2])),
        "positions are fed in turn",
    ),
    "position beyond the epoch": (in_training(lambda log: log.batch(9)), "more positions"),
    "fewer leaves": (in_training(lambda log: log.batch(leaves=[W["a"]])), "number of leaves"),
    "unmatched samples": (in_training(lambda log: log.batch(unmatched=1)), "pre-registered order"),
    "another process": (in_training(lambda log: log.batch(rank=1)), "first training process"),
    "step skipped": (in_training(lambda log: log.batch(step=2)), "come in turn"),
    "step zero": (in_training(lambda log: log.batch(step=0)), "come in turn"),
    "micro batch skipped": (
        in_training(LogMaker.batch, lambda log: log.batch(micro=2)),
        "come in turn",
    ),
    "step begun in the middle": (in_training(lambda log: log.batch(micro=1)), "come in turn"),
    "checkpoint of another batch": (
        in_training(LogMaker.batch, LogMaker.batch, lambda log: log.checkpoint(last_batch=2)),
        "another last batch",
    ),
    "checkpoint without its batch": (
        in_training(LogMaker.batch, lambda log: log.checkpoint(last_batch=None)),
        "another last batch",
    ),
    "checkpoint after another one": (
        lambda log: (with_two_checkpoints(log), log.checkpoint(previous=3)),
        "another one before it",
    ),
    "checkpoint consumed more": (
        in_training(LogMaker.batch, lambda log: log.checkpoint(consumed=8)),
        "another number of positions",
    ),
    "checkpoint at another step": (
        in_training(LogMaker.batch, lambda log: log.checkpoint(step=9)),
        "another step than was trained",
    ),
    "checkpoint of another epoch": (
        in_training(LogMaker.batch, lambda log: log.checkpoint(epoch=1)),
        "another epoch than was fed",
    ),
    "end of another epoch": (
        in_training(LogMaker.batch, lambda log: log.end(epoch=1)),
        "end of another epoch",
    ),
    "epoch ends twice": (ended(LogMaker.end), "an epoch ends once"),
    "end consumed less": (
        in_training(LogMaker.batch, lambda log: log.end(consumed=1)),
        "another number of positions",
    ),
    "end with another remainder": (
        in_training(LogMaker.batch, lambda log: log.end(remainder=[])),
        "remainder has the wrong length",
    ),
    "end names an anchoring": (
        in_training(LogMaker.batch, lambda log: log.end(ledger=ADDRESS)),
        "end names no anchoring",
    ),
    "proof before the end": (in_training(LogMaker.batch, LogMaker.prove), "before its end"),
    "proof of an epoch that was not fed": (ended(lambda log: log.prove(1)), "before its end"),
    "proof of an abandoned epoch": (
        ended(lambda log: log.resume(0), LogMaker.batch, lambda log: log.prove(0)),
        "before its end",
    ),
    "proof with another remainder": (
        in_training(LogMaker.batch, LogMaker.end, lambda log: log.prove(remainder=[FOREIGN] * 6)),
        "another remainder",
    ),
    "proof consumed more": (
        in_training(LogMaker.batch, LogMaker.end, lambda log: log.prove(consumed=8, remainder=[])),
        "another number of positions",
    ),
    "proof of a log that is longer than this": (
        ended(lambda log: log.prove(log_size=9)),
        "anchored log covers",
    ),
    "proof of a log without the last batch": (
        ended(lambda log: log.prove(log_size=5)),
        "anchored log covers",
    ),
    "proof without its points": (ended(lambda log: log.prove(u_hash=None)), "what was anchored"),
    "evaluation at another step": (in_training(lambda log: log.evaluate(step=5)), "another step"),
    "close at another step": (
        ended(LogMaker.checkpoint, lambda log: log.close(step=9)),
        "another step than was trained",
    ),
    "close sums up another adapter": (
        ended(LogMaker.checkpoint, lambda log: log.close(summary={"adapter": OTHER})),
        "sums up something else",
    ),
    "close sums up more": (
        ended(LogMaker.checkpoint, lambda log: log.close(summary={"consumed": 9})),
        "sums up something else",
    ),
    "close without the checkpoint it names": (ended(LogMaker.close), "sums up something else"),
    "merge before the close": (ended(LogMaker.checkpoint, LogMaker.merge), "after run.close"),
    "merge names no checkpoint": (
        after_training(lambda log: log.merge(checkpoint=None)),
        "another checkpoint than the last live one",
    ),
    "merge of another adapter": (
        after_training(lambda log: log.merge(adapter=OTHER)),
        "another adapter",
    ),
    "merge into another base's folder": (
        after_training(lambda log: log.merge(base_files=OTHER_FILES, merged_files=OTHER_FILES)),
        "another base than the one the run was opened for",
    ),
    "scale of the shipped adapter changed": (
        after_training(lambda log: log.merge(adapter_files={"adapter_config.json": OTHER})),
        "another adapter than the last checkpoint's",
    ),
    "template exchanged in the merged model": (
        after_training(lambda log: log.merge(merged_files=OTHER_FILES)),
        "another file than its base",
    ),
    "code added to the merged model": (
        after_training(lambda log: log.merge(merged_files=FILES | {"modeling.py": OTHER})),
        "another file than its base",
    ),
    "configuration left out of the merged model": (
        after_training(lambda log: log.merge(merged_files={})),
        "another file than its base",
    ),
    "merge scales by another number": (
        after_training(lambda log: log.merge(scale="256")),
        "another number than lora_alpha",
    ),
    "merge scales by no number": (
        after_training(lambda log: log.merge(scale="1e999999999")),
        "another number than lora_alpha",
    ),
    "opening does not bind its base's files": (
        lambda log: log.open(base={"content": BASE}),
        "which files lie beside",
    ),
    "opening binds no weights": (
        lambda log: log.open(base={"files": FILES}),
        "which weights a folder has",
    ),
    "opening binds a file outside the folder": (
        lambda log: log.open(base={"content": BASE, "files": {"../x": OTHER}}),
        "which files lie beside",
    ),
    "checkpoint binds no digest": (
        ended(lambda log: log.checkpoint(files={"adapter_config.json": "abc"})),
        "which files lie beside",
    ),
    "checkpoint binds no files": (ended(lambda log: first(log, "checkpoint")), "does not bind"),
    "merge binds no files": (after_training(lambda log: first(log, "merge")), "does not bind"),
    "quantization of weights alone": (
        after_training(LogMaker.merge, lambda log: first(log, "quantize")),
        "does not bind",
    ),
    "quantization of the weights' content": (
        after_training(LogMaker.merge, lambda log: log.quantize(source=MERGED)),
        "no merge before made",
    ),
    "step before the close": (
        ended(LogMaker.checkpoint, LogMaker.step),
        "taken after run.close",
    ),
    "step on what this run never had": (
        after_training(LogMaker.merge, lambda log: log.step(inputs=[OTHER])),
        "nothing that this run made",
    ),
    "step before its input": (after_training(LogMaker.step), "nothing that this run made"),
    "step without an input": (
        after_training(LogMaker.merge, lambda log: log.step(inputs=[])),
        "nothing that this run made",
    ),
    "step that makes its own input": (
        after_training(LogMaker.merge, lambda log: log.step(outputs=[MERGED_NAME])),
        "once",
    ),
    "step that makes a released file": (
        after_training(derived, lambda log: log.step(outputs=[FILE])),
        "exists already",
    ),
    "step that makes the adapter": (
        after_training(LogMaker.merge, lambda log: log.step(outputs=[ADAPTER_NAME])),
        "exists already",
    ),
    "step that makes what a step made": (
        after_training(LogMaker.merge, LogMaker.step, LogMaker.step),
        "exists already",
    ),
    "step with more links than anyone can follow": (
        after_training(LogMaker.merge, lambda log: log.step(outputs=digests(64))),
        "once",
    ),
    "step that plays a merge": (
        after_training(LogMaker.merge, lambda log: log.step(kind="merge")),
        "no kind of its own",
    ),
    "step of a kind with an escape sequence": (
        after_training(LogMaker.merge, lambda log: log.step(kind="prune\x1b[2J")),
        "no kind of its own",
    ),
    "step by no tool": (
        after_training(LogMaker.merge, lambda log: log.step(tool={"name": "pruner"})),
        "by which tool",
    ),
    "step by a tool without a digest": (
        after_training(
            LogMaker.merge,
            lambda log: log.step(tool={"name": "p", "version": "1", "digest": "latest"}),
        ),
        "not a digest",
    ),
    "release of what a step made": (
        after_training(derived, LogMaker.step, lambda log: log.release(model=PRUNED)),
        "no quantization before made",
    ),
    "merge into another base": (after_training(lambda log: log.merge(base=OTHER)), "another base"),
    "quantization before a merge": (after_training(LogMaker.quantize), "after a merge"),
    "quantization of another merge": (
        after_training(LogMaker.merge, lambda log: log.quantize(source=OTHER)),
        "no merge before made",
    ),
    "sample before its stage": (
        after_training(LogMaker.merge, lambda log: log.sample("quantize")),
        "not logged before it",
    ),
    "sample of an unknown stage": (
        after_training(LogMaker.merge, lambda log: log.sample("release")),
        "not logged before it",
    ),
    "release of a file that nobody quantized": (
        after_training(derived, lambda log: log.release(model=OTHER)),
        "no quantization before made",
    ),
    "release of a merge": (
        after_training(LogMaker.merge, lambda log: log.release(model=MERGED)),
        "no quantization before made",
    ),
    "release for another run": (
        after_training(derived, lambda log: log.release(run_id=W["c"])),
        "another run than the seed",
    ),
}


@pytest.mark.parametrize(("attack", "rule"), ATTACKS.values(), ids=ATTACKS.keys())
def test_a_log_that_breaks_a_rule_is_refused_by_record_and_rule(attack: Attack, rule: str) -> None:
    log = LogMaker()
    attack(log)
    read = Fold()
    for record in log.records[:-1]:
        read.add(record)
    with pytest.raises(VerificationError, match=rule) as refused:
        read.add(log.records[-1])
    if "merge" not in rule and "cover the last" not in rule:
        assert f"record {len(log.records) - 1}" in str(refused.value)


@pytest.mark.parametrize("type_", sorted({body.TYPE for body in BODIES} - set(TURNS)))
def test_reserved_records_stand_in_no_run(type_: str) -> None:
    log = opened(LogMaker())
    log.put(type_, RECORDS[type_], {})
    with pytest.raises(VerificationError, match=f"holds no record of type {type_}"):
        log.history()


def test_a_refused_record_leaves_the_fold_as_it_was() -> None:
    """Each type once more, with a fault, between the records of an honest log."""
    honest, fold = released(LogMaker()).records, Fold()
    for record in honest:
        for wrong in (honest[0], Record("batch", TIME, honest[3].fields | {"positions": [7]})):
            if wrong is not record:
                with pytest.raises(VerificationError):
                    fold.add(wrong)
        fold.add(record)
    assert fold.history() == read_history(honest)


def test_an_empty_log_has_no_history() -> None:
    with pytest.raises(VerificationError, match="log is empty"):
        read_history([])


# What the rules allow.


def test_checkpoint_0_holds_the_initial_adapter() -> None:
    for before in (True, False):
        log = LogMaker()
        log.open()
        if before:
            log.checkpoint("initial")
        log.seed()
        if not before:
            log.checkpoint("initial")
        epoch(log)
        log.checkpoint()
        log.close()
        derived(log)
        assert len(log.history().checkpoints) == 2


def test_training_goes_on_from_a_live_checkpoint_and_from_the_opening() -> None:
    log = LogMaker()
    first = with_two_checkpoints(log)
    log.resume(first)
    log.batch()
    log.resume(0)
    epoch(log)
    log.checkpoint()
    log.close()
    history = derived(log).history()
    assert (len(history.batches), len(history.resumes), history.epochs[0].consumed) == (4, 2, 8)


def test_what_a_resume_abandons_is_what_the_history_says() -> None:
    """Batches, checkpoints, ends of epochs and their proofs."""
    log = LogMaker()
    first = with_two_checkpoints(log)
    log.batch()
    log.batch()
    log.end()
    log.prove(0)
    log.batch()
    expected = log.history().after(first)
    assert expected == tuple(range(first + 1, len(log.records)))
    log.resume(first, abandons=list(expected))
    assert log.history().after(first) == ()


def test_the_proof_of_an_epoch_stays_with_its_end() -> None:
    """Proven after the checkpoint from which training goes on, but ended before it."""
    log = epoch(opened(LogMaker()))
    log.batch()
    point = log.checkpoint("checkpoint-5")
    proof = log.prove(0)
    lost = log.batch()
    assert log.history().after(point) == (lost,)
    log.resume(point, abandons=[lost])
    proven = log.history().epochs[0].proven
    assert proven is not None
    assert proven.index == proof


def test_micro_batches_of_a_step_come_in_turn() -> None:
    log = opened(LogMaker())
    log.batch()
    log.batch(micro=1)
    log.batch()
    log.checkpoint()
    assert [b.fields["step"] for b in log.history().batches] == [1, 1, 2]


def test_a_sample_is_about_the_last_record_of_its_stage() -> None:
    log = derived(trained(LogMaker()))
    log.sample("merge")
    last = log.sample("merge", number=1)
    derived(log)
    of_file = log.sample("quantize")
    history = log.history()
    assert [history.sample_of(merge) for merge in history.merges] == [history.samples[1], None]
    assert [history.sample_of(file) for file in history.quantizations] == [
        None,
        history.samples[2],
    ]
    assert [history.samples[i].index for i in (1, 2)] == [last, of_file]


def test_an_epoch_may_be_proven_again_and_the_last_proof_counts() -> None:
    log = trained(LogMaker())
    log.prove(0)
    last = log.prove(0, number=1)
    proven = log.history().epochs[0].proven
    assert proven is not None
    assert proven.index == last


def test_an_unregistered_run_has_a_local_seed() -> None:
    log = LogMaker()
    log.open(registered=False)
    log.seed(source="local", draw_block=None, run_id=None)
    log.batch()
    assert log.history().seed is not None


# `resume` of version 1, as earlier releases wrote it: only batches are listed.


def first_version(log: LogMaker, begin: int, abandons: list[int], step: int) -> None:
    fields = {"from": begin, "abandons": abandons, "step": step}
    log.records.append(Record("resume", TIME, fields, 1))


def test_a_resume_of_version_1_lists_batches_and_abandons_checkpoints_too() -> None:
    log = LogMaker()
    first = with_two_checkpoints(log)
    first_version(log, first, [first + 1], 1)
    assert [c.index for c in log.history().checkpoints] == [first]


def test_a_resume_of_version_1_keeps_the_end_of_the_epoch_at_its_checkpoint() -> None:
    log = opened(LogMaker(4))
    log.batch()
    log.batch()
    point = log.checkpoint("checkpoint-2")
    log.end()
    lost = log.batch()
    first_version(log, point, [lost], 2)
    end = log.history().epochs[0].end
    assert end is not None
    assert end.index == point + 1
    fields = dict(log.records[lost].fields)
    log.records.append(Record("batch", TIME, fields))
    assert [e.number for e in log.history().epochs] == [0, 1]


@pytest.mark.parametrize("abandons", [[], [3, 5], [5, 6]])
def test_a_resume_of_version_1_abandons_exactly_the_batches(abandons: list[int]) -> None:
    log = LogMaker()
    first = with_two_checkpoints(log)
    first_version(log, first, abandons, 1)
    with pytest.raises(VerificationError, match="abandons exactly"):
        log.history()


def test_values_in_a_message_are_cut() -> None:
    log = opened(LogMaker())
    log.batch()
    log.resume(0, abandons=list(range(100_000)))
    with pytest.raises(VerificationError) as refused:
        log.history()
    assert len(str(refused.value)) < 1000


def test_the_file_of_a_release_is_found() -> None:
    history = released(LogMaker()).history()
    assert history.release_of(FILE) == history.releases[0]
    assert history.release_of(ADAPTER) is None
    with pytest.raises(VerificationError, match="not a release"):
        history.path(0)


def test_steps_follow_from_what_the_run_has() -> None:
    """An evaluation of the base, a conversion of the adapter, two steps on the merged model."""
    log = trained(LogMaker())
    base = NamedFolder("base", BASE, FILES).name
    log.step(kind="evaluate", inputs=[base, OTHER], outputs=[])
    log.step(kind="convert", inputs=[ADAPTER_NAME], outputs=digests(1))
    derived(log)
    log.step()
    log.step(kind="measure", inputs=[PRUNED, FILE], outputs=digests(3)[1:])
    log.release()
    assert [step.fields["kind"] for step in log.history().steps] == [
        "evaluate",
        "convert",
        "prune",
        "measure",
    ]


# Logs of earlier releases, which bind no files beside the weights.


def second_version(log: LogMaker) -> LogMaker:
    """Opened by an earlier release."""
    log.open(base={"content": BASE}, config={})
    opening = log.records.pop()
    log.records.append(Record("run.open", TIME, opening.fields, 2))
    log.seed()
    return log


def test_a_log_of_an_earlier_release_is_read_and_binds_weights_alone() -> None:
    log = epoch(second_version(LogMaker()))
    first(log, "checkpoint")
    log.close()
    first(log, "merge")
    log.quantize(source=MERGED)
    made = log.records.pop()
    log.records.append(Record("quantize", TIME, made.fields, 1))
    log.release()
    history = log.history()
    assert history.path(history.releases[0].index).merge == history.merges[0]


def test_a_run_of_an_earlier_release_goes_on_with_this_one() -> None:
    """What its later records bind is compared with each other; the opening binds nothing."""
    log = epoch(second_version(LogMaker()))
    log.checkpoint()
    log.close()
    derived(log)
    assert log.history().merge_of(log.history().quantizations[0]) == log.history().merges[0]
    log = epoch(second_version(LogMaker()))
    log.checkpoint()
    log.close()
    log.merge(adapter_files={})
    with pytest.raises(VerificationError, match="another file"):
        log.history()


@pytest.mark.parametrize("field", ["adapter_manifest", "adapter", "base"])
def test_a_merge_of_the_first_version_is_compared_as_before(field: str) -> None:
    log = epoch(second_version(LogMaker()))
    first(log, "checkpoint")
    log.close()
    first(log, "merge")
    made = log.records.pop()
    log.records.append(Record("merge", TIME, {**made.fields, field: OTHER}, 1))
    with pytest.raises(VerificationError, match="merge used another"):
        log.history()
