"""Each module on its own, as a stack may use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from maintenance.metrics import NAMESPACE
from tests.plan.conftest import SLACK, arn, statements

if TYPE_CHECKING:
    from tests.plan.conftest import Planner

BUCKET = {"arn": "arn:aws:s3:::shop", "name": "shop"}
KEY = arn("kms", "key/1")
APPROVAL = arn("lambda", "function:orders-approval")
MAINTENANCE = arn("lambda", "function:orders-maintenance")
CODE = {"folders": ["maintenance", "shared"], "root": "../../functions", "services": ["s3"]}
FUNCTION = {
    "aws_cloudwatch_log_group": 1,
    "aws_iam_role": 1,
    "aws_iam_role_policy": 1,
    "aws_lambda_alias": 1,
    "aws_lambda_function": 1,
    "aws_lambda_function_event_invoke_config": 1,
    "aws_s3_object": 2,
    "terraform_data": 1,
}


def test_the_checkpoint_policy_is_a_document_for_qualified_arns(planner: Planner) -> None:
    plan = planner.plan("modules/checkpoint_policy", {"function_arn": arn("lambda", "function:deploy")})
    assert plan.counts == {}
    (statement,) = statements(plan.outputs["json"]).values()
    assert statement["Resource"] == arn("lambda", "function:deploy:*")


def test_the_bucket_takes_a_name_a_key_and_expirations(planner: Planner) -> None:
    variables = {"expiration_days": {"approval-claims/": 38}, "force_destroy": True, "kms_key_arn": KEY, "name": "shop"}
    plan = planner.plan("modules/bucket", variables)
    bucket = plan.one("aws_s3_bucket.this")
    assert (bucket["bucket"], bucket["force_destroy"]) == ("shop", True)
    (rule,) = plan.one("aws_s3_bucket_server_side_encryption_configuration.this")["rule"]
    (encryption,) = rule["apply_server_side_encryption_by_default"]
    assert (encryption["sse_algorithm"], encryption["kms_master_key_id"]) == ("aws:kms", KEY)
    assert rule["bucket_key_enabled"] is True
    abort, expire = plan.one("aws_s3_bucket_lifecycle_configuration.this")["rule"]
    assert abort["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 7}]
    assert abort["expiration"] == []
    assert (expire["filter"][0]["prefix"], expire["expiration"][0]["days"]) == ("approval-claims/", 38)
    assert "aws_s3_bucket_versioning" not in plan.counts


def test_a_function_that_is_not_durable_gets_no_checkpoints(planner: Planner) -> None:
    variables = {
        "bucket": BUCKET,
        "code": CODE,
        "environment_variables": {"LEVEL": "1"},
        "lambda": {"failed_events": {"arn": arn("sns", "failed")}},
        "name": "orders-extra",
        "statements": {"Read": {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop/x/*"]}},
    }
    plan = planner.settled("modules/lambda_function", variables)
    assert plan.counts == FUNCTION
    function = plan.one("aws_lambda_function.this")
    assert (function["durable_config"], function["dead_letter_config"]) == ([], [])
    assert function["environment"] == [{"variables": {"LEVEL": "1"}}]
    assert function["reserved_concurrent_executions"] == -1
    (destinations,) = plan.one("aws_lambda_function_event_invoke_config.live")["destination_config"]
    assert destinations["on_failure"] == [{"destination": arn("sns", "failed")}]
    assert statements(plan.one("aws_iam_role_policy.this")["policy"]) == {
        "FailedEvents": {"Effect": "Allow", "Action": ["sns:Publish"], "Resource": [arn("sns", "failed")]},
        "Logs": {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [arn("logs", "log-group:/aws/lambda/orders-extra:*")],
        },
        "Read": {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::shop/x/*"]},
    }
    assert plan.outputs == {
        "alias_arn": arn("lambda", "function:orders-extra:live"),
        "alias_invoke_arn": plan.one("aws_lambda_alias.live")["invoke_arn"],
        "function_arn": arn("lambda", "function:orders-extra"),
        "function_name": "orders-extra",
        "log_group_name": "/aws/lambda/orders-extra",
        "role_name": "orders-extra",
    }


def test_the_approval_gate_stands_alone(planner: Planner) -> None:
    slack = {name: value for name, value in SLACK.items() if name != "signing_secret_secret_arn"}
    variables = {"bucket": BUCKET, "environment": "production", "name": "orders", "reserved_concurrency": 5}
    plan = planner.plan("modules/approval_gate", {**variables, "execution_timeout": 900, "slack": slack})
    assert plan.counts == {**FUNCTION, "aws_iam_role_policy": 2}
    function = plan.one("aws_lambda_function.this")
    assert function["durable_config"] == [{"execution_timeout": 900, "retention_period": 14}]
    assert function["reserved_concurrent_executions"] == 5
    environment = function["environment"][0]["variables"]
    assert (environment["ENVIRONMENT"], environment["DEFAULT_TIMEOUT_SECONDS"]) == ("production", "780")


WEBHOOK = {
    "bucket": BUCKET,
    "name": "orders",
    "slack": {name: value for name, value in SLACK.items() if name != "channel"},
}


def test_the_slack_webhook_stands_alone(planner: Planner) -> None:
    throttling = {"burst_limit": 5, "rate_limit": 2}
    approval = {"event_bus_name": "shop", "function_arn": APPROVAL}
    plan = planner.plan("modules/slack_webhook", {**WEBHOOK, "approval": approval, "throttling": throttling})
    assert plan.counts["aws_apigatewayv2_route"] == 1
    assert plan.one("aws_apigatewayv2_stage.this")["default_route_settings"][0]["throttling_rate_limit"] == 2
    (pattern,) = (json.loads(v["event_pattern"]) for v in plan.of("aws_cloudwatch_event_rule").values())
    assert pattern["detail"]["functionArn"] == [APPROVAL, {"prefix": f"{APPROVAL}:"}]


def test_the_slack_webhook_gives_notices_without_an_approval_gate(planner: Planner) -> None:
    maintenance = {
        "approvers": {"users": ["U0123ABCD"]},
        "channel": "C0123ABCD",
        "event_bus_name": "shop",
        "function_alias_arn": f"{MAINTENANCE}:live",
    }
    plan = planner.settled("modules/slack_webhook", {**WEBHOOK, "maintenance": maintenance})
    (rule,) = plan.of("aws_cloudwatch_event_rule").values()
    assert (rule["name"], rule["event_bus_name"]) == ("orders-maintenance-notices", "shop")
    assert json.loads(rule["event_pattern"])["resources"] == [MAINTENANCE]
    (target,) = plan.of("aws_cloudwatch_event_target").values()
    assert (target["rule"], target["event_bus_name"]) == ("orders-maintenance-notices", "shop")
    manifest = json.loads(plan.outputs["slack_app_manifest"])
    assert manifest["display_information"]["name"] == "Maintenance orders"
    assert manifest["features"]["bot_user"]["display_name"] == "orders-maintenance"
    # No user group may click, so nobody has to know who is in one.
    assert manifest["oauth_config"]["scopes"]["bot"] == ["channels:history", "chat:write", "groups:history"]


def test_the_maintenance_gate_stands_alone(planner: Planner) -> None:
    variables = {"bucket": BUCKET, "environment": "production", "name": "orders", "prefix": "gates"}
    plan = planner.plan("modules/maintenance_gate", variables)
    assert plan.counts == {
        **FUNCTION,
        "aws_cloudwatch_event_rule": 2,
        "aws_cloudwatch_event_target": 2,
        "aws_lambda_function_recursion_config": 1,
        "aws_lambda_permission": 2,
    }
    environment = plan.one("aws_lambda_function.this")["environment"][0]["variables"]
    assert environment == {
        "Bucket": "shop",
        "ENVIRONMENT": "production",
        "EVENT_BUS_NAME": "default",
        "Prefix": "gates",
        "ResumeRatePerSecond": "200",
        "StateMachineNames": '["*"]',
    }


def test_the_maintenance_gate_raises_alarms_on_what_only_it_knows(planner: Planner) -> None:
    topic = arn("sns", "alarms")
    variables = {
        "alarm_parked_hours": 12,
        "bucket": BUCKET,
        "lambda": {"alarm_actions": [topic]},
        "name": "orders",
        "windows": {"weekly": {"duration_minutes": 60, "schedule": "rate(7 days)"}},
    }
    plan = planner.plan("modules/maintenance_gate", variables)
    own = {
        address.split('"')[1]: alarm
        for address, alarm in plan.of("aws_cloudwatch_metric_alarm").items()
        if not address.startswith("module.function.")
    }
    shown = ("namespace", "metric_name", "statistic", "comparison_operator", "threshold", "period")
    assert {name: tuple(alarm[key] for key in shown) for name, alarm in own.items()} == {
        "parked-too-long": (NAMESPACE, "OldestParkedTaskAge", "Maximum", "GreaterThanThreshold", 43200, 300),
        "sweep-incomplete": (NAMESPACE, "SweepFailures", "Maximum", "GreaterThanThreshold", 0, 60),
        "sweep-missing": (NAMESPACE, "Sweeps", "Sum", "LessThanThreshold", 1, 60),
        "tasks-dead": (NAMESPACE, "TasksDead", "Sum", "GreaterThanThreshold", 0, 300),
        "tasks-quarantined": (NAMESPACE, "TasksQuarantined", "Sum", "GreaterThanThreshold", 0, 300),
        "window-dropped": ("AWS/Scheduler", "InvocationDroppedCount", "Sum", "GreaterThanThreshold", 0, 300),
    }
    assert {alarm["alarm_name"] for alarm in own.values()} == {f"orders-maintenance-{name}" for name in own}
    assert {tuple(alarm["alarm_actions"]) for alarm in own.values()} == {(topic,)}
    # Silence is an alarm where the metric is a heartbeat, and nowhere else.
    assert [name for name, alarm in own.items() if alarm["treat_missing_data"] == "breaching"] == ["sweep-missing"]
    assert (own["sweep-missing"]["evaluation_periods"], own["sweep-missing"]["datapoints_to_alarm"]) == (5, None)
    assert (own["sweep-incomplete"]["evaluation_periods"], own["sweep-incomplete"]["datapoints_to_alarm"]) == (5, 3)
    # The dimensions that the function writes.
    dimensions = {name: alarm["dimensions"] for name, alarm in own.items()}
    assert dimensions.pop("window-dropped") == {"ScheduleGroup": "orders-maintenance-windows"}
    assert set(map(str, dimensions.values())) == {str({"FunctionName": "orders-maintenance"})}


MANY_GATES = """
module "gate" {
  source              = "../../modules/maintenance_gate"
  for_each            = var.windows
  bucket              = { arn = "arn:aws:s3:::shop", name = "shop" }
  name                = "orders"
  state_machine_names = ["Order", "Refund.v*"]
  windows             = { (each.key) = each.value }
}

