"""A LoRA adapter for tests, without any training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from provenance_trainer.formats.gguf_model import open_model
from provenance_trainer.model import bfloat16
from provenance_trainer.model.weights import SafetensorsWriter, Weights


def make_adapter(folder: Path, base: Path) -> Path:
    """A small random adapter on q_proj and v_proj of every layer of `base`, always the same."""
    rng, weights, tensors = np.random.default_rng(1), Weights(base), dict[str, np.ndarray]()
    for layer in range(int(open_model(base).config["num_hidden_layers"])):
        for projection in ("q_proj", "v_proj"):
            module = f"model.layers.{layer}.self_attn.{projection}"
            out, width = weights.info(f"{module}.weight").shape
            for side, shape in (("A", (8, width)), ("B", (out, 8))):
                values = rng.normal(0, 1e-3, shape).astype(np.float32)
                name = f"base_model.model.{module}.lora_{side}.weight"
                tensors[name] = bfloat16.round_float32(values)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 16}')
    shapes = {name: ("BF16", bits.shape) for name, bits in tensors.items()}
    with SafetensorsWriter(folder / "adapter_model.safetensors", shapes) as writer:
        for name in sorted(tensors, key=str.encode):
            writer.write(name, tensors[name].tobytes())
    return folder
