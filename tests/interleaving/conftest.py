"""Explores on all cores, and shows what was explored."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.interleaving.explorer import Explorer, Report, Scenario
from tests.interleaving.scenarios import WALKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IS_DEEP = os.environ.get("INTERLEAVING") == "deep"
FIRST_SEED = int(os.environ.get("INTERLEAVING_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + (5000 if IS_DEEP else 100))

REPORTS = pytest.StashKey[list[Report]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORTS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = config.stash.get(REPORTS, [])
    if not reports:
        return
    terminalreporter.section("interleavings of the maintenance gate")
    for report in reports:
        terminalreporter.line(report.summary)
    terminalreporter.line(
        f"together {sum(one.states for one in reports):,} states, {sum(one.steps for one in reports):,} steps"
    )


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Functions that run a million times do not log."""
    _start_worker()
    yield
    logging.disable(logging.NOTSET)
    gc.enable()


@pytest.fixture(scope="module")
def explore(request: pytest.FixtureRequest) -> Iterator[Callable[[Scenario], Report]]:
    """Explore a scenario; those of all collected tests are under way from the first one on."""
    tests = [one for one in request.session.items if isinstance(one, pytest.Function) and "explore" in one.fixturenames]
    wanted = [test.callspec.params["scenario"] for test in tests]
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    ) as pool:
        futures = {scenario: pool.submit(_report, scenario) for scenario in wanted if isinstance(scenario, Scenario)}

        def result(scenario: Scenario) -> Report:
            report = futures[scenario].result()
            request.config.stash[REPORTS].append(report)
            return report

        yield result
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    logging.disable()
    gc.disable()  # it would look through millions of states again and again; they have no cycles


def _report(scenario: Scenario) -> Report:
    explorer = Explorer(scenario)
    report = explorer.walks(SEEDS) if scenario in WALKS else explorer.explore()
    gc.collect()
    return report
