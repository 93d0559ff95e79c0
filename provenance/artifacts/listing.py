"""Which files of a model or adapter folder matter to what a loader makes of it.

The world is closed: every file counts unless its name stands here. A name that nobody thought of is
bound, never ignored.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from provenance.artifacts.manifest import check_distinct, safe_path
from provenance.digest import OwnPath
from provenance.errors import InputError

MAX_ENTRIES = 4096  # files and folders that a listing looks at
MAX_FILES = 512  # files that an identity binds one by one
MAX_DEPTH = 8  # folders within folders

WEIGHTS_SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"

# Weights in formats whose tensors no content digest covers. Some loaders prefer them.
FOREIGN_SUFFIXES = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".gguf",
    ".h5",
    ".msgpack",
    ".onnx",
    ".ot",
)
# What training needs to go on. No loader of a model or an adapter opens it.
_TRAINING_STATE = re.compile(
    r"optimizer\.(pt|bin)|scheduler\.pt|scaler\.pt|rng_state(_[0-9]+)?\.pth"
    r"|trainer_state\.json|training_args\.bin"
    r"|global_step[0-9]+/[A-Za-z0-9_]+_(optim|model)_states\.pt",
)
# What people read. A licence travels with the weights, but changes nothing that they do.
_FOR_PEOPLE = re.compile(
    r"[^/]*\.md|(README|LICENSE|LICENCE|NOTICE|COPYING|USE_POLICY)(\.txt)?", re.IGNORECASE
)


@dataclass
class Listing:
    """The files of a folder by what they are for; paths are relative, with `/`.

    bound: what a loader reads beside the weights, or might read.
    weights: safetensors files at the top of the folder, whose tensors have a content digest.
    indices: which tensor lies in which of them.
    foreign: weights of other formats.
    for_people: texts and licences.
    linked: whether a link was followed.
    """

    bound: dict[str, Path] = field(default_factory=dict)
    weights: dict[str, Path] = field(default_factory=dict)
    indices: dict[str, Path] = field(default_factory=dict)
    foreign: dict[str, Path] = field(default_factory=dict)
    for_people: dict[str, Path] = field(default_factory=dict)
    linked: bool = False


def list_folder(folder: Path) -> Listing:
    """List a folder (attacker-controlled). Hidden names and training state are left out.

    Links are followed where the path is an `OwnPath`.

    Raises:
        InputError: not a folder, a link, a pipe or device, an unsafe name, two names that are equal
            after NFC, or more than `MAX_ENTRIES` entries, `MAX_FILES` files to bind or `MAX_DEPTH`
            folders.
    """
    follows = isinstance(folder, OwnPath)
    if not folder.is_dir() or (folder.is_symlink() and not follows):
        raise InputError("not a folder", where=str(folder), expected="a folder of weights")
    listing, names = Listing(), list[str]()
    for name, path, linked in _walk(folder, follows):
        listing.linked |= linked
        names.append(name)
        part = _part(listing, name)
        if part is not None:
            part[name] = path
    check_distinct(names)
    if len(listing.bound) > MAX_FILES:
        raise InputError(
            "folder holds too many files beside its weights",
            where=str(folder),
            expected=f"<= {MAX_FILES}",
            actual=len(listing.bound),
            hint="remove what does not belong to the model",
        )
    return listing


def _part(listing: Listing, name: str) -> dict[str, Path] | None:
    """Where a file belongs; None for training state."""
    at_top, lower = "/" not in name, name.lower()
    if at_top and name.endswith(WEIGHTS_SUFFIX):
        return listing.weights
    if at_top and name.endswith(INDEX_SUFFIX):
        return listing.indices
    if _TRAINING_STATE.fullmatch(name):
        return None
    if lower.endswith(FOREIGN_SUFFIXES):
        return listing.foreign
    return listing.for_people if at_top and _FOR_PEOPLE.fullmatch(name) else listing.bound


def _walk(folder: Path, follows: bool) -> Iterator[tuple[str, Path, bool]]:
    """(relative name, path, whether a link was followed) of each file that is not hidden."""
    todo, seen = [("", folder, False)], 0
    while todo:
        prefix, inner, linked = todo.pop()
        if prefix.count("/") > MAX_DEPTH:
            raise InputError(
                "folders lie too deep", where=str(inner), expected=f"<= {MAX_DEPTH} folders"
            )
        with os.scandir(inner) as found:
            entries = list(islice(found, MAX_ENTRIES + 1 - seen))
        if (seen := seen + len(entries)) > MAX_ENTRIES:
            raise InputError(
                "folder holds too many entries",
                where=str(folder),
                expected=f"<= {MAX_ENTRIES}",
                hint="remove what does not belong to the model",
            )
        for entry in entries:
            name, path = f"{prefix}{entry.name}", inner / entry.name
            mode = _mode(entry, path, follows)
            through = linked or entry.is_symlink()
            if entry.name.startswith("."):
                continue
            if stat.S_ISDIR(mode):
                todo.append((f"{safe_path(name)}/", path, through))
            else:
                yield safe_path(name), path, through


def _mode(entry: os.DirEntry[str], path: Path, follows: bool) -> int:
    try:
        mode = entry.stat(follow_symlinks=follows).st_mode
    except OSError as error:
        raise InputError("cannot read file", where=str(path), actual=error.strerror) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InputError(
            "not a regular file or directory",
            where=str(path),
            hint="remove symlinks, FIFOs and devices",
        )
    return mode
