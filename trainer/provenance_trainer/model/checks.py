"""What is wrong with a base model or an adapter's settings, before anything is spent.

Only config.json, the tokenizer's files and the headers of safetensors are read, and a tied output
head where there is one. Every fault is told, not the first one only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provenance.causes import LFS_POINTER
from provenance.digest import OwnPath, open_regular
from provenance.errors import ConfigError, InputError, ProvenanceError
from provenance_trainer.config import TrainConfig
from provenance_trainer.model.adapter import ALL_LINEAR, exact_scale, load_json
from provenance_trainer.model.architectures import (
    EMBEDDING,
    HEAD,
    MAX_CONFIG_BYTES,
    Config,
    Shape,
    is_derived,
)
from provenance_trainer.model.conversion import dtype_of
from provenance_trainer.model.tokenizer_checks import tokenizer_faults
from provenance_trainer.model.weights import INDEX_NAME, Weights

_ADAPTER = "adapter_config.json"
_CONSOLIDATED = "consolidated"  # Mistral's own form of the same weights
_MODEL_FILE = "model.safetensors"
_MAX_INDEX_BYTES = 64 << 20
_READ = (".safetensors", ".json", ".jinja")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_RESAVE = "load the model with transformers, then save_pretrained into a new folder"
_TARGETS = "lora_target_modules"
_NAMED = 3  # of several that have one fault


def base_faults(folder: Path) -> Iterator[ProvenanceError]:
    """What keeps a folder from being a base: its files, config.json, weights and tokenizer.

    Args:
        folder: As `locate_base` finds it; links are followed.
    """
    if not folder.is_dir():
        yield InputError("no such folder", where=str(folder))
        return
    try:
        yield from _folder_faults(OwnPath(folder))
    except ProvenanceError as error:
        yield error
    except OSError as error:
        yield InputError("cannot read base model", where=str(folder), actual=error.strerror)


def _folder_faults(own: OwnPath) -> Iterator[ProvenanceError]:
    read = sorted(path for path in own.iterdir() if path.suffix in _READ)
    pointers = [path for path in read if _is_pointer(path)]
    if pointers:
        yield InputError(
            "file is a Git LFS pointer, not the file itself",
            where=_listed(str(path) for path in pointers),
            hint="run git lfs pull in that folder",
        )
        return
    if (own / _ADAPTER).is_file() and not (own / "config.json").is_file():
        yield InputError(
            "folder holds an adapter, not a base model",
            where=str(own / _ADAPTER),
            expected="config.json and the weights of a whole model",
            hint="name the model that it was trained on, or merge it into that one first",
        )
        return
    shape: Shape | None = None
    try:
        config = load_json(own / "config.json", MAX_CONFIG_BYTES)
        yield from _config_faults(config, str(own / "config.json"))
        shape = Shape.of(config, str(own / "config.json"))
        yield from _loading_faults(own)
    except InputError as error:
        yield error
    yield from _weight_faults(own, shape)
    yield from tokenizer_faults(own, None if shape is None else shape.vocabulary)


def _is_pointer(path: Path) -> bool:
    if not path.is_file():
        return False
    with open_regular(path) as stream:
        return stream.read(len(LFS_POINTER)) == LFS_POINTER


def _listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + rest


def _config_faults(config: Config, where: str) -> Iterator[ProvenanceError]:
    if config.get("auto_map"):
        yield InputError(
            "model wants to run code of its own, which is never done here",
            where=f"{where} auto_map",
            hint=f"{_RESAVE}, if transformers has its architecture",
        )
    if config.get("quantization_config"):
        quantization = config["quantization_config"]
        method = (
            quantization.get("quant_method") if isinstance(quantization, dict) else quantization
        )
        yield InputError(
            "model is quantized already",
            where=f"{where} quantization_config",
            expected="BF16, F16 or F32 weights",
            actual=method,
            hint="take the model that it was quantized from",
        )


def _loading_faults(folder: Path) -> Iterator[ProvenanceError]:
    # Here and not above: verification reads model folders without it.
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(folder)
    except Exception as error:  # of any kind: whatever the file makes the library do
        yield InputError(
            "transformers does not take this configuration",
            where=str(folder / "config.json"),
            actual=" ".join(f"{type(error).__name__}: {error}".split())[:200],
        )


def _weight_faults(folder: Path, shape: Shape | None) -> Iterator[ProvenanceError]:
    try:
        weights = Weights(folder)
    except InputError as error:
        yield _pickled(folder) or error
        return
    if twice := _stored_twice(folder, weights):
        yield twice
        return
    yield from _file_faults(folder, weights)
    try:
        dtype_of(weights)
    except InputError as error:
        yield error
    if shape is not None:
        yield from _tensor_faults(weights, shape)


def _pickled(folder: Path) -> InputError | None:
    """The error of a folder whose weights are pickled only."""
    if list(folder.glob("*.safetensors")):
        return None
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
    if not pickled:
        return None
    return InputError(
        "weights are pickled, and pickled files are never read",
        where=str(folder),
        expected="*.safetensors",
        actual=_listed(pickled),
        hint=_RESAVE,
    )


def _stored_twice(folder: Path, weights: Weights) -> InputError | None:
    """The error of a folder with Mistral's own form of the weights beside that of transformers."""
    present = {file.name for file in weights.files}
    second = sorted(name for name in present if name.startswith(_CONSOLIDATED))
    if not second or len(second) == len(present):
        return None
    return InputError(
        "folder holds the weights twice, and transformers would not load these weight files",
        where=str(folder),
        actual=_listed(second),
        hint=f"remove them: rm {_listed(str(folder / name) for name in second)}",
    )


