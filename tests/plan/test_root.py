"""The root module: what each gate makes, and what it may do."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import build
from maintenance.cloud import CloudError
from tests.plan.conftest import ACCOUNT, BOTH, REGION, SLACK, arn, statements

if TYPE_CHECKING:
    from tests.plan.conftest import Plan, Planner

FUNCTIONS_FOLDER = Path(build.__file__).parent
BUCKET = "arn:aws:s3:::orders-gates-20260101"
FUNCTIONS = {
    "approval": "module.approval_gate[0].module.function",
    "maintenance": "module.maintenance_gate[0].module.function",
    "slack-webhook": "module.slack_webhook[0].module.function",
}
FUNCTION_COUNTS = {
    "aws_cloudwatch_log_group": 1,
    "aws_iam_role": 1,
    "aws_iam_role_policy": 1,
    "aws_lambda_alias": 1,
    "aws_lambda_function": 1,
    "aws_lambda_function_event_invoke_config": 1,
    "aws_s3_object": 2,
    "terraform_data": 1,
}
BUCKET_COUNTS = {
    "aws_s3_bucket": 1,
    "aws_s3_bucket_lifecycle_configuration": 1,
    "aws_s3_bucket_ownership_controls": 1,
    "aws_s3_bucket_policy": 1,
    "aws_s3_bucket_public_access_block": 1,
    "aws_s3_bucket_server_side_encryption_configuration": 1,
}
APPROVAL_COUNTS = {  # besides two functions, and what Slack needs anyway
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_iam_role_policy": 1,  # checkpoints
    "aws_lambda_permission": 1,
}
MAINTENANCE_COUNTS = {  # besides a function
    "aws_cloudwatch_event_rule": 2,
    "aws_cloudwatch_event_target": 2,
    "aws_lambda_function_recursion_config": 1,
    "aws_lambda_permission": 2,
}
NOTICES_COUNTS = {  # besides what Slack needs anyway
    "aws_cloudwatch_event_rule": 1,
    "aws_cloudwatch_event_target": 1,
    "aws_lambda_permission": 1,
}
SLACK_COUNTS = {  # besides a function
    "aws_apigatewayv2_api": 1,
    "aws_apigatewayv2_integration": 1,
    "aws_apigatewayv2_route": 1,
    "aws_apigatewayv2_stage": 1,
    "aws_cloudwatch_log_group": 1,  # access log
    "aws_lambda_permission": 1,
}
NOTICES: dict[str, Any] = {"approvers": {"groups": ["S0123ABCD"], "users": ["U0123ABCD"]}}
LOGS = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"]}
CLAIMS: dict[str, dict[str, Any]] = {
    "Claims": {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": [f"{BUCKET}/approval-claims/*"],
    },
    "ClaimsListing": {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [BUCKET],
        "Condition": {"StringLikeIfExists": {"s3:prefix": ["approval-claims/*"]}},
    },
}
EVENTS = {
    "Effect": "Allow",
    "Action": ["events:PutEvents"],
    "Resource": [arn("events", "event-bus/default")],
}
BOT_TOKEN = {
    "Effect": "Allow",
    "Action": ["secretsmanager:GetSecretValue"],
    "Resource": [SLACK["bot_token_secret_arn"]],
}
STATE_MACHINES = [arn("states", "stateMachine:*")]
POLICIES: dict[str, dict[str, dict[str, Any]]] = {
    "approval": {
        **CLAIMS,
        "Events": EVENTS,
        "Logs": LOGS | {"Resource": [arn("logs", "log-group:/aws/lambda/orders-approval:*")]},
        "SlackBotToken": BOT_TOKEN,
        "TaskAnswers": {
            "Effect": "Allow",
            "Action": ["states:SendTaskFailure", "states:SendTaskSuccess"],
            "Resource": ["*"],
        },
    },
    "maintenance": {
        "Events": EVENTS,
        "Executions": {
            "Effect": "Allow",
            "Action": ["states:DescribeExecution"],
            "Resource": [arn("states", "execution:*:*"), arn("states", "execution:*/*:*")],
        },
        "FlagsStay": {
            "Effect": "Deny",
            "Action": ["s3:DeleteObject"],
            "Resource": [f"{BUCKET}/maintenance/~flags/*"],
        },
        "HandOver": {
            "Effect": "Allow",
            "Action": ["lambda:InvokeFunction"],
            "Resource": [arn("lambda", "function:orders-maintenance:live")],
        },
        "Logs": LOGS | {"Resource": [arn("logs", "log-group:/aws/lambda/orders-maintenance:*")]},
        "ParkedTasks": {
            "Effect": "Allow",
            "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            "Resource": [f"{BUCKET}/maintenance/*"],
        },
        "ParkedTasksListing": {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [BUCKET],
            "Condition": {"StringLikeIfExists": {"s3:prefix": ["maintenance/*"]}},
        },
        "StateMachineTagging": {
            "Effect": "Allow",
            "Action": ["states:TagResource", "states:UntagResource"],
            "Resource": STATE_MACHINES,
            "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["Maintenance", "MaintenanceUntil"]}},
        },
        "StateMachineTags": {
            "Effect": "Allow",
            "Action": ["states:ListTagsForResource"],
            "Resource": STATE_MACHINES,
        },
        "TaggedStateMachines": {"Effect": "Allow", "Action": ["tag:GetResources"], "Resource": ["*"]},
        "TaskAnswers": {
            "Effect": "Allow",
            "Action": ["states:SendTaskFailure", "states:SendTaskSuccess"],
            "Resource": ["*"],
        },
    },
    "slack-webhook": {
        **CLAIMS,
        "Callbacks": {
            "Effect": "Allow",
            "Action": [
                "lambda:GetDurableExecution",
                "lambda:GetDurableExecutionHistory",
                "lambda:SendDurableExecutionCallbackSuccess",
            ],
            "Resource": [arn("lambda", "function:orders-approval:*")],
        },
        "Events": EVENTS,
        "Logs": LOGS | {"Resource": [arn("logs", "log-group:/aws/lambda/orders-slack-webhook:*")]},
        "SlackBotToken": BOT_TOKEN,
        "SlackSigningSecret": BOT_TOKEN | {"Resource": [SLACK["signing_secret_secret_arn"]]},
        "TaskAnswers": {"Effect": "Allow", "Action": ["states:SendTaskFailure"], "Resource": ["*"]},
    },
}


END_MAINTENANCE = {
    "EndMaintenance": {
        "Effect": "Allow",
        "Action": ["lambda:InvokeFunction"],
        "Resource": [arn("lambda", "function:orders-maintenance:live")],
    }
}


def total(*counts: dict[str, int]) -> dict[str, int]:
    return {name: sum(count.get(name, 0) for count in counts) for name in {name for count in counts for name in count}}


@pytest.fixture(scope="module")
def both(planner: Planner) -> Plan:
    return planner.settled(".", BOTH)


@pytest.fixture(params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_both_gates_make_exactly_these_resources(both: Plan) -> None:
    assert both.counts == total(
        BUCKET_COUNTS, *[FUNCTION_COUNTS] * 3, SLACK_COUNTS, APPROVAL_COUNTS, MAINTENANCE_COUNTS
    )


def test_without_the_approval_gate_nothing_of_it_is_made(planner: Planner) -> None:
    plan = planner.plan(".", {"name": "orders", "maintenance_gate": {}})
    assert plan.counts == total(BUCKET_COUNTS, FUNCTION_COUNTS, MAINTENANCE_COUNTS)
    assert plan.null_outputs == {
        "approval_caller_policy_json",
        "approval_function_arn",
        "approval_function_name",
        "approval_task_state",
        "slack_app_manifest",
        "slack_request_url",
        "slack_webhook_function_name",
    }


def test_without_the_maintenance_gate_nothing_of_it_is_made(planner: Planner) -> None:
    plan = planner.plan(".", {name: value for name, value in BOTH.items() if name != "maintenance_gate"})
    assert plan.counts == total(BUCKET_COUNTS, *[FUNCTION_COUNTS] * 2, SLACK_COUNTS, APPROVAL_COUNTS)
    assert plan.null_outputs == {
        "maintenance_caller_policy_json",
        "maintenance_function_arn",
        "maintenance_function_name",
        "maintenance_task_state",
        "maintenance_task_state_jsonata",
    }


def test_notices_of_maintenance_come_with_the_webhook_of_the_approval_gate(planner: Planner) -> None:
    gate = {"event_bus_name": "shop", "notices": NOTICES}
    plan = planner.settled(".", {**BOTH, "maintenance_gate": gate})
    counts = total(BUCKET_COUNTS, *[FUNCTION_COUNTS] * 3, SLACK_COUNTS, APPROVAL_COUNTS, MAINTENANCE_COUNTS)
    assert plan.counts == total(counts, NOTICES_COUNTS)
    webhook = FUNCTIONS["slack-webhook"]
    policy = statements(plan.one(f"{webhook}.aws_iam_role_policy.this")["policy"])
    assert policy == POLICIES["slack-webhook"] | END_MAINTENANCE
    variables = plan.one(f"{webhook}.aws_lambda_function.this")["environment"][0]["variables"]
    assert {name: value for name, value in variables.items() if name.startswith("MAINTENANCE")} == {
        "MAINTENANCE_APPROVERS": '{"groups":["S0123ABCD"],"users":["U0123ABCD"]}',
        "MAINTENANCE_CHANNEL": SLACK["channel"],
        "MAINTENANCE_FUNCTION_ARN": arn("lambda", "function:orders-maintenance:live"),
    }
    rule = plan.one("module.slack_webhook[0].aws_cloudwatch_event_rule.notices[0]")
    assert (rule["name"], rule["event_bus_name"]) == ("orders-maintenance-notices", "shop")
    assert json.loads(rule["event_pattern"]) == {
        "source": ["workflow-gates.maintenance"],
        "detail-type": ["Maintenance Began", "Maintenance Ended", "Maintenance Trouble"],
        # Another gate of the account may use the same bus.
        "resources": [arn("lambda", "function:orders-maintenance")],
    }
    target = plan.one("module.slack_webhook[0].aws_cloudwatch_event_target.notices[0]")
    assert (target["rule"], target["event_bus_name"], target["arn"]) == (
        "orders-maintenance-notices",
        "shop",
        arn("lambda", "function:orders-slack-webhook:live"),
    )
    permission = plan.one(f'{webhook}.aws_lambda_permission.this["MaintenanceNotices"]')
    assert (permission["principal"], permission["source_arn"], permission["qualifier"]) == (
        "events.amazonaws.com",
        arn("events", "rule/orders-maintenance-notices"),
        "live",
    )
    # The same app as without notices: what they need it has already.
    manifest = json.loads(plan.outputs["slack_app_manifest"])
    assert manifest["display_information"]["name"] == "Approvals orders"
    scopes = ["channels:history", "chat:write", "groups:history", "usergroups:read"]
    assert manifest["oauth_config"] == {"scopes": {"bot": scopes}}


def test_notices_of_maintenance_need_no_approval_gate(planner: Planner) -> None:
    notices = NOTICES | {"channel": "C0OPERATIONS"}
    plan = planner.settled(".", {"name": "orders", "maintenance_gate": {"notices": notices}, "slack": SLACK})
    counts = total(BUCKET_COUNTS, *[FUNCTION_COUNTS] * 2, SLACK_COUNTS, MAINTENANCE_COUNTS, NOTICES_COUNTS)
    assert plan.counts == counts
    webhook = FUNCTIONS["slack-webhook"]
    own = ("Logs", "SlackBotToken", "SlackSigningSecret")
    policy = statements(plan.one(f"{webhook}.aws_iam_role_policy.this")["policy"])
    assert policy == {sid: POLICIES["slack-webhook"][sid] for sid in own} | END_MAINTENANCE
    function = plan.one(f"{webhook}.aws_lambda_function.this")
    assert function["memory_size"] == 512
    assert function["environment"][0]["variables"] == {
        "ENVIRONMENT": "orders",
        "MAINTENANCE_APPROVERS": '{"groups":["S0123ABCD"],"users":["U0123ABCD"]}',
        "MAINTENANCE_CHANNEL": "C0OPERATIONS",
        "MAINTENANCE_FUNCTION_ARN": arn("lambda", "function:orders-maintenance:live"),
        "SLACK_API_URL": "https://slack.com/api/",
        "SLACK_BOT_TOKEN_ARN": SLACK["bot_token_secret_arn"],
        "SLACK_SIGNING_SECRET_ARN": SLACK["signing_secret_secret_arn"],
    }
    assert plan.outputs["slack_webhook_function_name"] == "orders-slack-webhook"
    manifest = json.loads(plan.outputs["slack_app_manifest"])
    assert manifest["display_information"]["name"] == "Maintenance orders"
    assert "usergroups:read" in manifest["oauth_config"]["scopes"]["bot"]
    assert manifest["settings"]["interactivity"]["request_url"] == plan.outputs["slack_request_url"]


def test_with_both_gates_off_there_is_nothing_at_all(planner: Planner) -> None:
    plan = planner.plan(".", {"name": "orders", "slack": SLACK})
    assert plan.counts == {}
    assert plan.outputs["role_names"] == {}
    assert plan.null_outputs == set(plan.raw["output_changes"]) - {"role_names"}


def test_every_function_may_do_its_own_work_and_nothing_else(both: Plan, function: str) -> None:
    policy = both.one(f"{FUNCTIONS[function]}.aws_iam_role_policy.this")
    assert statements(policy["policy"]) == POLICIES[function]
    assert policy["role"] == f"orders-{function}"


def test_a_policy_names_all_resources_only_where_the_service_knows_none(both: Plan) -> None:
    for policy in both.of("aws_iam_role_policy").values():
        for sid, statement in statements(policy["policy"]).items():
            assert "*" not in "".join(statement["Action"])
            if statement["Resource"] == ["*"]:
                assert sid in {"TaskAnswers", "TaggedStateMachines"}


def test_only_the_durable_function_may_checkpoint_and_only_qualified(both: Plan) -> None:
    checkpoints = {a: v for a, v in both.of("aws_iam_role_policy").items() if v["name"] == "checkpoint"}
    ((address, policy),) = checkpoints.items()
    assert address.startswith(FUNCTIONS["approval"])
    assert statements(policy["policy"]) == {
        "Checkpoint": {
            "Effect": "Allow",
            "Action": ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"],
            "Resource": arn("lambda", "function:orders-approval:*"),
        }
    }


def test_only_lambda_may_assume_the_roles(both: Plan) -> None:
    for role in both.of("aws_iam_role").values():
        (statement,) = json.loads(role["assume_role_policy"])["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_functions_are_made_the_same_way(both: Plan, function: str) -> None:
    values = both.one(f"{FUNCTIONS[function]}.aws_lambda_function.this")
    assert values["function_name"] == f"orders-{function}"
    assert values["handler"] == f"{function.replace('-', '_')}.handler.handler"
    assert values["role"] == f"arn:aws:iam::{ACCOUNT}:role/orders-{function}"
    assert (values["runtime"], values["architectures"]) == (build.DEFAULT_RUNTIME, [build.DEFAULT_ARCHITECTURE])
    assert values["publish"] is True
    assert values["tags"] == {"team": "orders"}
    (logging,) = values["logging_config"]
    assert (logging["log_format"], logging["log_group"]) == ("JSON", f"/aws/lambda/orders-{function}")
    alias = both.one(f"{FUNCTIONS[function]}.aws_lambda_alias.live")
    assert (alias["name"], alias["function_name"]) == ("live", f"orders-{function}")


def test_only_the_approval_function_is_durable(both: Plan) -> None:
    durable = {v["function_name"]: v["durable_config"] for v in both.of("aws_lambda_function").values()}
    assert durable == {
        "orders-approval": [{"execution_timeout": 2678400, "retention_period": 14}],
        "orders-maintenance": [],
        "orders-slack-webhook": [],
    }


def test_a_drain_has_five_minutes_and_a_click_thirty_seconds(both: Plan) -> None:
    timeouts = {v["function_name"]: v["timeout"] for v in both.of("aws_lambda_function").values()}
    assert timeouts == {"orders-approval": 300, "orders-maintenance": 300, "orders-slack-webhook": 30}


def test_the_functions_get_their_settings_and_no_secret(both: Plan) -> None:
    variables = {v["function_name"]: v["environment"][0]["variables"] for v in both.of("aws_lambda_function").values()}
    assert variables["orders-approval"] == {
        "APPROVERS": '["U0123ABCD"]',
        "BUCKET": "orders-gates-20260101",
        "DEFAULT_TIMEOUT_SECONDS": "86400",
        "ENVIRONMENT": "orders",
        "EVENT_BUS_NAME": "default",
        "EXECUTION_TIMEOUT_SECONDS": "2678400",
        "SLACK_API_URL": "https://slack.com/api/",
        "SLACK_BOT_TOKEN_ARN": SLACK["bot_token_secret_arn"],
        "SLACK_CHANNEL": "C0123ABCD",
    }
    assert variables["orders-slack-webhook"] == {
        "APPROVAL_FUNCTION_ARN": arn("lambda", "function:orders-approval"),
        "BUCKET": "orders-gates-20260101",
        "ENVIRONMENT": "orders",
        "EVENT_BUS_NAME": "default",
        "SLACK_API_URL": "https://slack.com/api/",
        "SLACK_BOT_TOKEN_ARN": SLACK["bot_token_secret_arn"],
        "SLACK_SIGNING_SECRET_ARN": SLACK["signing_secret_secret_arn"],
    }
    assert variables["orders-maintenance"] == {
        "Bucket": "orders-gates-20260101",
        "ENVIRONMENT": "orders",
        "EVENT_BUS_NAME": "default",
        "Prefix": "maintenance",
        "ResumeRatePerSecond": "200",
        "StateMachineNames": '["*"]',
    }


def test_only_the_function_that_hands_over_to_itself_may_do_so_again_and_again(both: Plan) -> None:
    ((address, values),) = both.of("aws_lambda_function_recursion_config").items()
    assert address.startswith("module.maintenance_gate[0].")
    assert (values["function_name"], values["recursive_loop"]) == ("orders-maintenance", "Allow")


def test_every_log_group_is_there_before_its_function_and_ends_some_day(both: Plan) -> None:
    retention = {v["name"]: v["retention_in_days"] for v in both.of("aws_cloudwatch_log_group").values()}
    assert {f"/aws/lambda/orders-{function}" for function in FUNCTIONS} < set(retention)
    assert set(retention.values()) == {30}
    for module in ("approval_gate", "maintenance_gate", "slack_webhook"):
        function = both.references("aws_lambda_function.this", f"{module}.function")
        assert "aws_cloudwatch_log_group.this" in function
        assert "aws_iam_role_policy.this" in function
    assert "aws_iam_role_policy.checkpoint" in both.references("aws_lambda_function.this", "approval_gate.function")


def test_retries_of_asynchronous_invocations_are_explicit(both: Plan) -> None:
    retries = {
        v["function_name"]: (v["qualifier"], v["maximum_retry_attempts"], v["maximum_event_age_in_seconds"])
        for v in both.of("aws_lambda_function_event_invoke_config").values()
    }
    assert retries == {
        "orders-approval": ("live", 0, 21600),  # a second start would ask people a second time
        "orders-maintenance": ("live", 2, 3600),
        "orders-slack-webhook": ("live", 2, 21600),
    }


def test_only_the_rules_and_the_route_may_invoke_and_only_the_alias(both: Plan) -> None:
    permissions = {
        v["statement_id"]: (v["function_name"], v["principal"], v["source_arn"])
        for v in both.of("aws_lambda_permission").values()
    }
    events, rule = "events.amazonaws.com", "rule/orders-"
    assert permissions == {
        "ApprovalStatus": ("orders-slack-webhook", events, arn("events", f"{rule}approval-status")),
        "MaintenanceSweep": ("orders-maintenance", events, arn("events", f"{rule}maintenance-sweep")),
        "MaintenanceTag": ("orders-maintenance", events, arn("events", f"{rule}maintenance-tag")),
        "SlackApi": (
            "orders-slack-webhook",
            "apigateway.amazonaws.com",
            arn("execute-api", "a1b2c3d4e5/*/POST/slack/interactions"),
        ),
    }
    assert {v["qualifier"] for v in both.of("aws_lambda_permission").values()} == {"live"}


def test_the_api_has_one_route_throttling_and_an_access_log(both: Plan) -> None:
    assert both.one("aws_apigatewayv2_route.this")["route_key"] == "POST /slack/interactions"
    assert both.one("aws_apigatewayv2_integration.this")["payload_format_version"] == "2.0"
    assert "function:orders-slack-webhook:live" in both.one("aws_apigatewayv2_integration.this")["integration_uri"]
    stage = both.one("aws_apigatewayv2_stage.this")
    (throttling,) = stage["default_route_settings"]
    assert (throttling["throttling_burst_limit"], throttling["throttling_rate_limit"]) == (100, 50)
    (log,) = stage["access_log_settings"]
    access_log = both.one("module.slack_webhook[0].aws_cloudwatch_log_group.access")
    assert log["destination_arn"] == arn("logs", f"log-group:{access_log['name']}")
    assert {"requestId", "status", "errorMessage", "ip"} <= set(json.loads(log["format"]))
    assert "signature" not in log["format"].lower()


def test_events_that_wake_the_functions(both: Plan) -> None:
    rules = {v["name"]: v for v in both.of("aws_cloudwatch_event_rule").values()}
    assert json.loads(rules["orders-maintenance-tag"]["event_pattern"]) == {
        "source": ["aws.tag"],
        "detail-type": ["Tag Change on Resource"],
        "detail": {"changed-tag-keys": ["Maintenance"], "resource-type": ["stateMachine"], "service": ["states"]},
    }
    approval = arn("lambda", "function:orders-approval")
    assert json.loads(rules["orders-approval-status"]["event_pattern"]) == {
        "source": ["aws.lambda"],
        "detail-type": ["Durable Execution Status Change"],
        "detail": {
            "functionArn": [approval, {"prefix": f"{approval}:"}],
            "status": ["FAILED", "STOPPED", "TIMED_OUT"],
        },
    }
    assert rules["orders-maintenance-sweep"]["schedule_expression"] == "rate(1 minute)"
    targets = {v["rule"]: (v["arn"], v.get("input")) for v in both.of("aws_cloudwatch_event_target").values()}
    maintenance = arn("lambda", "function:orders-maintenance:live")
    assert targets == {
        "orders-approval-status": (arn("lambda", "function:orders-slack-webhook:live"), None),
        "orders-maintenance-sweep": (maintenance, '{"action":"sweep"}'),
        "orders-maintenance-tag": (maintenance, None),
    }


def test_the_bucket_is_closed_encrypted_and_unversioned(both: Plan) -> None:
    block = both.one("aws_s3_bucket_public_access_block.this")
    assert all(block[name] for name in block if name.startswith(("block_", "ignore_", "restrict_")))
    ownership = both.one("aws_s3_bucket_ownership_controls.this")["rule"]
    assert ownership == [{"object_ownership": "BucketOwnerEnforced"}]
    (rule,) = both.one("aws_s3_bucket_server_side_encryption_configuration.this")["rule"]
    assert rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "AES256"
    assert statements(both.one("aws_s3_bucket_policy.this")["policy"])["TlsOnly"] == {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [BUCKET, f"{BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert both.one("aws_s3_bucket.this")["force_destroy"] is False


def test_packages_flags_and_parked_tasks_never_expire(both: Plan) -> None:
    rules = both.one("aws_s3_bucket_lifecycle_configuration.this")["rule"]
    expiring = {rule["filter"][0]["prefix"]: rule["expiration"][0]["days"] for rule in rules if rule["expiration"]}
    assert expiring == {"approval-claims/": 38, "maintenance/~dead/": 30, "maintenance/~quarantine/": 30}


def test_what_cannot_be_resumed_expires_below_the_gates_own_prefix(planner: Planner) -> None:
    plan = planner.plan(".", {"maintenance_gate": {"prefix": "gates/orders"}, "name": "orders"})
    rules = plan.one("aws_s3_bucket_lifecycle_configuration.this")["rule"]
    expiring = {rule["filter"][0]["prefix"]: rule["expiration"][0]["days"] for rule in rules if rule["expiration"]}
    assert expiring == {"gates/orders/~dead/": 30, "gates/orders/~quarantine/": 30}


def test_the_approval_task_state_waits_for_the_answer_and_ends_one_day(both: Plan) -> None:
    state = both.outputs["approval_task_state"]
    assert {name: state[name] for name in ("Type", "Resource", "Parameters", "ResultPath")} == {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": arn("lambda", "function:orders-approval:live"),
            "InvocationType": "Event",
            "Payload": {"request.$": "$.approval", "task_token.$": "$$.Task.Token"},
        },
        "ResultPath": "$.approval_decision",
    }
    assert state["TimeoutSeconds"] > 2678400  # later than the durable execution, which answers
    assert not {"States.ALL", "States.TaskFailed", "States.Timeout"} & {
        error for retry in state["Retry"] for error in retry["ErrorEquals"]
    }


def test_the_maintenance_task_state_is_the_check_in(both: Plan) -> None:
    state = both.outputs["maintenance_task_state"]
    assert {name: state[name] for name in ("Type", "Resource", "Parameters", "ResultPath", "TimeoutSeconds")} == {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": arn("lambda", "function:orders-maintenance:live"),
            "Payload": {
                "executionArn.$": "$$.Execution.Id",
                "stateMachineArn.$": "$$.StateMachine.Id",
                "stateName.$": "$$.State.Name",
                "taskToken.$": "$$.Task.Token",
                "timeoutSeconds": 31536000,
            },
        },
        "ResultPath": "$.maintenance",
        "TimeoutSeconds": 31536000,
    }
    jsonata = both.outputs["maintenance_task_state_jsonata"]
    assert {name: jsonata[name] for name in jsonata if name not in {"Type", "Resource", "Retry", "TimeoutSeconds"}} == {
        "Arguments": {
            "FunctionName": arn("lambda", "function:orders-maintenance:live"),
            "Payload": {
                "executionArn": "{% $states.context.Execution.Id %}",
                "stateMachineArn": "{% $states.context.StateMachine.Id %}",
                "stateName": "{% $states.context.State.Name %}",
                "taskToken": "{% $states.context.Task.Token %}",
                "timeoutSeconds": 31536000,
            },
        },
        "Output": "{% $states.input %}",
        "QueryLanguage": "JSONata",
    }
    assert {state[name] == jsonata[name] for name in ("Type", "Resource", "TimeoutSeconds")} == {True}
    assert state["Retry"] == jsonata["Retry"]
    # What Lambda and AWS do wrong, but no malformed check-in: it would be no better the second time.
    (retry,) = state["Retry"]
    own = [error for error in retry["ErrorEquals"] if not error.startswith(("Lambda.", "Sandbox."))]
    assert own == [CloudError.__name__]


def test_the_outputs_are_what_a_stack_needs(both: Plan) -> None:
    outputs = both.outputs
    assert outputs["approval_function_arn"] == arn("lambda", "function:orders-approval:live")
    assert outputs["maintenance_function_arn"] == arn("lambda", "function:orders-maintenance:live")
    assert (outputs["bucket_name"], outputs["bucket_arn"]) == ("orders-gates-20260101", BUCKET)
    assert outputs["slack_request_url"] == f"https://a1b2c3d4e5.execute-api.{REGION}.amazonaws.com/slack/interactions"
    for gate in ("approval", "maintenance"):
        (caller,) = statements(outputs[f"{gate}_caller_policy_json"]).values()
        assert (caller["Action"], caller["Resource"]) == ("lambda:InvokeFunction", outputs[f"{gate}_function_arn"])


def test_the_slack_app_manifest_has_the_scopes_and_the_request_url_and_nothing_that_listens(both: Plan) -> None:
    manifest = json.loads(both.outputs["slack_app_manifest"])
    assert manifest["display_information"]["name"] == "Approvals orders"
    assert manifest["features"]["bot_user"] == {"always_online": True, "display_name": "orders-approvals"}
    assert manifest["features"]["app_home"]["messages_tab_enabled"] is True  # or direct messages are refused
    scopes = ["channels:history", "chat:write", "groups:history", "usergroups:read"]
    assert manifest["oauth_config"] == {"scopes": {"bot": scopes}}
    assert manifest["settings"] == {
        "interactivity": {"is_enabled": True, "request_url": both.outputs["slack_request_url"]},
        "org_deploy_enabled": False,
        "socket_mode_enabled": False,
        "token_rotation_enabled": False,
    }


def test_the_events_go_to_a_bus_of_ones_own(planner: Planner) -> None:
    gate = {"approvers": ["U0123ABCD"], "event_bus_name": "shop.approvals"}
    slack = {**SLACK, "app_name": "Shop gate"}
    plan = planner.settled(".", {"name": "orders", "approval_gate": gate, "slack": slack})
    for function in ("approval", "slack-webhook"):
        values = plan.one(f"{FUNCTIONS[function]}.aws_lambda_function.this")
        assert values["environment"][0]["variables"]["EVENT_BUS_NAME"] == "shop.approvals"
        policy = statements(plan.one(f"{FUNCTIONS[function]}.aws_iam_role_policy.this")["policy"])
        assert policy["Events"]["Resource"] == [arn("events", "event-bus/shop.approvals")]
    assert json.loads(plan.outputs["slack_app_manifest"])["display_information"]["name"] == "Shop gate"


def test_a_package_is_named_by_all_that_goes_into_it(both: Plan, function: str) -> None:
    source = function.replace("-", "_")
    manifest = both.one(f"{FUNCTIONS[function]}.aws_s3_object.manifest[0]")
    package = both.one(f"{FUNCTIONS[function]}.aws_s3_object.package[0]")
    assert re.fullmatch(rf"functions/orders-{function}/[0-9a-f]{{32}}\.json", manifest["key"])
    assert package["key"] == manifest["key"].removesuffix("json") + "zip"
    assert package["source"].startswith("./.terraform/packages/")
    content = json.loads(manifest["content"])
    spec = build.definitions(FUNCTIONS_FOLDER, build.DEFAULT_RUNTIME, build.DEFAULT_ARCHITECTURE)[source]
    assert set(content["files"]) == {*spec.files, spec.requirements}
    assert content["builder"] == hashlib.sha256(Path(build.__file__).read_bytes()).hexdigest()
    assert (content["runtime"], content["architecture"]) == (spec.runtime, spec.architecture)
    assert set(content["services"]) == spec.services


def test_a_second_plan_replaces_nothing(both: Plan) -> None:
    assert [address for address, actions in both.actions.items() if "delete" in actions] == []


def test_ready_made_packages_need_no_python(planner: Planner) -> None:
    packages = {
        name: {"s3_bucket": "releases", "s3_key": f"{name}.zip", "s3_object_version": "v1"}
        for name in ("approval", "maintenance", "slack_webhook")
    }
    plan = planner.plan(".", {**BOTH, "packages": packages})
    assert not {"terraform_data", "aws_s3_object"} & set(plan.counts)
    locations = {
        v["function_name"]: (v["s3_bucket"], v["s3_key"], v["s3_object_version"])
        for v in plan.of("aws_lambda_function").values()
    }
    assert locations == {
        "orders-approval": ("releases", "approval.zip", "v1"),
        "orders-maintenance": ("releases", "maintenance.zip", "v1"),
        "orders-slack-webhook": ("releases", "slack_webhook.zip", "v1"),
    }


def test_a_stack_in_its_own_network_with_its_own_keys(planner: Planner, both: Plan) -> None:
    key = arn("kms", "key/1")
    plan = planner.plan(
        ".",
        {
            **BOTH,
            "approval_gate": {"execution_timeout": 900, "retention_period": 1},
            "bucket": {"existing": {"arn": "arn:aws:s3:::shop", "kms_key_arn": key}},
            "lambda": {
                "alarm_actions": [arn("sns", "alarms")],
                "environment_kms_key_arn": key,
                "failed_events": {"arn": arn("sqs", "failed")},
                "permissions_boundary_arn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
                "role_path": "/gates/",
                "tracing": True,
                "vpc": {"security_group_ids": ["sg-1"], "subnet_ids": ["subnet-1"]},
            },
            "logs": {"kms_key_arn": key, "level": "DEBUG", "retention_in_days": 7},
            "maintenance_gate": {
                "event_bus_name": "shop",
                "prefix": "gates/orders",
                "state_machine_names": ["Order", "Refund*"],
            },
            "slack": {
                **SLACK,
                "bot_token_secret_arn": arn("ssm", "parameter/slack/token"),
                "kms_key_arns": [key],
            },
        },
        both.state(),  # what has an ARN there has the same here
    )
    assert not set(BUCKET_COUNTS) & set(plan.counts)
    assert plan.counts["aws_cloudwatch_metric_alarm"] == 6 + 5
    assert plan.outputs["bucket_name"] == "shop"

    approval = plan.one(f"{FUNCTIONS['approval']}.aws_lambda_function.this")
    assert approval["durable_config"] == [{"execution_timeout": 900, "retention_period": 1}]
    assert approval["environment"][0]["variables"]["DEFAULT_TIMEOUT_SECONDS"] == "780"
    assert approval["dead_letter_config"] == [{"target_arn": arn("sqs", "failed")}]  # durable: no destinations
    assert approval["kms_key_arn"] == key
    assert approval["vpc_config"][0]["subnet_ids"] == ["subnet-1"]
    assert approval["logging_config"][0]["application_log_level"] == "DEBUG"
    role = plan.one(f"{FUNCTIONS['approval']}.aws_iam_role.this")
    assert (role["path"], role["permissions_boundary"]) == ("/gates/", f"arn:aws:iam::{ACCOUNT}:policy/boundary")

    allowed = statements(plan.one(f"{FUNCTIONS['approval']}.aws_iam_role_policy.this")["policy"])
    assert allowed["SlackBotToken"]["Action"] == ["ssm:GetParameter"]
    assert allowed["SlackSecretKeys"]["Resource"] == [key]
    assert allowed["SlackSecretKeys"]["Condition"] == {"StringLike": {"kms:ViaService": ["secretsmanager.*", "ssm.*"]}}
    assert allowed["BucketKey"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert allowed["FailedEvents"]["Action"] == ["sqs:SendMessage"]
    assert {sid for sid, statement in allowed.items() if statement["Resource"] == ["*"]} == {
        "NetworkInterfaces",
        "TaskAnswers",
        "Tracing",
    }

    destinations = {
        v["function_name"]: v["destination_config"] for v in plan.of("aws_lambda_function_event_invoke_config").values()
    }
    assert destinations["orders-approval"] == []
    assert destinations["orders-maintenance"][0]["on_failure"] == [{"destination": arn("sqs", "failed")}]

    maintenance = statements(plan.one(f"{FUNCTIONS['maintenance']}.aws_iam_role_policy.this")["policy"])
    machines = [arn("states", "stateMachine:Order"), arn("states", "stateMachine:Refund*")]
    assert maintenance["StateMachineTags"]["Resource"] == machines
    assert maintenance["Executions"]["Resource"] == [
        arn("states", f"execution:{form}") for form in ("Order:*", "Order/*:*", "Refund*:*", "Refund*/*:*")
    ]
    assert maintenance["Events"]["Resource"] == [arn("events", "event-bus/shop")]
    assert maintenance["ParkedTasks"]["Resource"] == ["arn:aws:s3:::shop/gates/orders/*"]
    pattern = json.loads(plan.one("module.maintenance_gate[0].aws_cloudwatch_event_rule.tag")["event_pattern"])
    assert pattern["resources"] == [{"wildcard": machine} for machine in machines]
    assert {v["retention_in_days"] for v in plan.of("aws_cloudwatch_log_group").values()} == {7}


WINDOWS: dict[str, dict[str, Any]] = {
    "nightly": {
        "duration_minutes": 90,
        "reason": "<stock count> & more",
        "schedule": "cron(0 22 ? * SUN *)",
        "state_machine_names": ["Order", "Refund.v2"],
        "timezone": "Europe/Berlin",
    },
    "move": {"duration_minutes": 2880, "schedule": "at(2030-01-31T22:00:00)"},
}


def test_windows_are_schedules_that_begin_a_maintenance_for_a_while(planner: Planner) -> None:
    gate = {"state_machine_names": ["Order", "Refund.v*"], "windows": WINDOWS}
    stack = {
        "name": "orders",
        "maintenance_gate": gate,
        "lambda": {"permissions_boundary_arn": f"arn:aws:iam::{ACCOUNT}:policy/boundary", "role_path": "/gates/"},
    }
    plan = planner.settled(".", stack)
    group = plan.one("module.maintenance_gate[0].aws_scheduler_schedule_group.windows[0]")
    assert group["name"] == "orders-maintenance-windows"
    schedules = {
        address.removeprefix("module.maintenance_gate[0].aws_scheduler_schedule.window"): schedule
        for address, schedule in plan.of("aws_scheduler_schedule").items()
    }
    assert {
        address: (
            schedule["schedule_expression"],
            schedule["schedule_expression_timezone"],
            json.loads(schedule["target"][0]["input"]),
        )
        for address, schedule in schedules.items()
    } == {
        '["move"]': (
            "at(2030-01-31T22:00:00)",
            "UTC",
            {
                "action": "begin",
                "by": "maintenance window move",
                "durationSeconds": 172800,
                "scheduledAt": "<aws.scheduler.scheduled-time>",
                "scope": "all",
            },
        ),
        **{
            f'["nightly/{name}"]': (
                "cron(0 22 ? * SUN *)",
                "Europe/Berlin",
                {
                    "action": "begin",
                    "by": "maintenance window nightly",
                    "durationSeconds": 5400,
                    "reason": "<stock count> & more",
                    "scheduledAt": "<aws.scheduler.scheduled-time>",
                    "stateMachineArn": arn("states", f"stateMachine:{name}"),
                },
            )
            for name in ("Order", "Refund.v2")
        },
    }
    assert len({schedule["name"] for schedule in schedules.values()}) == len(schedules)
    for schedule in schedules.values():
        (target,) = schedule["target"]
        assert schedule["group_name"] == group["name"]
        assert schedule["flexible_time_window"] == [{"maximum_window_in_minutes": None, "mode": "OFF"}]
        assert target["arn"] == arn("lambda", "function:orders-maintenance:live")
        assert target["role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/gates/orders-maintenance-windows"
        # Scheduler replaces its keywords in the text as it is: an escaped bracket would reach the function.
        assert '"scheduledAt":"<aws.scheduler.scheduled-time>"' in target["input"]
    ages = {
        a: schedule["target"][0]["retry_policy"][0]["maximum_event_age_in_seconds"] for a, schedule in schedules.items()
    }
    assert ages == {'["move"]': 86400, '["nightly/Order"]': 5400, '["nightly/Refund.v2"]': 5400}


def test_the_schedules_may_invoke_the_maintenance_functions_alias_and_nothing_else(planner: Planner) -> None:
    plan = planner.settled(".", {"name": "orders", "maintenance_gate": {"windows": WINDOWS}})
    role = plan.one("module.maintenance_gate[0].aws_iam_role.windows[0]")
    (trust,) = json.loads(role["assume_role_policy"])["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Condition": {
            "StringEquals": {
                "aws:SourceAccount": ACCOUNT,
                "aws:SourceArn": arn("scheduler", "schedule-group/orders-maintenance-windows"),
            }
        },
    }
    policy = plan.one("module.maintenance_gate[0].aws_iam_role_policy.windows[0]")
    assert policy["role"] == "orders-maintenance-windows"
    assert statements(policy["policy"]) == {
        "Begin": {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": arn("lambda", "function:orders-maintenance:live"),
        }
    }
    assert "aws_iam_role_policy.windows" in plan.references("aws_scheduler_schedule.window", "maintenance_gate")


TWO = """
module "orders" {
  source           = "../.."
  name             = "orders"
  bucket           = { existing = { arn = "arn:aws:s3:::shared" } }
  maintenance_gate = { prefix = "orders" }
  approval_gate    = {}
  slack            = var.slack
}

