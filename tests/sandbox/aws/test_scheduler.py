import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.scheduler import models

from sandbox.aws.arns import ACCOUNT_ID
from sandbox.aws.scheduler import Scheduler, next_time

Eventually = Callable[[Callable[[], Any]], Any]

RECORD = "import json\ndef handler(event, context): print('got=' + json.dumps(event))"
BERLIN = "Europe/Berlin"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def received(aws: Any, name: str) -> list[Any]:
    return [json.loads(line.removeprefix("got=")) for line in aws.logged(name) if line.startswith("got=")]


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "due"),
    [
        ("at(2026-11-24T12:00:01)", "UTC", "2026-11-24T12:00:00", "2026-11-24T12:00:01"),
        ("at(2026-11-24T12:00:00)", "UTC", "2026-11-24T12:00:00", None),
        ("at(2026-11-24T22:00:00)", BERLIN, "2026-11-24T12:00:00", "2026-11-24T21:00:00"),
        ("at(2027-03-28T02:30:00)", BERLIN, "2026-11-24T12:00:00", None),
        ("cron(0 22 ? * SUN *)", "UTC", "2026-11-24T12:00:00", "2026-11-29T22:00:00"),
        ("cron(0 22 ? * SUN *)", "UTC", "2026-11-29T22:00:00", "2026-12-06T22:00:00"),
        ("cron(0 22 ? * SAT#1 *)", BERLIN, "2026-11-24T12:00:00", "2026-12-05T21:00:00"),
        ("cron(0 22 ? * 2 *)", "Asia/Tokyo", "2026-11-24T12:00:00", "2026-11-30T13:00:00"),
        ("cron(0 0 1 1 ? 2020)", "UTC", "2026-11-24T12:00:00", None),
        # Summer time ends on 2026-10-25 at 01:00 UTC and begins on 2027-03-28 at 01:00 UTC.
        ("cron(30 2 * * ? *)", BERLIN, "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        ("cron(30 2 * * ? *)", BERLIN, "2026-10-25T00:30:00", "2026-10-26T01:30:00"),
        ("cron(30 2 * * ? *)", BERLIN, "2027-03-27T12:00:00", "2027-03-29T00:30:00"),
        ("rate(1 minute)", "UTC", "2026-11-24T11:59:59", "2026-11-24T12:00:00"),
        ("rate(1 minute)", "UTC", "2026-11-24T12:00:00", "2026-11-24T12:01:00"),
        ("rate(7 days)", BERLIN, "2026-12-02T12:00:00", "2026-12-08T12:00:00"),
    ],
)
def test_a_schedule_is_due_at_the_next_moment_that_its_expression_and_time_zone_give(
    expression: str, timezone: str, after: str, due: str | None
) -> None:
    found = next_time(expression, timezone, datetime.fromisoformat(f"{after}+00:00"), NOON)
    assert (found and found.strftime("%Y-%m-%dT%H:%M:%S")) == due


@pytest.fixture
def backend() -> Any:
    with mock_aws():
        yield models.scheduler_backends[ACCOUNT_ID]["us-east-2"]


def add(backend: Any, name: str, expression: str, state: str | None = "ENABLED") -> None:
    settings = dict.fromkeys(("description", "end_date", "kms_key_arn", "start_date", "action_after_completion"))
    target = {"Arn": name, "Input": "<aws.scheduler.scheduled-time>"}
    backend.create_schedule(
        **settings,
        flexible_time_window={"Mode": "OFF"},
        group_name="default",
        name=name,
        schedule_expression=expression,
        schedule_expression_timezone="UTC",
        state=state,
        target=target,
    ).last_modified_date = NOON.timestamp()


def test_each_enabled_schedule_fires_when_it_is_due_and_not_again(backend: Any) -> None:
    add(backend, "at", "at(2026-11-24T12:00:30)")
    add(backend, "cron", "cron(1 12 * * ? *)")
    add(backend, "rate", "rate(1 minute)")
    add(backend, "not said", "at(2026-11-24T12:01:30)", None)
    add(backend, "off", "rate(1 minute)", "DISABLED")
    add(backend, "late", "at(2026-11-24T11:00:00)")
    fired: list[tuple[str, str]] = []
    scheduler = Scheduler(lambda target, payload: fired.append((target["Arn"], payload.decode()[11:])))
    for second in (0, 1, 29, 30, 31, 61, 62, 90):
        scheduler.tick(NOON + timedelta(seconds=second))
    assert fired == [
        ("rate", "12:00:00Z"),
        ("at", "12:00:30Z"),
        ("cron", "12:01:00Z"),
        ("rate", "12:01:00Z"),
        ("not said", "12:01:30Z"),
    ]


def test_a_target_that_fails_keeps_no_other_schedule_from_firing(backend: Any) -> None:
    add(backend, "a", "rate(1 minute)")
    add(backend, "b", "rate(1 minute)")
    fired: list[str] = []

    def invoke(target: Mapping[str, Any], _payload: bytes) -> None:
        fired.append(target["Arn"])
        if target["Arn"] == "a":
            raise ValueError("no function")

    scheduler = Scheduler(invoke)
    scheduler.tick(NOON)
    scheduler.tick(NOON + timedelta(seconds=30))
    scheduler.tick(NOON + timedelta(seconds=60))
    assert fired == ["a", "b", "a", "b"]