variable "windows" {
  type = any
}
"""
WEEKLY = {"duration_minutes": 60, "schedule": "rate(7 days)"}
GOOD_WINDOWS: dict[str, dict[str, Any]] = {
    "at": {**WEEKLY, "schedule": "at(2030-01-31T22:00:00)", "timezone": "America/Argentina/Buenos_Aires"},
    "day-of-month": {**WEEKLY, "schedule": "cron(0/15 22-23 1,15 JAN-MAR ? 2030)", "timezone": "Etc/GMT+3"},
    "day-of-week": {**WEEKLY, "schedule": "cron(0 22 ? * 6#3 *)", "timezone": "UTC"},
    "last-day": {**WEEKLY, "schedule": "cron(0 22 L * ? *)"},
    "longest": {**WEEKLY, "duration_minutes": 10079, "reason": "r" * 1000},
    "machines": {**WEEKLY, "state_machine_names": ["Order", "Refund.v2", "Refund.v"]},
    "rate": {**WEEKLY, "duration_minutes": 1, "schedule": "rate(2 minutes)"},
}
WRONG_WINDOWS: dict[str, tuple[dict[str, Any], str]] = {
    "a b": ({}, 'windows has the names ["a b"]: use 1 to 40 letters'),
    "at-zone": (
        {"schedule": "at(2030-01-31T22:00:00Z)"},
        'schedules {"at-zone":"at(2030-01-31T22:00:00Z)"}: give each',
    ),
    "both-days": ({"schedule": "cron(0 22 * * * *)"}, 'schedules {"both-days":"cron(0 22 * * * *)"}: give each'),
    "five-fields": ({"schedule": "cron(0 22 ? * SUN)"}, 'schedules {"five-fields":"cron(0 22 ? * SUN)"}: give each'),
    "no-days": ({"schedule": "cron(0 22 ? * ? *)"}, 'schedules {"no-days":"cron(0 22 ? * ? *)"}: give each'),
    "no-rate": ({"schedule": "rate(0 days)"}, 'schedules {"no-rate":"rate(0 days)"}: give each'),
    "zone": ({"timezone": ""}, 'time zones {"zone":""}: give names of the IANA time zone database'),
    "short": ({"duration_minutes": 0}, 'durations {"short":0}: give whole minutes, 1 to 10080'),
    "long": ({"duration_minutes": 10081}, 'durations {"long":10081}: give whole minutes'),
    "half": ({"duration_minutes": 1.5}, 'durations {"half":1.5}: give whole minutes'),
    "endless": (
        {"duration_minutes": 10080},
        "a window lasts as long as its rate(...) or longer, so it would never end",
    ),
    "arn": (
        {"state_machine_names": [arn("states", "stateMachine:Order")]},
        'stateMachine:Order"]}: give names (no ARNs, no "*") that state_machine_names lets the gate hold',
    ),
    "pattern": ({"state_machine_names": ["Refund.v*"]}, 'state machines {"pattern":["Refund.v*"]}: give names'),
    "dot": ({"state_machine_names": ["RefundXv2"]}, 'state machines {"dot":["RefundXv2"]}: give names'),
    "nothing": ({"state_machine_names": []}, "a window has no state machine: name at least one"),
    "novel": ({"reason": "r" * 1001}, "a reason is longer than 1000 characters"),
}


@pytest.fixture(scope="module")
def _many_gates(planner: Planner) -> None:
    planner.add("stacks/windows", MANY_GATES)


@pytest.mark.usefixtures("_many_gates")
def test_every_form_of_a_schedule_is_taken(planner: Planner) -> None:
    plan = planner.plan("stacks/windows", {"windows": GOOD_WINDOWS})
    assert {schedule["schedule_expression"] for schedule in plan.of("aws_scheduler_schedule").values()} == {
        window["schedule"] for window in GOOD_WINDOWS.values()
    }


@pytest.mark.usefixtures("_many_gates")
def test_a_window_that_cannot_be_is_refused_with_the_value_and_the_fix(planner: Planner) -> None:
    windows = {name: WEEKLY | changed for name, (changed, _) in WRONG_WINDOWS.items()}
    text = planner.refused("stacks/windows", {"windows": windows})
    assert [message for _, message in WRONG_WINDOWS.values() if message not in text] == [], text


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "checkpoint_policy": (
        {"function_arn": f"{APPROVAL}:live"},
        [f'function_arn is "{APPROVAL}:live": give the unqualified ARN', "without version or alias"],
    ),
    "bucket": (
        {"expiration_days": {"functions/": 1, "x": 0.5}, "name": "Shop", "name_prefix": "-"},
        [
            'expiration_days has the prefixes ["functions/","x"]: each must end in "/"',
            'expiration_days is {"functions/":1,"x":0.5}: give whole days, at least 1',
            'name is "Shop": a bucket name here has 3 to 63',
            'name_prefix is "-": give 1 to 37',
        ],
    ),
    "lambda_function": (
        {
            "code": {"folders": ["order-workflow"], "handler": "handler", "root": "../../functions"},
            "durable_config": {"execution_timeout": 0},
            "event_invoke": {"maximum_retries": 3},
            "memory_size": 64,
            "name": "orders extra",
            "reserved_concurrency": -2,
            "timeout": 901,
        },
        [
            'code.folders is ["order-workflow"]: name at least one folder below code.root',
            'code.handler is "handler": give the dotted name of a function',
            'code.requirements: there is no file "../../functions/order-workflow/requirements.txt"',
            "bucket is null: name the bucket that the package is built into, or pass a ready-made one in `package`",
            "execution_timeout must be 1 to 31622400 seconds (366 days) and retention_period 1 to 90 days",
            "maximum_retries must be 0, 1 or 2 and maximum_event_age 60 to 21600 seconds",
            "memory_size is 64: Lambda takes 128 to 10240 MB",
            'name is "orders extra" (12 characters): use 1 to 64 letters',
            "reserved_concurrency is -2: give a whole number, or -1 to reserve nothing",
            "timeout is 901: Lambda takes 1 to 900 seconds",
        ],
    ),
    "approval_gate": (
        {
            "approvers": ["alice"],
            "bucket": BUCKET,
            "default_timeout": 3600,
            "execution_timeout": 3600,
            "name": "orders-",
            "retention_period": 91,
            "slack": SLACK,
        },
        [
            'approvers is ["alice"]: give Slack user ids such as "U0123ABCD"',
            "default_timeout is 3600: it must be 1 to 3480 seconds, that is execution_timeout (3600) less 120",
            'name is "orders-" (7 characters): use 1 to 40',
            "retention_period is 91: give 1 to 90 days",
        ],
    ),
    "slack_webhook": (
        {
            "bucket": BUCKET,
            "maintenance": {
                "approvers": {"groups": ["operators"], "users": ["alice"]},
                "channel": "#operations",
                "event_bus_name": "my bus",
                "function_alias_arn": MAINTENANCE,
            },
            "name": "orders",
            "slack": {**SLACK, "api_url": "slack.com"},
            "throttling": {"burst_limit": 0},
        },
        [
            'maintenance.approvers is {"groups":["operators"],"users":["alice"]}: give at least one Slack user id',
            'maintenance.channel is "#operations": give the id of a channel',
            'maintenance.event_bus_name is "my bus": give the name (not ARN)',
            f'maintenance.function_alias_arn is "{MAINTENANCE}": give the ARN of the alias',
            'slack.api_url is "slack.com": give an https:// address',
            "both limits must be at least 1, or no click gets through",
        ],
    ),
    "maintenance_gate": (
        {
            "alarm_parked_hours": 0,
            "bucket": BUCKET,
            "event_bus_name": "",
            "name": "orders",
            "prefix": "approval-claims/x",
            "reserved_concurrency": 1,
            "state_machine_names": [],
            "timeout": 299,
        },
        [
            "alarm_parked_hours is 0: give hours, more than 0",
            'event_bus_name is "": give the name (not ARN)',
            'prefix is "approval-claims/x": use letters, digits',
            "reserved_concurrency is 1: give at least 2, because a drain and check-ins run beside each other",
            'state_machine_names is []: give at least one name (not ARN) or pattern such as "Order*"',
            "timeout is 299: give 300 to 900 seconds",
        ],
    ),
}


def test_a_slack_webhook_that_nothing_would_come_to_is_refused(planner: Planner) -> None:
    text = planner.refused("modules/slack_webhook", WEBHOOK)
    assert "approval and maintenance are both null: set at least one of them" in text


def test_a_slack_webhook_of_a_wrong_approval_function_is_refused(planner: Planner) -> None:
    approval = {"event_bus_name": "", "function_arn": f"{APPROVAL}:live"}
    text = planner.refused("modules/slack_webhook", {**WEBHOOK, "approval": approval})
    assert f'approval.function_arn is "{APPROVAL}:live": give the unqualified ARN' in text
    assert 'approval.event_bus_name is "": give the name (not ARN)' in text


@pytest.mark.parametrize("module", WRONG)
def test_wrong_input_is_refused_with_the_value_and_the_fix(planner: Planner, module: str) -> None:
    variables, messages = WRONG[module]
    text = planner.refused(f"modules/{module}", variables)
    assert [message for message in messages if message not in text] == [], text
