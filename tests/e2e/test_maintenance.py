"""The maintenance gate in the example's state machine."""

from collections.abc import Iterator

import pytest

from sandbox.deployment import Sandbox
from sandbox.gates import Gates

ORDERS = 3
# The sweep runs every minute, for real.
SWEEP = 100.0


@pytest.fixture
def lost_tag_events(sandbox: Sandbox) -> Iterator[None]:
    sandbox.control("POST", "faults", {"drop_tag_events": True})
    yield
    sandbox.control("POST", "faults", {"drop_tag_events": False})


def test_outside_of_maintenance_an_execution_passes_at_once(gates: Gates) -> None:
    ended = gates.ended(gates.start())
    assert (ended.status, ended.output) == ("SUCCEEDED", {"maintenance": {"status": "proceeding"}})
    assert gates.parked() == []


def test_executions_are_parked_and_resumed_by_the_tag(gates: Gates) -> None:
    gates.begin_maintenance()
    gates.wait_for_gate("closed")
    executions = [gates.start() for _ in range(ORDERS)]
    gates.wait_for_parked(ORDERS)
    assert gates.running(executions) == [True] * ORDERS
    gates.end_maintenance()
    ended = [gates.ended(execution) for execution in executions]
    assert [(one.status, one.output) for one in ended] == [
        ("SUCCEEDED", {"maintenance": {"status": "resumed"}})
    ] * ORDERS
    gates.wait_for_gate("open")
    assert gates.parked() == []


@pytest.mark.usefixtures("lost_tag_events")
def test_executions_are_parked_and_resumed_by_the_sweep_alone(gates: Gates) -> None:
    gates.begin_maintenance()
    gates.wait_for_gate("closed", timeout=SWEEP)
    executions = [gates.start() for _ in range(ORDERS)]
    gates.wait_for_parked(ORDERS)
    assert gates.running(executions) == [True] * ORDERS
    gates.end_maintenance()
    ended = [gates.ended(execution, timeout=SWEEP) for execution in executions]
    assert [(one.status, one.output) for one in ended] == [
        ("SUCCEEDED", {"maintenance": {"status": "resumed"}})
    ] * ORDERS
    gates.wait_for_gate("open")
    assert gates.parked() == []
