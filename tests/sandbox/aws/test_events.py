import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.events import models

from sandbox.aws.arns import ACCOUNT_ID
from sandbox.aws.events import EventBus, ScheduleClock, rate_seconds

Eventually = Callable[[Callable[[], Any]], Any]

RECORD = "import json\ndef handler(event, context): print('got=' + json.dumps(event))"


def received(aws: Any, name: str) -> list[Any]:
    return [json.loads(line.removeprefix("got=")) for line in aws.logged(name) if line.startswith("got=")]


def last_sequence(aws: Any) -> int:
    seen = aws.control("events")
    return seen[-1]["sequence"] if seen else 0


@pytest.fixture
def rule(aws: Any) -> Callable[..., str]:
    """Create a rule with one target, the alias of a function which it may invoke."""

    def create(function: str, *, permitted: bool = True, target: dict[str, Any] | None = None, **settings: Any) -> str:
        name = f"r{time.monotonic_ns()}"
        events = aws.client("events")
        arn = events.put_rule(Name=name, **settings)["RuleArn"]
        alias = aws.client("lambda").get_alias(FunctionName=function, Name="live")["AliasArn"]
        events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": alias, **(target or {})}])
        if permitted:
            aws.client("lambda").add_permission(
                FunctionName=function,
                Qualifier="live",
                StatementId=name,
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=arn,
            )
        return name

    return create


def put(aws: Any, source: str, detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail)}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_an_event_reaches_the_functions_whose_rules_match(
    aws: Any, rule: Callable[..., str], eventually: Eventually
) -> None:
    wanted, other = aws.function(RECORD), aws.function(RECORD)
    rule(wanted, EventPattern=json.dumps({"source": ["shop"], "detail": {"n": [{"prefix": "7"}]}}))
    rule(other, EventPattern=json.dumps({"source": ["shop"], "detail": {"n": ["8"]}}))
    rule(other, EventPattern=json.dumps({"source": ["shop"]}), State="DISABLED")
    rule(other, ScheduleExpression="rate(5 minutes)")
    put(aws, "shop", {"n": "71"})
    [event] = eventually(lambda: received(aws, wanted))
    assert {key: event[key] for key in ("source", "detail-type", "detail", "account", "region", "version")} == {
        "source": "shop",
        "detail-type": "Test",
        "detail": {"n": "71"},
        "account": "123456789012",
        "region": "us-east-2",
        "version": "0",
    }
    assert time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")
    [seen] = [e for e in aws.control("events") if e["event"]["id"] == event["id"]]
    assert [(d["target"].rsplit(":", 2)[1], d["error"]) for d in seen["deliveries"]] == [(wanted, None)]


def test_a_target_gets_its_input_or_its_transformed_input(
    aws: Any, rule: Callable[..., str], eventually: Eventually
) -> None:
    pattern = json.dumps({"source": ["inputs"]})
    function = aws.function(RECORD)
    rule(function, EventPattern=pattern, target={"Input": '{"action": "sweep"}'})
    transformer = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"number": <n>}'}
    rule(function, EventPattern=pattern, target={"InputTransformer": transformer})
    put(aws, "inputs", {"n": 7})
    found = eventually(lambda: (r := received(aws, function)) and len(r) == 2 and r)
    assert sorted(found, key=str) == [{"action": "sweep"}, {"number": 7}]


def test_a_rule_that_the_function_does_not_permit_delivers_nothing_and_says_so(
    aws: Any, rule: Callable[..., str]
) -> None:
    function = aws.function(RECORD)
    rule(function, permitted=False, EventPattern=json.dumps({"source": ["stranger"]}))
    after = last_sequence(aws)
    put(aws, "stranger", {})
    [seen] = aws.control(f"events?after={after}&wait=5")
    assert "AccessDenied" in seen["deliveries"][0]["error"] or "does not let" in seen["deliveries"][0]["error"]


def test_an_event_starts_a_state_machine(aws: Any, eventually: Eventually) -> None:
    states = aws.client("stepfunctions")
    definition = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    machine = states.create_state_machine(name="started", definition=definition, roleArn=aws.role)["stateMachineArn"]
    events = aws.client("events")
    events.put_rule(Name="start", EventPattern=json.dumps({"source": ["starter"]}))
    events.put_targets(Rule="start", Targets=[{"Id": "m", "Arn": machine, "RoleArn": aws.role, "Input": '{"a": 1}'}])
    put(aws, "starter", {})
    [execution] = eventually(lambda: states.list_executions(stateMachineArn=machine)["executions"])
    assert json.loads(states.describe_execution(executionArn=execution["executionArn"])["input"]) == {"a": 1}


def test_a_schedule_fires_on_demand_with_its_input(aws: Any, rule: Callable[..., str], eventually: Eventually) -> None:
    function = aws.function(RECORD)
    name = rule(function, ScheduleExpression="rate(1 minute)", target={"Input": '{"action": "sweep"}'})
    assert aws.control("schedules/fire", {"rule": name}) == {"fired": name}
    assert eventually(lambda: received(aws, function)) == [{"action": "sweep"}]
    assert "no rule 'nobody'" in aws.control("schedules/fire", {"rule": "nobody"})["error"]


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("rate(1 minute)", 60),
        ("rate(5 minutes)", 300),
        ("rate(2 hours)", 7200),
        ("rate(1 day)", 86400),
        ("cron(0 0 * * ? *)", None),
        ("", None),
    ],
)
def test_rates_have_periods(expression: str, seconds: int | None) -> None:
    assert rate_seconds(expression) == seconds