module "billing" {
  source           = "../.."
  name             = "billing"
  bucket           = { existing = { arn = "arn:aws:s3:::shared" } }
  maintenance_gate = { prefix = "billing" }
  approval_gate    = {}
  slack            = var.slack
}

variable "slack" {
  type = any
}
"""


def test_two_instances_in_one_account_do_not_collide(planner: Planner) -> None:
    planner.add("stacks/two", TWO)
    plan = planner.plan("stacks/two", {"slack": SLACK})
    for type_name, name in (
        ("aws_apigatewayv2_api", "name"),
        ("aws_cloudwatch_event_rule", "name"),
        ("aws_cloudwatch_log_group", "name"),
        ("aws_iam_role", "name"),
        ("aws_lambda_function", "function_name"),
        ("aws_s3_object", "key"),
    ):
        names = [values[name] for values in plan.of(type_name).values()]
        assert len(names) == len(set(names)) > 0, type_name


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "everything at once": (
        {
            "bucket": {"existing": {"arn": "orders"}, "name": "Orders"},
            "lambda": {
                "failed_events": {"arn": "arn:aws:s3:::failed"},
                "role_path": "gates",
                "runtime": "python3.12",
                "vpc": {"security_group_ids": [], "subnet_ids": ["subnet-1"]},
            },
            "logs": {"level": "TRACE", "retention_in_days": 0},
            "maintenance_gate": {
                "alarm_parked_hours": 0,
                "event_bus_name": "shop events",
                "prefix": "/gates/",
                "resume_rate_per_second": 501,
                "state_machine_names": [STATE_MACHINES[0]],
                "timeout": 60,
            },
            "name": "Orders",
        },
        [
            'bucket.existing.arn is "orders": give the ARN of a bucket',
            "bucket.existing is set together with force_destroy, kms_key_arn or name",
            'bucket.name is "Orders": use 3 to 63 lower-case letters',
            'lambda.failed_events.arn is "arn:aws:s3:::failed": give the ARN of an SQS queue or an SNS topic',
            'lambda.role_path is "gates": it must begin and end with "/"',
            'lambda.runtime is "python3.12": the functions are made for python3.13 or python3.14',
            "lambda.vpc has no subnet or no security group: give at least one of each",
            'logs.level is "TRACE": use DEBUG, INFO, WARN or ERROR',
            "logs.retention_in_days is 0: CloudWatch Logs knows 1, 3, 5,",
            "maintenance_gate.alarm_parked_hours is 0: give hours, more than 0",
            'maintenance_gate.event_bus_name is "shop events": give the name (not ARN) of an event bus',
            'maintenance_gate.prefix is "/gates/": use letters, digits',
            "maintenance_gate.resume_rate_per_second is 501: give a whole number from 1 to 500",
            f'maintenance_gate.state_machine_names is ["{STATE_MACHINES[0]}"]: give at least one name (not ARN)',
            "maintenance_gate.timeout is 60: give 300 to 900 seconds",
            'name is "Orders" (6 characters): use 1 to 40 lower-case letters',
        ],
    ),
    "limits of the approval gate": (
        {
            **BOTH,
            "approval_gate": {
                "approvers": ["alice@example.com"],
                "default_timeout": 10,
                "event_bus_name": "arn:aws:events:us-east-2:123456789012:event-bus/default",
                "execution_timeout": 60,
                "retention_period": 0,
            },
            "maintenance_gate": {"prefix": "functions", "state_machine_names": []},
        },
        [
            'approval_gate.approvers is ["alice@example.com"]: give Slack user ids such as "U0123ABCD"',
            'event-bus/default": give the name (not ARN) of an event bus',
            "approval_gate.execution_timeout is 60: give 180 to 31622400 seconds (366 days)",
            "approval_gate.default_timeout is 10: it must be 1 to -60 seconds",
            "approval_gate.retention_period is 0: give 1 to 90 days",
            'maintenance_gate.prefix is "functions":',
            "maintenance_gate.state_machine_names is []: give at least one name",
        ],
    ),
    "a default timeout that the execution does not survive": (
        {**BOTH, "approval_gate": {"default_timeout": 3600, "execution_timeout": 3600}, "name": "o" * 41},
        [
            "approval_gate.default_timeout is 3600: it must be 1 to 3480 seconds",
            "Lower it or raise execution_timeout.",
            f'name is "{"o" * 41}" (41 characters)',
        ],
    ),
    "an approval gate without Slack": (
        {"name": "orders", "approval_gate": {}},
        [
            (
                "approval_gate is set but slack is null: set slack = { bot_token_secret_arn, "
                "signing_secret_secret_arn, channel }, or approval_gate = null to leave the gate out."
            )
        ],
    ),
    "notices without Slack": (
        {"name": "orders", "maintenance_gate": {"notices": NOTICES}},
        [
            (
                "maintenance_gate.notices is set but slack is null: set slack = { bot_token_secret_arn, "
                "signing_secret_secret_arn, channel }, or leave notices out."
            )
        ],
    ),
    "notices that name people and a channel": (
        {
            **BOTH,
            "maintenance_gate": {"notices": {"approvers": {"groups": ["U0123ABCD"], "users": ["alice"]}}},
            "slack": {**SLACK, "channel": "#operations"},
        },
        [
            (
                'maintenance_gate.notices.approvers is {"groups":["U0123ABCD"],"users":["alice"]}: '
                'give at least one Slack user id such as "U0123ABCD"'
            ),
            'maintenance_gate.notices.channel is "#operations" (slack.channel where it is left out): give the id',
        ],
    ),
    "notices that nobody may end a maintenance by": (
        {**BOTH, "maintenance_gate": {"notices": {"approvers": {}}}},
        ['maintenance_gate.notices.approvers is {"groups":[],"users":[]}: give at least one Slack user id'],
    ),
    "Slack's address and channel": (
        {**BOTH, "slack": {**SLACK, "api_url": "http://slack.com/api/", "app_name": "x" * 36, "channel": "approvals"}},
        [
            'slack.api_url is "http://slack.com/api/": give an https:// address that ends in "/"',
            f'slack.app_name is "{"x" * 36}": give 1 to 35 characters',
            'slack.channel is "approvals": give a channel id such as "C0123ABCD"',
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_with_the_value_and_the_fix(planner: Planner, case: str) -> None:
    variables, messages = WRONG[case]
    text = planner.refused(".", variables)
    assert [message for message in messages if message not in text] == [], text


STACK = """
module "workflow_gates" {
  source        = "../.."
  name          = "orders"
  approval_gate = {}
  slack         = var.slack
}

variable "slack" {
  type = map(string)
}
"""


def test_a_secret_in_the_place_of_its_arn_is_refused_without_being_shown(planner: Planner) -> None:
    token, signing = "xoxb-1234567890-abcdef", "8f742231b10e8888abcd99yyyzzz85a5"
    planner.add("stacks/one", STACK)
    slack = {**SLACK, "bot_token_secret_arn": token, "signing_secret_secret_arn": signing}
    text = planner.refused("stacks/one", {"slack": slack})
    assert "slack.bot_token_secret_arn is no such ARN: give the whole ARN of a Secrets Manager secret" in text
    assert "slack.signing_secret_secret_arn is no such ARN" in text
    assert token not in text
    assert signing not in text
