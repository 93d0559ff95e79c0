"""Names of releases: which a record has, and whether a trusted publisher claimed it on chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provenance.judgement.facts import ChainSnapshot, ClaimFacts
from provenance.judgement.trust import Publisher, Trust
from provenance.log.record import Record
from provenance.log.records import Release


@dataclass(frozen=True)
class Named:
    """A release of this name, the claim on chain that is about its record, and who made it."""

    release: Release
    claim: ClaimFacts
    publisher: Publisher


def split_name(label: str) -> tuple[str, str | None]:
    """Split `name[:version]` at its last colon into (name, version); the version may be None."""
    name, colon, version = label.rpartition(":")
    return (name, version) if colon and name and version else (label, None)


def is_called(name: str, label: str) -> bool:
    """Whether a release of this name is meant by `label`: the name, or the name without version."""
    return name == label or split_name(name)[0] == label


def releases_called(
    label: str, records: Iterable[Record], snapshot: ChainSnapshot, trust: Trust
) -> Iterator[Named]:
    """The releases among records (attacker-controlled) that `label` means and that are claimed.

    A claim names its record by digest. So whoever plants records under a name adds nothing.

    Raises:
        UnavailableError: the chain does not answer.
    """
    for record in records:
        if record.type != Release.TYPE or not is_called(record.fields["name"], label):
            continue
        release = record.body(Release)
        for claim, publisher in trust.releases(snapshot, release.model):
            if claim.record == record.digest:
                yield Named(release, claim, publisher)
