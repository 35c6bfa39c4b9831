"""What goes wrong around a maintenance: lost events, throttling, foreign objects, stopped executions, damaged tasks."""

import json
from collections.abc import Callable, Iterator

import pytest

from sandbox.deployment import Sandbox, until
from sandbox.gates import PREFIX, Gates

# Calls of one request of a function: it tries three times.
TRIES = 3


@pytest.fixture
def lost_tag_events(sandbox: Sandbox) -> Iterator[None]:
    sandbox.control("POST", "faults", {"drop_tag_events": True})
    yield
    sandbox.control("POST", "faults", {"drop_tag_events": False})


@pytest.fixture
def throttled(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Lets so many of the next calls of operations be throttled."""

    def calls(**number: int) -> None:
        sandbox.control("POST", "faults", {"throttled_calls": number})

    yield calls
    calls()


def left(sandbox: Sandbox) -> int:
    """How many calls are still to be throttled."""
    return sum(sandbox.control("GET", "faults")["throttled_calls"].values())


def held(gates: Gates, number: int = 1) -> list[str]:
    """Begin, and return so many executions once they are parked."""
    gates.act("begin")
    executions = []
    for parked in range(number):
        executions.append(gates.start())
        gates.wait_for_parked(parked + 1)
    return executions


def statuses(gates: Gates, executions: list[str]) -> list[str]:
    return [gates.ended(execution).status for execution in executions]


def counts(gates: Gates) -> dict[str, int]:
    """How many tasks are where, once the gate is open."""
    gates.wait_for_gate("open")
    gate = gates.gate()
    return {name: gate[name] for name in ("parked", "dead", "quarantined")}


@pytest.mark.usefixtures("lost_tag_events")
def test_the_sweep_finds_what_no_event_told(machine: Gates) -> None:
    machine.begin_maintenance()
    # Its schedule fires every minute, for real.
    machine.wait_for_gate("closed", timeout=100)
    execution = machine.start()
    machine.wait_for_parked(1)
    machine.end_maintenance()
    machine.sweep()
    assert machine.ended(execution).output == {"maintenance": {"status": "resumed"}}
    assert machine.wait_for_gate("open") == "open"
    assert machine.parked() == []


def test_a_check_in_outlasts_a_throttled_s3(machine: Gates, sandbox: Sandbox, throttled: Callable[..., None]) -> None:
    machine.act("begin")
    # Too many for one invocation: Step Functions tries again.
    throttled(PutObject=TRIES + 1)
    execution = machine.start()
    machine.wait_for_parked(1)
    assert left(sandbox) == 0
    machine.act("end")
    assert statuses(machine, [execution]) == ["SUCCEEDED"]


def test_a_task_that_was_parked_because_its_flag_could_not_be_read_is_resumed_by_the_sweep(
    machine: Gates, sandbox: Sandbox, throttled: Callable[..., None]
) -> None:
    machine.act("end")
    machine.wait_for_gate("open")
    # When it checks in, and when it has been parked.
    throttled(GetObject=2 * TRIES)
    execution = machine.start()
    machine.wait_for_parked(1)
    until(lambda: not left(sandbox), "the check-in to give up")
    assert machine.gate_state() == "open"
    machine.sweep()
    assert machine.ended(execution).output == {"maintenance": {"status": "resumed"}}


def test_a_drain_outlasts_throttled_step_functions_and_s3(
    machine: Gates, sandbox: Sandbox, throttled: Callable[..., None]
) -> None:
    executions = held(machine, 3)
    throttled(DeleteObject=2, GetObject=2, ListObjectsV2=2, SendTaskSuccess=6)
    machine.act("end")
    assert statuses(machine, executions) == ["SUCCEEDED"] * 3
    assert left(sandbox) == 0
    assert machine.wait_for_gate("open") == "open"


def test_the_sweep_goes_on_with_a_drain_that_throttling_has_ended(
    machine: Gates, sandbox: Sandbox, throttled: Callable[..., None]
) -> None:
    executions = held(machine, 2)
    throttled(SendTaskSuccess=1000)
    machine.end_maintenance()
    # Each task is tried four times.
    until(lambda: left(sandbox) <= 1000 - 2 * 4, "the drain to give up")
    machine.wait_for_gate("draining")
    assert len(machine.parked()) == 2
    assert machine.running(executions) == [True, True]
    throttled()

    def drained() -> bool:
        machine.sweep()
        return machine.gate_state() == "open"

    until(drained, "the drain to end")
    assert statuses(machine, executions) == ["SUCCEEDED"] * 2


def test_foreign_objects_stay_and_harm_nothing(machine: Gates, sandbox: Sandbox) -> None:
    s3, bucket = sandbox.client("s3"), sandbox.outputs["bucket_name"]
    foreign = [
        f"{PREFIX}/{machine.name}/",
        f"{PREFIX}/{machine.name}/00000000-notes.json",
        f"{PREFIX}/{machine.name}/backup/018f0000-0000-7000-8000-000000000000.json",
        f"{PREFIX}/{machine.name}Refund/README.txt",
        f"{PREFIX}/notes.txt",
        f"{PREFIX}/~flags/notes.txt",
    ]
    for key in foreign:
        s3.put_object(Bucket=bucket, Key=key, Body=b"not the gate's")
    try:
        machine.act("begin")
        execution = machine.start()
        until(lambda: machine.gate()["parked"] == 1, "the task to be parked")
        machine.act("end")
        assert machine.ended(execution).status == "SUCCEEDED"
        assert machine.wait_for_gate("open") == "open"
        machine.sweep()
        assert {s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in foreign} == {b"not the gate's"}
    finally:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in foreign]})


def test_a_stopped_execution_among_parked_ones_is_kept_as_dead_and_stays_so(machine: Gates, sandbox: Sandbox) -> None:
    first, stopped, last = held(machine, 3)
    sandbox.client("stepfunctions").stop_execution(executionArn=stopped)
    machine.act("end")
    assert statuses(machine, [first, stopped, last]) == ["SUCCEEDED", "ABORTED", "SUCCEEDED"]
    assert counts(machine) == {"parked": 0, "dead": 1, "quarantined": 0}
    assert machine.act("replay")["replayed"] == 1
    assert counts(machine) == {"parked": 0, "dead": 1, "quarantined": 0}


def test_a_task_that_was_damaged_and_repaired_is_resumed_by_a_replay(machine: Gates, sandbox: Sandbox) -> None:
    s3, bucket = sandbox.client("s3"), sandbox.outputs["bucket_name"]
    damaged, other = held(machine, 2)
    key = machine.parked()[0]
    whole = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({**json.loads(whole), "taskToken": "AQC"}).encode())
    machine.act("end")
    assert statuses(machine, [other]) == ["SUCCEEDED"]
    assert counts(machine) == {"parked": 0, "dead": 0, "quarantined": 1}
    assert machine.running([damaged]) == [True]
    folder = f"{PREFIX}/~quarantine/{machine.name}/"
    (kept,) = s3.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]
    s3.put_object(Bucket=bucket, Key=kept["Key"], Body=whole)
    assert machine.act("replay")["replayed"] == 1
    assert machine.ended(damaged).output == {"maintenance": {"status": "resumed"}}
    assert counts(machine) == {"parked": 0, "dead": 0, "quarantined": 0}