def _file_faults(folder: Path, weights: Weights) -> Iterator[ProvenanceError]:
    """Whether transformers would load the very files that are hashed."""
    present = {file.name for file in weights.files}
    if not (folder / INDEX_NAME).is_file():
        if present != {_MODEL_FILE}:
            yield InputError(
                "transformers would not load these weight files",
                where=str(folder),
                expected=f"{_MODEL_FILE}, or several files and {INDEX_NAME}",
                actual=_listed(sorted(present)),
                hint=_RESAVE,
            )
        return
    try:
        index = load_json(folder / INDEX_NAME, _MAX_INDEX_BYTES).get("weight_map")
    except InputError as error:
        yield error
        return
    actual = {name: weights.file_of(name).name for name in weights}
    if index == actual:
        return
    named = set(index.values()) if isinstance(index, dict) else set()
    if missing := sorted(str(name) for name in named - present):
        problem, hint = f"missing files: {_listed(missing)}", "download the model again"
    elif extra := sorted(present - named):
        problem, hint = f"further files: {_listed(extra)}", "remove them from the folder"
    else:
        problem, hint = "another list of tensors", _RESAVE
    yield InputError(
        "weight files are not those of their index",
        where=str(folder / INDEX_NAME),
        actual=problem,
        hint=hint,
    )


def _tensor_faults(weights: Weights, shape: Shape) -> Iterator[ProvenanceError]:
    where = str(weights.path)
    if shape.layers > len(weights):
        yield InputError(
            "model has fewer tensors than config.json has layers",
            where=where,
            expected=shape.layers,
            actual=len(weights),
        )
        return
    expected = dict(shape.tensors())
    present = {name for name in weights if not is_derived(name)}
    if missing := sorted(expected.keys() - present):
        yield InputError("model lacks tensors", where=where, actual=_listed(missing))
    allowed = {HEAD} if shape.tied else set()
    if extra := sorted(present - expected.keys() - allowed):
        yield InputError(
            "tensors do not belong to the architecture",
            where=where,
            expected=f"those of {shape.architecture.causal_lm} with this config.json",
            actual=_listed(extra),
        )
    wrong = [n for n in sorted(expected.keys() & present) if weights.info(n).shape != expected[n]]
    if wrong:
        yield InputError(
            "tensor has another shape than config.json says",
            where=f"{where} {_listed(wrong)}",
            expected=expected[wrong[0]],
            actual=weights.info(wrong[0]).shape,
        )
    if shape.tied and HEAD in present and EMBEDDING in present and not _tied(weights):
        yield InputError(
            "output head is tied but differs from the embedding",
            where=f"{where} {HEAD}",
            hint="set tie_word_embeddings to false in config.json, or remove the tensor",
        )


