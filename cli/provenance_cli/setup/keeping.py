"""What `provenance init` keeps of an earlier deployment: its keys and its trust file."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from provenance.chain.deploy import SMALL_DEPTH, Deployment, sources_digest
from provenance.chain.session import deployment_path
from provenance.errors import ConfigError, ProvenanceError
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust, parse_trust, to_yaml
from provenance.layout import write_atomically
from provenance.settings import Settings
from provenance_cli.setup.deployment import Wanted, audit_keys, model_keys
from provenance_trainer.run.plan import slots_for

RECORDS, MODEL_KEYS = 4_096, "q8_0:3,merge:3:8"  # of a first deployment that asks for nothing


def recorded(settings: Settings) -> Deployment | None:
    """The recorded deployment, if it is of this package's contracts; the chain need not run."""
    try:
        found = Deployment.load(deployment_path(settings))
    except ProvenanceError:
        return None
    return found if found.sources == sources_digest() else None


def wanted_keys(records: int | None, weight_keys: str | None, kept: Deployment | None) -> Wanted:
    """All deployed keys, and those that are asked for beside them.

    An epoch key for more records serves fewer, too.

    Args:
        records: size of the largest dataset whose epoch fits into one proof; None for what is
            deployed already, else RECORDS.
        weight_keys: list for `model_keys`; None for what is deployed already, else MODEL_KEYS.

    Raises:
        ConfigError: there are no keys of such a shape.
    """
    models = MODEL_KEYS if weight_keys is None and kept is None else weight_keys or ""
    slots, large = slots_for(records or RECORDS), (records or 0) > 16**SMALL_DEPTH
    asked = model_keys(models)
    if kept is None:
        return Wanted(slots, (*audit_keys(slots, large), *asked))
    pinned = max((k.slots for k in kept.keys if k.kind == "epoch"), default=0)
    if records is None or slots <= pinned:
        slots = pinned or slots
        has_large = any(k.kind == "member" and k.depth > SMALL_DEPTH for k in kept.keys)
        more = audit_keys(slots, large) if large and not has_large else []
    else:
        more = audit_keys(slots, large)
    return Wanted(slots, (*more, *asked), deployed=kept.keys)


def next_kept(path: Path) -> Path:
    """Where `keep` puts the file at `path`: the first free number, or its copy of the same bytes.

    Raises:
        ConfigError: a file cannot be read.
    """
    try:
        data = path.read_bytes()
        for number in itertools.count(1):
            kept = path.with_name(f"{path.name}.{number}")
            if not kept.exists() or kept.read_bytes() == data:
                break
    except OSError as error:
        raise ConfigError(
            "cannot read trust file", where=str(path), actual=error.strerror
        ) from error
    return kept


def keep(path: Path) -> Path:
    """Copy a trust file beside itself under a number; a copy of other bytes is never replaced."""
    kept = next_kept(path)
    write_atomically(kept, path.read_bytes())
    return kept


def carried(text: str, path: Path) -> str:
    """The text of a new trust file, with what the file at `path` says about the same chain.

    Environment, bounds in time, quorum, witnesses, publishers and keys may have been set by hand. A
    file that says something new is a new edition. A file about another chain, or one that cannot be
    read, says nothing about this one.
    """
    new = parse_trust(text.encode())
    try:
        old = load_trust(path)
    except ProvenanceError:
        return text
    if (old.chain_id, old.genesis) != (new.chain_id, new.genesis):
        return text
    joined = _joined(new, old)
    same = replace(joined, digest=old.digest) == old
    return to_yaml(joined if same else replace(joined, version=old.version + 1))


def _joined(new: Trust, old: Trust) -> Trust:
    listed = {p.address for p in old.publishers}
    pinned = {k.vk_id for k in new.keys}
    return replace(
        new,
        environment=old.environment,
        confirmations=old.confirmations,
        version=old.version,
        expires=old.expires,
        max_age_s=old.max_age_s,
        quorum=old.quorum,
        witnesses=old.witnesses,
        keys=(*new.keys, *(k for k in old.keys if k.vk_id not in pinned)),
        publishers=(*old.publishers, *(p for p in new.publishers if p.address not in listed)),
    )
