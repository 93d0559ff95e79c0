"""Choosing between JSON and HTML by the Accept header, which an attacker may control.

Source: RFC 9110, section 12.5.1.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_RANGES = 64


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in accept.split(",")[:MAX_RANGES]:
        media, *parameters = part.split(";")
        if media.strip():
            ranges[media.strip().lower()] = _quality(parameters)
    return ranges


def quality(accept: str, media_type: str) -> float:
    """The weight (0 to 1) that a client gives a media type, by the most specific range."""
    ranges = _ranges(accept)
    kind = media_type.partition("/")[0]
    return next((ranges[r] for r in (media_type, f"{kind}/*", "*/*") if r in ranges), 0.0)


def prefers_html(accept: str | None) -> bool:
    """Whether a client prefers HTML to JSON.

    Browsers do. Programs that send `*/*` or no header do not.
    """
    return preferred(accept, ("application/json", "text/html")) == "text/html"


def preferred(accept: str | None, offers: Sequence[str]) -> str:
    """The media type of these that a client likes best; of equal ones the first."""
    return max(offers, key=lambda offer: quality(accept or "*/*", offer))
