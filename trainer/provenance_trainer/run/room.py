"""The least room on disk that a run takes, from the sizes of its adapter and its base model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provenance_trainer.config import TrainConfig
from provenance_trainer.model.adapter import load_json
from provenance_trainer.model.architectures import MAX_CONFIG_BYTES, Shape
from provenance_trainer.model.checks import adapted_modules
from provenance_trainer.run.plan import ends_of, plan

# Adapters are trained in float32, with two moments of AdamW beside each weight, and shipped in
# bfloat16.
_CHECKPOINT, _SHIPPED = 4 + 8, 2


@dataclass(frozen=True)
class Room:
    """Bytes, without logs and small files.

    training: Checkpoints that lie there at once, and the shipped adapter.
    merged: What `merge` writes afterwards.
    """

    training: int
    merged: int


def room_of(config: TrainConfig, base: Path, records: int) -> Room:
    """What a run on so many records takes at least.

    Args:
        base: Folder of the base model, without faults.
    """
    shape = Shape.of(load_json(base / "config.json", MAX_CONFIG_BYTES), str(base / "config.json"))
    modules = adapted_modules(config.lora_target_modules, shape).values()
    weights = sum(config.lora_r * (rows + columns) for rows, columns in modules)
    ends = ends_of(config, plan(config, records).steps)
    kept = ends.counted
    if config.save_total_limit is not None:
        # The oldest goes after the newest was written.
        kept = min(kept, config.save_total_limit + 1)
    kept += ends.kept
    merged = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    return Room(weights * (_CHECKPOINT * kept + _SHIPPED), merged)
