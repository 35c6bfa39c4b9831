"""Many parked tasks: resumed in the order of their arrival, and left alone once the gate closes again."""

import json
import time
from collections.abc import Iterator

import pytest

from sandbox.deployment import NAME, Sandbox, until
from sandbox.gates import Gates

TASKS = 1200
# Tasks that a drain resumes between two looks at the flag.
BATCH = 100


@pytest.fixture
def bulk(gates: Gates) -> Iterator[Gates]:
    """A state machine whose one execution checks in many times at once, each time with a task token of its own.

    The local Step Functions runs all items of such a map at once, AWS about 40.
    """
    check_in = {**gates.check_in_state(), "ResultPath": None, "End": True}
    states = {
        "CheckIn": {
            "Type": "Map",
            "ItemsPath": "$.orders",
            "MaxConcurrency": 0,
            "ItemProcessor": {"StartAt": "Order", "States": {"Order": check_in}},
            "End": True,
        }
    }
    with gates.another(states) as machine:
        yield machine


def gone(order: list[str], keys: list[str]) -> int:
    """Return how many tasks are gone, the oldest: all of a batch may be in flight, but none that came later."""
    left = set(keys)
    first = next((place for place, key in enumerate(order) if key in left), len(order))
    assert set(order[first + BATCH :]) <= left
    return len(order) - len(left)


def stopped(sandbox: Sandbox, gates: Gates, since: float) -> bool:
    """Whether a drain has ended since then because the gate was closed, as its log says."""
    pages = (
        sandbox.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{NAME}-maintenance", startTime=int(since * 1000))
    )
    lines = [event["message"] for page in pages for event in page["events"] if '"refreshed"' in event["message"]]
    told = [json.loads(line) for line in lines]
    return any((one["machine"], one["state"]) == (gates.name, "closed") and one["resumed"] for one in told)


def test_many_tasks_are_resumed_in_order_of_arrival_also_across_another_maintenance(
    bulk: Gates, sandbox: Sandbox
) -> None:
    bulk.act("begin")
    execution = bulk.start({"orders": list(range(TASKS))})
    order = bulk.wait_for_parked(TASKS, timeout=300)

    # The gate closes again while they are resumed: what is parked once the drain has noticed stays so.
    ended_at = time.time()
    bulk.end_maintenance()
    until(lambda: len(bulk.parked()) < TASKS - BATCH, "the drain", timeout=120)
    bulk.act("begin")
    resumed = gone(order, bulk.parked())
    assert BATCH < resumed < TASKS
    until(lambda: stopped(sandbox, bulk, ended_at), "the drain to stop", timeout=60)
    parked = bulk.parked()
    assert gone(order, parked) <= resumed + BATCH
    bulk.act("begin")
    bulk.sweep()
    assert bulk.gate_state() == "closed"
    assert bulk.parked() == parked

    bulk.end_maintenance()
    seen: list[int] = []

    def empty() -> bool:
        seen.append(gone(order, bulk.parked()))
        return seen[-1] == TASKS

    until(empty, "the end of the drain", timeout=300)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2  # it was watched while it resumed them
    assert bulk.ended(execution, timeout=60).output == list(range(TASKS))
    assert bulk.wait_for_gate("open") == "open"
