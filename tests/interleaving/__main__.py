"""Prints a trace again (a scenario's name and a path, as a failed test shows them), or how each mutant is caught."""

from __future__ import annotations

import logging
import sys

from tests.interleaving.explorer import REPLAY, Explorer
from tests.interleaving.mutants import MUTANTS
from tests.interleaving.scenarios import DEEP, EXACT, USUAL, WALKS


def main(arguments: list[str]) -> None:
    """Serve the command line."""
    logging.disable()  # the trace says it all
    if arguments == ["mutants"]:
        for mutant in MUTANTS:
            with mutant.applied():
                report = Explorer(mutant.scenario).explore()
            print(f"{mutant.name}\n{report.violation.rpartition(chr(10))[0] or 'NOT CAUGHT'}\n")
        return
    scenarios = {scenario.name: scenario for scenario in (*EXACT, *WALKS, *DEEP, *USUAL)}
    name, _, path = arguments[0].rpartition(": ") if len(arguments) == 1 else ("", "", "")
    if name not in scenarios:
        sys.exit(f"usage: {REPLAY} mutants | '<scenario>: <path>'\nscenarios:\n  " + "\n  ".join(sorted(scenarios)))
    for line in Explorer(scenarios[name]).replay([int(choice) for choice in path.split(".") if choice]):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
