"""What ends a run before its mutants can be judged."""

from __future__ import annotations


class FaultError(Exception):
    """The tests fail without a mutant, or the list of equivalent mutants is wrong."""
