"""Many mutants of the contracts in one build, so that each costs a run of tests and no compiler.

A mutant that changes an expression becomes a choice: `e` is written as `(block.coinbase ==
address(7) ? mutated : e)`. Tests run against mutant 7 in blocks whose coinbase is 7; no contract
and no test reads it otherwise. This is the method of mutant schemata (Untch, Offutt, Harrold:
Mutation analysis using mutant schemata, ISSTA 1993).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mutation.source import Mutant, Span

_FIRST = 0x1000  # numbers below are addresses of precompiles
_PURE = re.compile(r"\bpure\b(?=[^;{]*[;{])")


def coinbase(number: int) -> int:
    """The coinbase, as a number, that turns on the mutant with this number, counted from 0."""
    return _FIRST + number


def _regions(found: Mapping[int, Mutant]) -> dict[Span, dict[int, Mutant]]:
    """The mutants by the outermost expression that holds each of them."""
    spans = {made.inside for made in found.values() if made.inside}
    outer = [s for s in spans if not any(o != s and o[0] <= s[0] and s[1] <= o[1] for o in spans)]
    regions: dict[Span, dict[int, Mutant]] = {span: {} for span in sorted(outer)}
    for number, made in found.items():
        if made.inside:
            start, end = made.inside
            home = next(o for o in regions if o[0] <= start and end <= o[1])
            regions[home][number] = made
    return regions


def switched(source: str, found: Mapping[int, Mutant]) -> str:
    """A file in which each mutant waits for its coinbase.

    Args:
        source: the file.
        found: its mutants by their number; those that change no expression are left out.
    """
    pieces, place = list[str](), 0
    for (start, end), inside in _regions(found).items():
        choice = f"({source[start:end]})"
        for number, made in inside.items():
            changed = source[start : made.start] + made.text + source[made.end : end]
            turned_on = f"block.coinbase == address(uint160({coinbase(number)}))"
            choice = f"({turned_on} ? ({changed}) : {choice})"
        pieces += [source[place:start], choice]
        place = end
    return "".join([*pieces, source[place:]])


def reads_blocks(source: str) -> str:
    """A file whose functions may read the coinbase: what is pure becomes a view."""
    return _PURE.sub("view", source)