def test_the_clock_fires_each_enabled_rate_once_a_period() -> None:
    with mock_aws():
        backend = models.events_backends[ACCOUNT_ID]["us-east-2"]
        for name, schedule, state in (
            ("minute", "rate(1 minute)", "ENABLED"),
            ("hour", "rate(1 hour)", "ENABLED"),
            ("off", "rate(1 minute)", "DISABLED"),
            ("cron", "cron(* * * * ? *)", "ENABLED"),
        ):
            backend.put_rule(name, scheduled_expression=schedule, state=state)
            backend.put_targets(
                name, None, [{"Id": "t", "Arn": f"arn:aws:lambda:us-east-2:{ACCOUNT_ID}:function:{name}"}]
            )
        fired: list[str] = []
        bus = EventBus()
        bus.add_target("lambda", lambda rule, _target, _payload: fired.append(rule.rsplit("/", 1)[-1]))
        clock = ScheduleClock(bus)
        for now in (0, 59, 60, 61, 119, 120):
            clock.tick(now)
        assert fired == ["minute", "minute"]
        backend.put_rule("minute", scheduled_expression="rate(2 minutes)")  # begins anew
        for now in (180, 181, 299, 300):
            clock.tick(now)
        assert fired == ["minute"] * 3


@pytest.fixture
def machine(aws: Any) -> str:
    definition = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    arn: str = aws.client("stepfunctions").create_state_machine(
        name=f"t{time.monotonic_ns()}", definition=definition, roleArn=aws.role
    )["stateMachineArn"]
    return arn


def tag_events(aws: Any, after: int) -> list[Any]:
    return [e["event"] for e in aws.control(f"events?after={after}") if e["event"]["source"] == "aws.tag"]


def test_a_changed_tag_of_a_state_machine_is_an_event(aws: Any, machine: str) -> None:
    after = last_sequence(aws)
    states = aws.client("stepfunctions")
    states.tag_resource(resourceArn=machine, tags=[{"key": "Maintenance", "value": "true"}])
    states.tag_resource(resourceArn=machine, tags=[{"key": "Maintenance", "value": "true"}])  # changes nothing
    aws.client("resourcegroupstaggingapi").tag_resources(ResourceARNList=[machine], Tags={"Team": "a"})
    states.untag_resource(resourceArn=machine, tagKeys=["Maintenance"])
    events = tag_events(aws, after)
    assert [(e["detail"]["changed-tag-keys"], e["detail"]["tags"]) for e in events] == [
        (["Maintenance"], {"Maintenance": "true"}),
        (["Team"], {"Maintenance": "true", "Team": "a"}),
        (["Maintenance"], {"Team": "a"}),
    ]
    assert {key: events[0]["detail"][key] for key in ("service", "resource-type")} == {
        "service": "states",
        "resource-type": "stateMachine",
    }
    assert events[0]["detail-type"] == "Tag Change on Resource"
    assert events[0]["resources"] == [machine]


def test_tag_events_can_be_lost(aws: Any, machine: str) -> None:
    after = last_sequence(aws)
    assert aws.control("faults", {"drop_tag_events": True})["drop_tag_events"] is True
    try:
        aws.client("stepfunctions").tag_resource(resourceArn=machine, tags=[{"key": "a", "value": "b"}])
    finally:
        aws.control("faults", {"drop_tag_events": False})
    assert tag_events(aws, after) == []


def test_the_tagging_api_finds_tagged_state_machines(aws: Any, machine: str) -> None:
    tagging = aws.client("resourcegroupstaggingapi")
    tagging.tag_resources(ResourceARNList=[machine], Tags={"Maintenance": "true"})
    assert aws.client("stepfunctions").list_tags_for_resource(resourceArn=machine)["tags"] == [
        {"key": "Maintenance", "value": "true"}
    ]
    found = tagging.get_resources(
        ResourceTypeFilters=["states:stateMachine"], TagFilters=[{"Key": "Maintenance", "Values": ["true"]}]
    )["ResourceTagMappingList"]
    assert [resource["ResourceARN"] for resource in found if resource["ResourceARN"] == machine] == [machine]


def test_what_does_not_exist_has_no_tags(aws: Any, machine: str) -> None:
    states = aws.client("stepfunctions")
    unknown = f"{machine}-not"
    calls: list[Callable[[], Any]] = [
        lambda: states.tag_resource(resourceArn=unknown, tags=[{"key": "a", "value": "b"}]),
        lambda: states.untag_resource(resourceArn=unknown, tagKeys=["a"]),
        lambda: states.list_tags_for_resource(resourceArn=unknown),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == "ResourceNotFound"
    failed = aws.client("resourcegroupstaggingapi").tag_resources(ResourceARNList=[unknown], Tags={"a": "b"})
    assert failed["FailedResourcesMap"][unknown]["ErrorCode"] == "InvalidParameterException"
