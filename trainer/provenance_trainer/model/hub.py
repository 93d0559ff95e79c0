"""Models of the Hugging Face hub: downloaded whole or not at all, and found in the hub's own cache
where there is no network.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NoReturn

from provenance.causes import near
from provenance.errors import AuthError, InputError, ProvenanceError, UnavailableError
from provenance_trainer.model.weights import made_once

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
_FILES = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt")
# Other forms of the same weights, which some models keep beside them.
_OTHER_FORMS = ("consolidated*", "*/*")
_WHERE = "model_name_or_path"
_HINT = "give a local folder, or smollm2, which needs no network"


def is_hub_id(name: str) -> bool:
    """Whether a name has the form `org/name` or `org/name@revision`."""
    return _HUB_ID.fullmatch(name) is not None


def hub_model(name: str, cache_dir: Path) -> Path:
    """The folder of a hub model: this project's own copy, else downloaded, else the hub's cache.

    Args:
        name: `org/name` or `org/name@revision`.
        cache_dir: Where the copy is kept. It appears whole or not at all.

    Returns:
        The copy; or, without network, a snapshot in the hub's own cache, whose files are links.

    Raises:
        InputError: no such model or revision, and no such folder.
        AuthError: the hub keeps the model from this user.
        UnavailableError: the hub or the disk is out of reach, and the hub's cache lacks the model.
    """
    # Here and not above: the hub's library is large, and local models need none of it.
    from huggingface_hub import constants

    target = cache_dir / ("hub-" + name.replace("/", "--").replace("@", "--at--"))
    if target.is_dir():
        return target
    if constants.is_offline_mode():
        found = _in_hub_cache(name)
        if found is None:
            _refuse_offline(name)
        return found
    try:
        return made_once(target, lambda folder: _download(name, folder))
    except UnavailableError:
        found = _in_hub_cache(name)
        if found is None:
            raise
        return found


def _in_hub_cache(name: str) -> Path | None:
    """The snapshot of a model that the hub's own cache holds, None if it holds none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        found = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=list(_FILES),
            ignore_patterns=list(_OTHER_FORMS),
            local_files_only=True,
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return Path(found)


def _refuse_offline(name: str) -> NoReturn:
    """Tell a mistyped folder from a model that was never downloaded."""
    if (error := _no_such_folder(name)) is not None:
        raise error
    raise UnavailableError(
        "offline, and not in the cache",
        where=_WHERE,
        expected="a folder, or a hub model that was downloaded before",
        actual=name,
        hint=f"unset HF_HUB_OFFLINE, or {_HINT}",
    )


def _no_such_folder(name: str) -> InputError | None:
    """The error for a name that leads into a folder that exists: it means a path, not the hub."""
    parent, last = Path(name).parent, Path(name).name
    if not parent.is_dir():
        return None
    siblings = sorted(p.name for p in parent.iterdir() if p.is_dir() and not p.name.startswith("."))
    meant = near(last, siblings, 0.5)
    return InputError(
        "no such folder or hub model",
        where=_WHERE,
        actual=name,
        hint=f"did you mean {parent / meant}?"
        if meant
        else f"folders in {parent}: {', '.join(siblings[:5]) or 'none'}",
    )


def _download(name: str, folder: Path) -> None:
    """Plain files, not links into the hub's cache: others read the folder too.

    What the hub or the network says is told apart here. What the disk says is left to the caller.
    """
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    try:
        snapshot_download(
            repository,
            revision=revision or None,
            local_dir=folder,
            allow_patterns=list(_FILES),
            ignore_patterns=list(_OTHER_FORMS),
        )
    except Exception as error:
        refusal = _refusal(name, error)
        if refusal is None:
            raise
        raise refusal from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _refusal(name: str, error: Exception) -> ProvenanceError | None:
    """What an error of the hub's library means; None for one that is not the hub's."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return AuthError(
            "the hub keeps this model from you",
            where=_WHERE,
            actual=f"{name} is gated",
            hint="ask for access on the model's page, then run: hf auth login",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return InputError("hub model has no such revision", where=_WHERE, actual=name)
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return _no_such_folder(name) or InputError(
            "no such folder or hub model",
            where=_WHERE,
            actual=name,
            hint="check the name; for a private model run: hf auth login",
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return AuthError(
            "the hub keeps this model from you",
            where=_WHERE,
            actual=f"{name}, HTTP {status}",
            hint="run: hf auth login",
        )
    # Its HTTP library's errors are of no other base that both have; it re-exports that one.
    unreachable = (errors.HTTPError, errors.LocalEntryNotFoundError)  # type: ignore[attr-defined]
    if isinstance(error, (*unreachable, ConnectionError, TimeoutError)):
        return _no_such_folder(name) or UnavailableError(
            "cannot download model: the hub does not answer",
            where=_WHERE,
            actual=f"{name}, {_cause(error)}",
            hint=_HINT,
        )
    return None


def _cause(error: Exception) -> str:
    """HTTP status where there is one, else the deepest error's own words, one line."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    words = (str(deepest).splitlines() or [""])[0]
    return f"{type(deepest).__name__}: {words}"[:160]
