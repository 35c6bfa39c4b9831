"""What the gate tells CloudWatch, as records in embedded metric format."""

import json
from typing import Any
from uuid import uuid4

import pytest

from maintenance import metrics, tasks
from maintenance.cloud import CloudError
from maintenance.gate import Limits
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World

YEAR = 31_536_000.0
ALL = ["FunctionName"]
ONE = ["FunctionName", "StateMachineName"]


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


def values(record: dict[str, Any]) -> dict[str, Any]:
    """The metrics of a record, after a look at its form.

    "Specification: Embedded metric format" in the CloudWatch guide: every dimension and metric that the directive
    names is a member of the record, dimensions are texts, metrics numbers.
    """
    record = json.loads(json.dumps(record))
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "WorkflowGates/Maintenance"
    assert directive["Dimensions"]
    for name in (name for names in directive["Dimensions"] for name in names):
        assert isinstance(record[name], str)
        assert record[name].isascii()
    found = {metric["Name"]: record[metric["Name"]] for metric in directive["Metrics"]}
    assert all(isinstance(value, int | float) for value in found.values())
    # Nothing else: no key, no token, no execution.
    assert record.keys() <= {"_aws", "timestamp", *ONE, *found}
    return found


def told(world: World, dimensions: list[list[str]], name: str | None = None) -> list[dict[str, Any]]:
    """The metrics that went to exactly these dimensions, and about this state machine."""
    return [
        values(record)
        for record in world.metrics
        if record["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == dimensions and record.get("StateMachineName") == name
    ]


def test_a_drain_tells_what_became_of_the_tasks_of_one_and_of_all_machines(world: World) -> None:
    world.act("begin", "Order")
    stopped, *_ = world.park(3)
    world.aws.waiting.discard(stopped)
    world.aws.over.add(stopped)
    world.put(world.keys.task("Order", str(uuid4())), '{"taskToken": "never was one"}')
    world.before("send_task_success", lambda: world.advance(2.5))

    world.act("end", "Order")

    counts = {"TasksResumed": 2, "TasksDead": 1, "TasksQuarantined": 1}
    assert told(world, [ALL, ONE], "Order") == [{**counts, "DrainSeconds": 2.5}]
    (record,) = (record for record in world.metrics if "DrainSeconds" in record)
    assert record["FunctionName"] == "orders-maintenance"
    assert record["_aws"]["Timestamp"] == int(world.now.timestamp() * 1000)
    units = {metric["Name"]: metric["Unit"] for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {**dict.fromkeys(counts, "Count"), "DrainSeconds": "Seconds"}


def test_a_drain_that_fails_tells_what_it_has_done(world: World) -> None:
    world.act("begin", "Order")
    world.park(3)
    world.disturb("send_task_success", CloudError("states:SendTaskSuccess", "ThrottlingException"), times=4)
    world.untag()

    with pytest.raises(IncompleteError):
        world.act("sweep")

    (drained,) = told(world, [ALL, ONE], "Order")
    assert drained["TasksResumed"] == 2


def test_a_drain_without_tasks_tells_nothing(world: World) -> None:
    world.act("begin", "Order")
    world.act("end", "Order")

    assert world.metrics == []


def test_a_drain_of_several_invocations_adds_up(world: World) -> None:
    world.limits = Limits(batch=2)
    world.act("begin", "Order")
    world.park(5)

    world.act("end", "Order")
    world.act("drain", "Order")

    assert [drained["TasksResumed"] for drained in told(world, [ALL, ONE], "Order")] == [2, 3]


def test_a_check_in_whose_task_is_over_counts_as_dead(world: World) -> None:
    world.check_in()
    token = world.aws.issue()
    world.aws.waiting.discard(token)
    world.aws.over.add(token)

    world.send({"taskToken": token, "stateMachineArn": world.arn("Order")})

    assert told(world, [ALL, ONE], "Order") == [{"TasksDead": 1, "TasksQuarantined": 0}]


def test_every_sweep_gives_a_heartbeat(world: World) -> None:
    world.act("sweep")

    assert told(world, [ALL]) == [{"Sweeps": 1, "SweepFailures": 0, "ParkedTasks": 0, "OldestParkedTaskAge": 0}]
    assert len(world.metrics) == 1


def test_a_sweep_tells_what_it_could_not_do(world: World) -> None:
    world.tag()
    world.machine("Billing")
    world.tag("Billing")
    world.disturb("list_tags", CloudError("states:ListTagsForResource", "ThrottlingException"), times=2)

    with pytest.raises(IncompleteError):
        world.act("sweep")

    (swept,) = told(world, [ALL])
    assert (swept["Sweeps"], swept["SweepFailures"]) == (1, 2)


def test_a_sweep_that_sees_nothing_gives_a_heartbeat_and_says_nothing_of_tasks(world: World) -> None:
    world.disturb("list_folder", CloudError("s3:ListObjectsV2", "SlowDown"))

    with pytest.raises(IncompleteError):
        world.act("sweep")

    assert told(world, [ALL]) == [{"Sweeps": 1, "SweepFailures": 1}]


def test_a_sweep_that_cannot_count_is_none_the_worse(world: World) -> None:
    world.act("begin", "Order")
    world.park(1)
    world.disturb("list_folder", CloudError("s3:ListObjectsV2", "SlowDown"), key="maintenance/Order/", times=2)

    world.act("sweep")

    assert told(world, [ALL]) == [{"Sweeps": 1, "SweepFailures": 0}]


def test_a_sweep_without_time_does_not_count(world: World) -> None:
    world.act("begin", "Order")
    world.park(1)
    left = [300.0]
    world.seconds_left = lambda: left[0]
    world.before("put_object", lambda: left.append(left.pop() - 295), key="~sweep.json")

    world.act("sweep")

    assert told(world, [ALL]) == [{"Sweeps": 1, "SweepFailures": 0}]


def test_a_sweep_tells_what_waits_behind_each_gate_and_in_all(world: World) -> None:
    for name, count in {"Order": 2, "Refund": 3}.items():
        world.act("begin", name)
        world.park(count, name)
    world.put("maintenance/Foreign/README.md", "")
    world.put_flag("open", "Quiet")

    world.act("sweep")

    assert told(world, [ONE], "Order") == [{"ParkedTasks": 2, "OldestParkedTaskAge": YEAR}]
    assert told(world, [ONE], "Refund") == [{"ParkedTasks": 3, "OldestParkedTaskAge": YEAR}]
    (swept,) = told(world, [ALL])
    assert (swept["ParkedTasks"], swept["OldestParkedTaskAge"]) == (5, YEAR)
    assert len(world.metrics) == 3


def test_a_sweep_that_resumed_everything_tells_of_nothing_that_waits(world: World) -> None:
    world.act("begin", "Order")
    world.park(2)
    world.untag()

    world.act("sweep")

    (swept,) = told(world, [ALL])
    assert (swept["ParkedTasks"], swept["OldestParkedTaskAge"]) == (0, 0)
    assert told(world, [ONE], "Order") == []


def test_counting_costs_one_listing_of_each_folder_and_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "COUNTED", 3)
    world.act("begin", "Order")
    world.act("sweep")
    world.watched.calls.clear()
    world.act("sweep")
    without = world.watched.calls.count("list_folder")
    world.park(5)
    world.watched.calls.clear()
    world.metrics.clear()

    world.act("sweep")

    assert world.watched.calls.count("list_folder") == without + 2  # to look at some tasks, and to count
    assert told(world, [ONE], "Order") == [{"ParkedTasks": 3, "OldestParkedTaskAge": YEAR}]


def test_a_name_that_cloudwatch_takes_not_counts_among_all(world: World) -> None:
    world.act("begin", "Bestätigung")
    world.park(1, "Bestätigung")
    world.act("sweep")
    world.act("end", "Bestätigung")

    swept, drained = told(world, [ALL]) + told(world, [ALL], "Bestätigung")
    assert swept["ParkedTasks"] == 1
    assert drained["TasksResumed"] == 1
    assert len(world.metrics) == 2


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARN", "ERROR"])
def test_a_record_is_one_line_that_passes_the_functions_log_level(
    level: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", level)

    metrics.write({"timestamp": "2030-01-01T00:00:00.000Z", "Sweeps": 1})

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"level": level, "timestamp": "2030-01-01T00:00:00.000Z", "Sweeps": 1}
