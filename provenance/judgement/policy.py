"""Policies: which claims a release must satisfy (docs/formats/policy.md).

The default policy requires what the main job proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from provenance.causes import cause_of, stand_in, yaml_cause
from provenance.errors import ConfigError
from provenance.judgement.edges import EDGES
from provenance.judgement.trust import ENVIRONMENTS
from provenance.judgement.verdict import Grade
from provenance.text.strict_yaml import load_yaml

FORMAT = "provenance-policy/1"
_KEYS = ("edges", "environment", "format", "mode", "onNoMatch", "replayed", "require", "samples")

# Every claim that verification can make, with the number of its subject (docs/formats/verdict.md).
# A policy that names another claim is refused.
CLAIMS: dict[str, int] = {
    "artifact.identified": 1,
    "release.named": 2,
    "release.logged": 3,
    "head.signed": 3,
    "head.witnessed": 3,
    "chain.pinned": 4,
    "chain.agreed": 4,
    "head.final": 4,
    "history.consistent": 5,
    "run.preregistered": 5,
    "lineage.complete": 5,
    "files.bound": 5,
    "base.traced": 5,
    "dataset.registered": 6,
    "epoch.proven": 6,
    "merge.proven": 6,
    "quantize.proven": 6,
    "openings.proven": 6,
    "order.recomputed": 7,
    "file.recomputed": 7,
    "merge.recomputed": 7,
    "base.recomputed": 7,
    "batches.recomputed": 7,
    "data.fed": 7,
    "training.learned": 7,
    "training.replayed": 7,
    "not.revoked": 8,
    "policy.satisfied": 9,
}
DEFAULT_REQUIRED = frozenset(
    {
        "artifact.identified",
        "release.named",
        "release.logged",
        "head.signed",
        "chain.pinned",
        "head.final",
        "history.consistent",
        "run.preregistered",
        "lineage.complete",
        "dataset.registered",
        "epoch.proven",
        "order.recomputed",
        "not.revoked",
    }
)

# Made only if the caller supplies what they are about. A verdict without them is complete.
ON_DEMAND = frozenset({"openings.proven", "base.traced", "chain.agreed", "head.witnessed"})

# Every policy requires these: without them a verdict would be about nothing.
ALWAYS_REQUIRED = frozenset(
    {
        "artifact.identified",
        "release.named",
        "release.logged",
        "chain.pinned",
        "head.final",
        "not.revoked",
    }
)


@dataclass(frozen=True)
class SampleBar:
    """The least that each sampled claim must detect.

    fraction: share of each tensor's blocks that is tampered with.
    confidence: probability with which that tampering must be caught.
    Both lie strictly between 0 and 1.
    """

    fraction: float
    confidence: float

    def caught(self, draws: int, anchorings: int) -> float:
        """Probability (0..1) that so many draws catch tampering with that fraction of each tensor.

        An owner who anchored n times had n tries, so the probability of a miss is multiplied by n.
        The same number of tampered blocks may be caught less often where they lie in large tensors
        only: draws are rounded up per tensor, so small tensors have more than their share.
        """
        return max(0.0, 1.0 - anchorings * (1.0 - self.fraction) ** draws)


@dataclass(frozen=True)
class Policy:
    """What a verifier requires.

    require: claims that must hold.
    mode: `enforce`, or `warn`, which prints what would be denied and lets it through.
    environment: can only be stricter than the trust file's; None to take the trust file's.
    samples: the least that sampled claims must detect; at least one such claim must hold.
    edges: the least grade of every edge of a kind; at least one edge of that kind must be there.
    replayed: the least share of the run's steps (above 0, up to 1) that must have been trained
        again and come out exactly; None for none.
    """

    require: frozenset[str] = DEFAULT_REQUIRED
    mode: str = "enforce"
    environment: str | None = None
    samples: SampleBar | None = None
    edges: Mapping[str, Grade] = field(default_factory=dict)
    replayed: float | None = None

    def allows_development(self, trust_environment: str) -> bool:
        """Whether development keys and local chains count in the trust file's environment."""
        return trust_environment == "local" and self.environment in (None, "local")


