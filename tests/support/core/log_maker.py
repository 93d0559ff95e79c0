"""Makes honest logs record by record, and dishonest ones: a test replaces the field it falsifies.

It keeps its own account of what a recorder would log, and shares no code with the fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenance.artifacts.identity import NamedFolder
from provenance.digest import sha256
from provenance.log.fold import read_history
from provenance.log.history import History
from provenance.log.record import Record
from tests.support.plain import ADDRESS, CONFIG, FED, FILES, TIME, W

COUNT = 8
BASE, ADAPTER, MERGED, FILE = (str(sha256(x)) for x in (b"base", b"adapter", b"merged", b"file"))
ADAPTER_FILES = {"adapter_config.json": FILE}
PRUNED = str(sha256(b"pruned"))
MERGED_NAME = NamedFolder("merged", MERGED, FILES).name


@dataclass
class Counters:
    """What a recorder knows."""

    epoch: int = 0
    consumed: int = 0
    ended: bool = False
    step: int = 0
    last_batch: int | None = None
    last_checkpoint: int | None = None


class LogMaker:
    """A log that grows by one record at each call; keyword arguments replace fields.

    records: the log so far.
    """

    def __init__(self, count: int = COUNT) -> None:
        self.count = count
        self.records: list[Record] = []
        self._now = Counters()
        self._then = {0: Counters()}  # by index of a checkpoint

    def history(self) -> History:
        return read_history(self.records)

    def put(self, type_: str, values: dict[str, Any], fields: dict[str, Any]) -> int:
        """Append a record; returns its index. A field that is None is left out."""
        self.records.append(Record.make(type_, TIME, **(values | fields)))
        return len(self.records) - 1

    def open(self, **fields: Any) -> int:
        values = {
            "dataset": {"root": W["a"], "depth": 5, "count": self.count},
            "fed": FED,
            "base": {"content": BASE, "files": FILES},
            "config": CONFIG,
            "config_digest": BASE,
            "code": {},
            "environment": {},
            "signer": ADDRESS,
            "evaluation": {},
            "registered": True,
        }
        return self.put("run.open", values, fields)

    def seed(self, **fields: Any) -> int:
        values = {"seed": W["a"], "source": "chain", "draw_block": 12, "run_id": W["b"]}
        return self.put("seed", values, fields)

    def evaluate(self, **fields: Any) -> int:
        values = {"step": self._now.step, "metrics": {}, "subject": "model"}
        return self.put("eval", values, fields)

    def batch(self, size: int = 2, *, micro: int = 0, **fields: Any) -> int:
        now = self._now
        if now.ended:
            now.epoch, now.consumed, now.ended = now.epoch + 1, 0, False
        now.step += micro == 0
        values = {
            "epoch": now.epoch,
            "step": now.step,
            "micro": micro,
            "rank": 0,
            "positions": list(range(now.consumed, now.consumed + size)),
            "leaves": [W["a"]] * size,
            "tensors": BASE,
        }
        now.consumed += size
        now.last_batch = self.put("batch", values, fields)
        return now.last_batch

    def checkpoint(self, path: str = "adapter", **fields: Any) -> int:
        now = self._now
        values = {
            "step": now.step,
            "path": path,
            "manifest": ADAPTER,
            "weights": ADAPTER,
            "files": ADAPTER_FILES,
            "epoch": now.epoch,
            "consumed": now.consumed,
            "last_batch": now.last_batch,
            "previous": now.last_checkpoint,
        }
        now.last_checkpoint = self.put("checkpoint", values, fields)
        self._then[now.last_checkpoint] = Counters(**vars(now))
        return now.last_checkpoint

    def end(self, **fields: Any) -> int:
        self._now.ended = True
        return self.put("epoch", self._end(self._now.epoch, self._now.consumed), fields)

    def _end(self, epoch: int, consumed: int) -> dict[str, Any]:
        rest = [W["b"]] * (self.count - consumed)
        return {"epoch": epoch, "consumed": consumed, "remainder": rest}

    def resume(self, begin: int, **fields: Any) -> int:
        """Resume from a checkpoint; by default everything after it is abandoned."""
        gone = {i for r in self.records if r.type == "resume" for i in r.fields["abandons"]}
        live = [i for i in range(begin + 1, len(self.records)) if i not in gone]
        later = [i for i in live if self._is_trained(i, begin)]
        self._now = Counters(**vars(self._then[begin]))
        values = {"from_": begin, "abandons": later, "step": self._now.step}
        return self.put("resume", values, fields)

    def _is_trained(self, index: int, begin: int) -> bool:
        """Whether a record is of training after `begin`. The proof of an epoch is if its end is."""
        record = self.records[index]
        if "number" not in record.fields or record.type != "epoch":
            return record.type in ("batch", "checkpoint", "epoch")
        ends = (
            i
            for i, r in enumerate(self.records[:index])
            if r.type == "epoch" and "number" not in r.fields
            if r.fields["epoch"] == record.fields["epoch"]
        )
        return max(ends) > begin

    def prove(self, epoch: int = 0, **fields: Any) -> int:
        """The record that names an anchoring of an epoch that ended."""
        ends = [r.fields for r in self.records if r.type == "epoch" and r.fields["epoch"] == epoch]
        values = {
            **self._end(epoch, ends[-1]["consumed"] if ends else 0),
            "number": 0,
            "ledger": ADDRESS,
            "u_hash": W["c"],
            "p_hash": W["d"],
            "dataset_id": W["e"],
            "vk_id": W["f"],
            "log_size": len(self.records),
        }
        return self.put("epoch", values, fields)

    def close(self, **fields: Any) -> int:
        now = self._now
        summary = {
            "steps": now.step,
            "consumed": now.consumed,
            "remainder": self.count - now.consumed,
            "adapter": ADAPTER,
            "adapter_dir": "adapter",
        }
        values = {"status": "completed", "step": now.step, "summary": summary}
        return self.put("run.close", values, fields)

    def merge(self, **fields: Any) -> int:
        values = {
            "base": BASE,
            "base_files": FILES,
            "adapter": ADAPTER,
            "adapter_files": ADAPTER_FILES,
            "merged": MERGED,
            "merged_files": FILES,
            "checkpoint": self._now.last_checkpoint,
            "scale": "2",
            "adapted": [],
        }
        return self.put("merge", values, fields)

    def quantize(self, **fields: Any) -> int:
        values = {
            "source": MERGED_NAME,
            "format": "gguf",
            "quantization": "Q8_0",
            "file": FILE,
            "size": 5,
            "tensors": {},
        }
        return self.put("quantize", values, fields)

    def step(self, **fields: Any) -> int:
        values = {
            "kind": "prune",
            "inputs": [MERGED_NAME],
            "outputs": [PRUNED],
            "tool": {"name": "pruner", "version": "1", "digest": FILE},
            "parameters": {},
            "metrics": {},
        }
        return self.put("step", values, fields)

    def sample(self, stage: str = "merge", **fields: Any) -> int:
        values = {"stage": stage, "number": 0, "ledger": ADDRESS, "anchoring": W["a"]}
        return self.put("sample", values, fields)

    def release(self, **fields: Any) -> int:
        values = {"run_id": W["b"], "model": FILE, "manifest": FILE, "name": "model"}
        return self.put("release", values, fields)


def opened(log: LogMaker) -> LogMaker:
    """Opening and seed."""
    log.open()
    log.seed()
    return log


def epoch(log: LogMaker) -> LogMaker:
    """All positions of an epoch in batches of two, and its end."""
    for _ in range(log.count // 2):
        log.batch()
    log.end()
    return log


def trained(log: LogMaker) -> LogMaker:
    """Opening, seed, one epoch, the adapter's checkpoint, and the close of training."""
    epoch(opened(log))
    log.checkpoint()
    log.close()
    return log


def derived(log: LogMaker) -> LogMaker:
    """A merge and its quantization."""
    log.merge()
    log.quantize()
    return log


def released(log: LogMaker) -> LogMaker:
    """A whole log, each type of record in it but `resume`."""
    opened(log)
    log.evaluate()
    epoch(log)
    log.checkpoint("checkpoint-4")
    epoch(log)
    log.checkpoint()
    log.close()
    log.prove(0)
    log.prove(1)
    derived(log)
    log.sample("merge")
    log.sample("quantize")
    log.release()
    return log