def _tied(weights: Weights) -> bool:
    head, embedding = weights.info(HEAD), weights.info(EMBEDDING)
    same = (head.dtype, head.shape) == (embedding.dtype, embedding.shape)
    return same and weights.raw(HEAD) == weights.raw(EMBEDDING)


def adapter_faults(
    folder: Path, config: TrainConfig, unsound: frozenset[str] = frozenset()
) -> Iterator[ProvenanceError]:
    """What keeps an adapter of these settings from being trained, merged and proven.

    Args:
        folder: The base model, as `locate_base` finds it; links are followed.
        unsound: Keys of `config` that say nothing; nothing that rests on them is told.
    """
    if unsound.isdisjoint(("lora_r", "lora_alpha")):
        try:
            exact_scale(config.lora_alpha, config.lora_r, "lora_alpha")
        except InputError as error:
            yield _as_config(error)
    if _TARGETS in unsound:
        return
    try:
        own = OwnPath(folder)
        shape = Shape.of(load_json(own / "config.json", MAX_CONFIG_BYTES), str(own / "config.json"))
    except InputError:
        return  # `base_faults` tells it; without the model's modules nothing more is known
    names = config.lora_target_modules
    for name in names if names != (ALL_LINEAR,) else ():
        if name == ALL_LINEAR or not adapted_modules((name,), shape):
            yield _unmatched(name, shape)
    if "lora_r" not in unsound:
        yield from _rank_faults(config.lora_r, adapted_modules(names, shape))


def adapted_modules(targets: Sequence[str], shape: Shape) -> dict[str, tuple[int, int]]:
    """The linear layers that PEFT adapts, by full name: `(out, in)`.

    PEFT takes a module whose full name is a target, or ends in a dot and a target.
    """
    every = {
        f"model.layers.{layer}.{name}": size
        for layer in range(shape.layers)
        for name, size in shape.linear_layers().items()
    }
    if tuple(targets) == (ALL_LINEAR,):
        return every
    endings = tuple(f".{target}" for target in targets)
    return {name: size for name, size in every.items() if f".{name}".endswith(endings)}


def _unmatched(name: str, shape: Shape) -> ConfigError:
    known = list(shape.linear_layers())
    short = [layer.rpartition(".")[2] for layer in known]
    if name == ALL_LINEAR:
        return ConfigError(f"{ALL_LINEAR} stands alone", where=_TARGETS, actual=name)
    last = name.rpartition(".")[2]
    if last in ("lm_head", "embed_tokens"):
        reason = (
            "embedding and output head are one tensor here, so no merge of one of them is exact"
            if shape.tied
            else "an adapter of it is no plain pair of factors, which alone is merged exactly"
        )
        return ConfigError(
            f"{last} cannot be adapted: {reason}",
            where=_TARGETS,
            expected=", ".join(short),
            actual=name,
        )
    parts = {part for layer in known for part in layer.split(".")[:-1]} | {"model", "layers"}
    is_module = last in parts or last.isdecimal() or last.endswith("norm")
    near = difflib.get_close_matches(last, short, n=2, cutoff=0.5)
    return ConfigError(
        "not a linear layer" if is_module else "model has no module of this name",
        where=_TARGETS,
        expected=", ".join(short),
        actual=name,
        hint=f"did you mean {' or '.join(near)}?" if near else None,
    )


def _rank_faults(rank: int, modules: Mapping[str, tuple[int, int]]) -> Iterator[ProvenanceError]:
    small = [name for name, size in modules.items() if rank > min(size)]
    if small:
        yield ConfigError(
            "rank is larger than a matrix that it adapts",
            where="lora_r",
            expected=f"<= {min(min(modules[name]) for name in small)}",
            actual=f"{rank}, {_listed(f'{name} {modules[name]}' for name in small)}",
        )


def _as_config(error: ProvenanceError) -> ConfigError:
    facts: dict[str, Any] = {"where": error.where, "actual": error.actual, "hint": error.hint}
    return ConfigError(error.what, expected=error.expected, **facts)
