"""What this program is called, and which release of it runs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "model-provenance"


def release() -> str:
    """The installed release; `unknown` where a source tree runs that was not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
