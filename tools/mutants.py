"""Weakens contracts and circuits one check at a time, and runs their tests against each.

    make mutants                                    every mutant of every file (hours)
    python tools/mutants.py --only gadgets/page     those of files with `gadgets/page` in their path
    python tools/mutants.py --only datasets --list  shows them and runs nothing
    python tools/mutants.py --only contracts/ --numbers 80,161-551
                                                    those with these numbers in such a run

A mutant that no test notices survives: it is printed, and the exit code is 1. Either a test is
missing, or the check cannot matter; which of both, somebody has to find out. Mutants that cannot
matter are listed with the reason in tools/mutants_equivalent.toml.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mutation import contracts, overlay
from mutation.faults import FaultError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run mutants; exit code 1 if one survives, 2 if the tests fail without any."""
    parser = argparse.ArgumentParser(description="Runs tests against mutants of what they test.")
    parser.add_argument("--only", default="", help="part of the paths of the files to change")
    parser.add_argument("--rule", default="", help="part of a rule's name; circuits only")
    parser.add_argument("--numbers", default="", help="such as 3,7-9; contracts only")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    options = parser.parse_args(arguments)
    try:
        if options.numbers:
            return contracts.run(options.only, options.list, options.jobs, options.numbers)
        todo = [task for task in overlay.tasks(options.only) if options.rule in task.mutant.rule]
        circuits = overlay.run(todo, options.list, options.jobs)
        if options.rule:
            return circuits
        return max(circuits, contracts.run(options.only, options.list, options.jobs))
    except FaultError as fault:
        print(fault)
        return 2


if __name__ == "__main__":
    sys.exit(main())