@pytest.fixture
def group(aws: Any) -> str:
    """A schedule group of its own."""
    name = f"g{time.monotonic_ns()}"
    aws.client("scheduler").create_schedule_group(Name=name)
    return name


@pytest.fixture
def schedule(aws: Any, group: str) -> Callable[..., str]:
    """Create a schedule of the group, with a role that trusts only the group."""

    def create(
        function: str, expression: str, *, trusted: str = group, timezone: str = "UTC", allowed: str | None = None
    ) -> str:
        name = f"s{time.monotonic_ns()}"
        found = aws.client("scheduler").get_schedule_group(Name=group)["Arn"].replace(group, trusted)
        condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT_ID, "aws:SourceArn": found}}
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}}
        document = {"Version": "2012-10-17", "Statement": [statement | {"Condition": condition}]}
        role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        alias = aws.client("lambda").get_alias(FunctionName=function, Name="live")["AliasArn"]
        aws.allow(name, {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": allowed or alias})
        told = {"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}
        aws.client("scheduler").create_schedule(
            Name=name,
            GroupName=group,
            FlexibleTimeWindow={"Mode": "OFF"},
            ScheduleExpression=expression,
            ScheduleExpressionTimezone=timezone,
            Target={"Arn": alias, "RoleArn": role["Role"]["Arn"], "Input": json.dumps(told)},
        )
        return name

    return create


def test_a_schedule_invokes_its_function_when_its_time_comes(
    aws: Any, schedule: Callable[..., str], group: str, eventually: Eventually
) -> None:
    function = aws.function(RECORD)
    name = schedule(function, "rate(7 days)")  # due at once
    created = aws.client("scheduler").get_schedule(GroupName=group, Name=name)
    due = created["CreationDate"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert eventually(lambda: received(aws, function)) == [{"at": due, "by": created["Arn"]}]


def test_a_schedule_fires_on_demand_as_if_its_next_time_had_come(
    aws: Any, schedule: Callable[..., str], group: str, eventually: Eventually
) -> None:
    function = aws.function(RECORD)
    name = schedule(function, "cron(0 22 1 1 ? 2100)", timezone=BERLIN)
    answer = aws.control("schedules/fire", {"group": group, "schedule": name})
    assert answer == {"fired": name, "scheduled-time": "2100-01-01T21:00:00Z"}
    assert [event["at"] for event in eventually(lambda: received(aws, function))] == ["2100-01-01T21:00:00Z"]
    over = aws.control("schedules/fire", {"group": group, "schedule": name})
    assert over["error"] == f"schedule {name!r}: cron(0 22 1 1 ? 2100) is over"
    unknown = aws.control("schedules/fire", {"schedule": name})
    assert unknown["error"] == f"no schedule {name!r} in the group 'default' in us-east-2"


def test_a_schedule_can_be_changed_and_goes_with_its_group(aws: Any, schedule: Callable[..., str], group: str) -> None:
    client = aws.client("scheduler")
    name = schedule(aws.function(RECORD), "cron(0 22 1 1 ? 2100)")
    before = client.get_schedule(GroupName=group, Name=name)
    changed = {key: before[key] for key in ("FlexibleTimeWindow", "GroupName", "Name", "Target")}
    client.update_schedule(**changed, ScheduleExpression="rate(7 days)", State="DISABLED")
    after = client.get_schedule(GroupName=group, Name=name)
    assert (after["ScheduleExpression"], after["State"]) == ("rate(7 days)", "DISABLED")
    client.delete_schedule(GroupName=group, Name=name)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_schedule(GroupName=group, Name=name)
    client.delete_schedule_group(Name=group)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_schedule_group(Name=group)


def test_a_schedule_invokes_only_what_its_role_allows(aws: Any, schedule: Callable[..., str], group: str) -> None:
    function = aws.function(RECORD)
    unqualified = aws.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    name = schedule(function, "cron(0 22 1 1 ? 2100)", allowed=unqualified)
    problem = aws.control("schedules/fire", {"group": group, "schedule": name})["error"]
    assert "AccessDeniedException" in problem
    assert f"not authorized to perform: lambda:InvokeFunction on resource: {unqualified}:live because" in problem


@pytest.mark.parametrize(
    ("expression", "wrong", "problem"),
    [
        ("cron(0 22 * * SUN *)", {}, "Invalid Schedule Expression cron(0 22 * * SUN *)"),
        ("rate(0 days)", {}, "Invalid Schedule Expression rate(0 days)"),
        ("rate(7 days)", {"timezone": "Europe/Nowhere"}, "Provided time zone 'Europe/Nowhere' is not valid"),
        ("rate(7 days)", {"trusted": "others"}, "must allow AWS EventBridge Scheduler to assume the role"),
    ],
)
def test_a_schedule_that_aws_would_refuse_is_refused(
    aws: Any, schedule: Callable[..., str], expression: str, wrong: dict[str, str], problem: str
) -> None:
    with pytest.raises(ClientError, match="ValidationException") as error:
        schedule(aws.function(RECORD), expression, **wrong)
    assert problem in str(error.value)
