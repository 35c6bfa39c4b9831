"""The maintenance gate in all orders of its requests; README.md says how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.interleaving.conftest import IS_DEEP
from tests.interleaving.explorer import Explorer, Report, Scenario
from tests.interleaving.mutants import HAZARDS, MUTANTS, Mutant
from tests.interleaving.scenarios import DEEP, EXACT, USUAL, WALKS

Explore = Callable[[Scenario], Report]


@pytest.mark.parametrize("scenario", USUAL + (DEEP if IS_DEEP else ()), ids=lambda scenario: scenario.name)
def test_no_order_of_requests_breaks_an_invariant(scenario: Scenario, explore: Explore) -> None:
    report = explore(scenario)
    assert not report.violation, report.violation
    assert not report.cut, report.summary
    if not scenario.faults:
        assert report.stranded == 0, "without faults, nobody may have to wait for the sweep"


@pytest.mark.parametrize("scenario", WALKS, ids=lambda scenario: scenario.name)
def test_no_random_order_breaks_an_invariant(scenario: Scenario, explore: Explore) -> None:
    report = explore(scenario)
    assert not report.violation, report.violation


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_rule_taken_away_is_noticed(mutant: Mutant) -> None:
    with mutant.applied():
        report = Explorer(mutant.scenario).explore()
    assert report.rule == mutant.rule, report.violation or "nothing was found"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_only_the_missing_rule_was_noticed(mutant: Mutant) -> None:
    report = Explorer(replace(mutant.scenario, override_is_a_gate=False)).explore()
    assert not report.violation, report.violation
    assert not report.cut, report.summary


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.name)
def test_what_is_not_promised_does_happen(hazard: Mutant) -> None:
    report = Explorer(hazard.scenario).explore()
    assert report.rule == hazard.rule, "if this cannot happen any more, the documents promise too little"


@pytest.mark.parametrize("scenario", EXACT, ids=lambda scenario: scenario.name)
def test_merging_states_hides_no_outcome(scenario: Scenario) -> None:
    scenario = replace(scenario, prompt=False, troubles=True)
    merged, exact = Explorer(scenario).explore(), Explorer(replace(scenario, exact=True)).explore()
    assert not merged.cut, merged.summary
    assert not exact.cut, exact.summary
    assert merged.outcomes == exact.outcomes


def test_a_violation_is_shown_step_by_step_and_can_be_played_again() -> None:
    mutant = next(one for one in MUTANTS if one.name == "draining to open without If-Match")
    with mutant.applied():
        report = Explorer(mutant.scenario).explore()
        path = report.violation.rpartition(": ")[2].rstrip("'")
        again = list(Explorer(mutant.scenario).replay([int(choice) for choice in path.split(".")]))
    shown = [line.partition(" ")[2] for line in map(str.lstrip, report.violation.splitlines()[1:-1])]
    assert shown == again
    assert again[-2].endswith("put_object <-- here")
    assert again[-1].startswith("S1c: ")