def load_policy(path: Path | None) -> Policy:
    """Read a policy file; None gives the default.

    Raises:
        ConfigError: unreadable, an unknown key, claim or mode.
    """
    if path is None:
        return Policy()
    value = _read(path)
    require = value.get("require", sorted(DEFAULT_REQUIRED))
    if not isinstance(require, list) or not all(
        isinstance(id_, str) and id_ in CLAIMS for id_ in require
    ):
        raise ConfigError(
            "policy requires an unknown claim",
            where=f"{path} require",
            expected=", ".join(CLAIMS),
            actual=require,
        )
    _check_words(value, path)
    return Policy(
        frozenset(require) | ALWAYS_REQUIRED,
        value.get("mode", "enforce"),
        value.get("environment"),
        _sample_bar(value, path),
        _edge_grades(value, path),
        _replayed_share(value, path),
    )


def _read(path: Path) -> dict[str, Any]:
    """The file's mapping, checked to have no unknown key."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "cannot read policy", where=str(path), actual=cause_of(error, path)
        ) from error
    if (cause := stand_in(data)) is not None:
        raise ConfigError("not a policy", where=str(path), actual=cause)
    try:
        value = load_yaml(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            "policy is not YAML", where=str(path), actual=yaml_cause(error)
        ) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ConfigError("not a policy", where=str(path), expected=f"format: {FORMAT}")
    if extra := sorted(str(name) for name in value if name not in _KEYS):
        raise ConfigError(
            "policy has an unknown key", where=f"{path} {extra[0]}", expected=", ".join(_KEYS)
        )
    return value


def _check_words(value: dict[str, Any], path: Path) -> None:
    """Refuse a `mode`, `onNoMatch` or `environment` that is given and is none of its words."""
    if value.get("mode", "enforce") not in ("warn", "enforce"):
        raise ConfigError(
            "no such mode", where=f"{path} mode", expected="warn | enforce", actual=value["mode"]
        )
    if value.get("onNoMatch", "deny") != "deny":
        raise ConfigError(
            "a file that no release names is never let through",
            where=f"{path} onNoMatch",
            expected="deny",
            actual=value["onNoMatch"],
        )
    if "environment" in value and value["environment"] not in ENVIRONMENTS:
        raise ConfigError(
            "no such environment",
            where=f"{path} environment",
            expected=" | ".join(ENVIRONMENTS),
            actual=value["environment"],
        )


def _sample_bar(value: dict[str, Any], path: Path) -> SampleBar | None:
    if "samples" not in value:
        return None
    bar = value["samples"]
    names = ("fraction", "confidence")
    if (
        not isinstance(bar, dict)
        or set(bar) != set(names)
        or not all(isinstance(bar[n], float) and 0 < bar[n] < 1 for n in names)
    ):
        raise ConfigError(
            "policy has no such bar for samples",
            where=f"{path} samples",
            expected="fraction and confidence, numbers between 0 and 1",
            actual=bar,
        )
    return SampleBar(bar["fraction"], bar["confidence"])


def _replayed_share(value: dict[str, Any], path: Path) -> float | None:
    """The share under `replayed`; a whole number stands for all of them."""
    if "replayed" not in value:
        return None
    said = value["replayed"]
    share = said.get("share") if isinstance(said, dict) else None
    number = float(share) if type(share) in (int, float) and share is not None else 0.0
    if not 0 < number <= 1 or set(said) != {"share"}:
        raise ConfigError(
            "policy has no such share of segments",
            where=f"{path} replayed",
            expected="share, a number above 0, up to 1",
            actual=said,
        )
    return number


def _edge_grades(value: dict[str, Any], path: Path) -> dict[str, Grade]:
    demanded = value.get("edges", {})
    if not isinstance(demanded, dict):
        raise ConfigError(
            "policy's edges are no mapping",
            where=f"{path} edges",
            expected="kinds of edges with grades, such as merged_from: sampled",
            actual=type(demanded).__name__,
        )
    grades = {}
    for kind, grade in demanded.items():
        known = {g.value: g for g in Grade}
        if kind not in EDGES or not isinstance(grade, str) or grade not in known:
            raise ConfigError(
                "no such edge or grade",
                where=f"{path} edges.{kind}",
                expected=f"{', '.join(EDGES)}: {', '.join(known)}",
                actual=f"{kind}: {grade}",
            )
        grades[str(kind)] = known[grade]
    return grades
