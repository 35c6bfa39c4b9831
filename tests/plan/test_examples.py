"""The examples, as a reader would plan them.

The provider asks Step Functions about a state machine's definition as soon as it is known, so these are first plans,
where it is not; what the task states are made of is tested with the root.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.plan.conftest import SLACK, arn, statements

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plan.conftest import Planner

VARIABLES: dict[str, dict[str, Any]] = {
    "approval-only": {"approvers": ["U0123ABCD"], "channel": "#approvals"},
    "complete": {"approvers": ["U0123ABCD"], "slack": SLACK},
    "existing-stack": {
        "approvers": ["U0123ABCD"],
        "deploy_package": {"s3_bucket": "releases", "s3_key": "deploy.zip"},
        "slack": SLACK,
    },
    "maintenance-only": {},
    "order-workflow": {"approvers": ["U0123ABCD"], "results_channel": "#approval-results", "slack": SLACK},
}


def test_every_example_is_tested(pytestconfig: pytest.Config) -> None:
    root: Path = pytestconfig.rootpath
    assert {path.name for path in (root / "examples").iterdir() if path.is_dir()} == set(VARIABLES)


def test_the_complete_example_has_a_state_machine_that_checks_in_and_asks(planner: Planner) -> None:
    plan = planner.plan("examples/complete", VARIABLES["complete"])
    assert plan.counts["aws_lambda_function"] == 3
    assert plan.one("aws_sfn_state_machine.order")["name"] == "Order"
    assert plan.references("aws_sfn_state_machine.order") >= {
        "aws_iam_role_policy.ask",
        "aws_iam_role_policy.check_in",
        "module.workflow_gates.approval_task_state",
        "module.workflow_gates.maintenance_task_state",
    }
    assert "module.workflow_gates.approval_caller_policy_json" in plan.references("aws_iam_role_policy.ask")
    assert "module.workflow_gates.maintenance_caller_policy_json" in plan.references("aws_iam_role_policy.check_in")
    approval = plan.one("module.approval_gate[0].module.function.aws_lambda_function.this")
    assert approval["durable_config"] == [{"execution_timeout": 2678400, "retention_period": 14}]
    assert plan.one("aws_s3_bucket.this")["force_destroy"] is False
    notices = plan.one("module.slack_webhook[0].aws_cloudwatch_event_rule.notices[0]")
    assert notices["name"] == "orders-maintenance-notices"
    assert plan.counts.get("aws_scheduler_schedule", 0) == 0


def test_the_complete_example_takes_maintenance_windows_as_its_readme_writes_them(planner: Planner) -> None:
    windows = {"weekly": {"schedule": "cron(0 3 ? * SUN *)", "duration_minutes": 60}}
    plan = planner.plan("examples/complete", {**VARIABLES["complete"], "maintenance_windows": windows})
    (schedule,) = plan.of("aws_scheduler_schedule").values()
    assert (schedule["name"], schedule["schedule_expression_timezone"]) == ("weekly", "UTC")


def test_the_approval_only_example_has_no_maintenance_gate_and_no_secret_value(planner: Planner) -> None:
    plan = planner.plan("examples/approval-only", VARIABLES["approval-only"])
    handlers = {values["handler"] for values in plan.of("aws_lambda_function").values()}
    assert handlers == {"approval.handler.handler", "slack_webhook.handler.handler"}
    secrets = {values["name"] for values in plan.of("aws_secretsmanager_secret").values()}
    assert secrets == {"orders/slack/bot-token", "orders/slack/signing-secret"}
    assert "aws_secretsmanager_secret_version" not in plan.counts


def test_the_maintenance_only_example_needs_no_slack(planner: Planner) -> None:
    plan = planner.plan("examples/maintenance-only", VARIABLES["maintenance-only"])
    assert plan.counts["aws_lambda_function"] == plan.counts["aws_sfn_state_machine"] == 1
    assert plan.counts["aws_scheduler_schedule"] == 1
    assert "aws_apigatewayv2_api" not in plan.counts
    assert "module.workflow_gates.maintenance_task_state" in plan.references("aws_sfn_state_machine.order")


def test_the_existing_stack_keeps_its_bucket_and_gets_both_gates(planner: Planner) -> None:
    plan = planner.plan("examples/existing-stack", VARIABLES["existing-stack"])
    assert plan.counts["aws_s3_bucket"] == 1
    assert plan.counts["aws_lambda_function"] == 4
    deploy = plan.one("aws_lambda_function.deploy")
    assert deploy["durable_config"] == [{"execution_timeout": 172800, "retention_period": 14}]
    assert "module.workflow_gates.approval_function_arn" in plan.references("aws_lambda_function.deploy")
    assert "module.checkpoint_policy.json" in plan.references("aws_iam_role_policy.checkpoint")
    assert "module.workflow_gates.maintenance_task_state" in plan.references("aws_sfn_state_machine.order")


def test_the_order_workflow_is_a_durable_function_that_may_ask_and_outlives_the_answer(planner: Planner) -> None:
    plan = planner.settled("examples/order-workflow", VARIABLES["order-workflow"])
    gate = plan.one("module.approval_gate[0].module.function.aws_lambda_function.this")
    order = plan.one("module.order_workflow.aws_lambda_function.this")
    assert (order["function_name"], order["handler"]) == ("shop-order-workflow", "order_workflow.handler.handler")
    assert (gate["durable_config"][0]["execution_timeout"], order["durable_config"][0]["execution_timeout"]) == (
        86400 + 120,
        86400 + 120 + 3600,
    )
    variables = order["environment"][0]["variables"]
    assert variables == {
        "APPROVAL_FUNCTION_ARN": arn("lambda", "function:shop-approval:live"),
        "RESULTS_CHANNEL": "#approval-results",
        "SLACK_API_URL": "https://slack.com/api/",
        "SLACK_BOT_TOKEN_ARN": SLACK["bot_token_secret_arn"],
    }
    policy = statements(plan.one("module.order_workflow.aws_iam_role_policy.this")["policy"])
    assert {name: statement["Resource"] for name, statement in policy.items() if name != "Logs"} == {
        "Announce": [SLACK["bot_token_secret_arn"]],
        "Ask": [variables["APPROVAL_FUNCTION_ARN"]],
    }
    (checkpoint,) = json.loads(plan.one("module.order_workflow.aws_iam_role_policy.checkpoint[0]")["policy"])[
        "Statement"
    ]
    assert checkpoint["Resource"] == arn("lambda", "function:shop-order-workflow:*")
    retries = plan.one("module.order_workflow.aws_lambda_function_event_invoke_config.live")["maximum_retry_attempts"]
    assert retries == 0


def test_the_order_workflow_is_packed_from_its_own_folder_by_the_module(planner: Planner) -> None:
    plan = planner.plan("examples/order-workflow", {**VARIABLES["order-workflow"], "bucket_arn": "arn:aws:s3:::own"})
    assert "aws_s3_bucket" not in plan.counts
    manifest = plan.one("module.order_workflow.aws_s3_object.manifest[0]")
    content = json.loads(manifest["content"])
    assert set(content["files"]) == {
        f"order_workflow/{name}"
        for name in ("__init__.py", "announcement.py", "fulfilment.py", "handler.py", "order.py", "requirements.txt")
    }
    assert content["services"] == ["lambda", "secretsmanager"]  # lambda is the durable SDK's
    package = plan.one("module.order_workflow.aws_s3_object.package[0]")
    assert package["bucket"] == manifest["bucket"] == "own"
    assert package["key"].startswith("functions/shop-order-workflow/")
    assert package["source"].startswith("./.terraform/packages/order_workflow-")


@pytest.mark.parametrize(
    ("example", "variables", "messages"),
    [
        (
            "complete",
            {**VARIABLES["complete"], "approval_timeout": 3600, "execution_timeout": 3600, "region": "Ohio"},
            [
                "approval_timeout is 3600: it must be 1 to 3480 seconds",
                'region is "Ohio": give the name of an AWS region',
            ],
        ),
        (
            "approval-only",
            {"approvers": [], "channel": "approvals"},
            ["approvers is empty: name at least one Slack user id", 'channel is "approvals": give a channel id'],
        ),
        (
            "order-workflow",
            {
                "approval_timeout": 30,
                "approvers": [],
                "results_channel": "results",
                "slack": {**SLACK, "bot_token_secret_arn": arn("ssm", "parameter/slack-token")},
            },
            [
                "approval_timeout is 30: give 60 to 31536000 seconds",
                "approvers is empty: name at least one Slack user id",
                'results_channel is "results": give a channel id',
                "slack.bot_token_secret_arn is no ARN of a Secrets Manager secret",
            ],
        ),
    ],
)
def test_wrong_input_of_an_example_is_refused_with_the_fix(
    planner: Planner, example: str, variables: dict[str, Any], messages: list[str]
) -> None:
    text = planner.refused(f"examples/{example}", variables)
    assert [message for message in messages if message not in text] == [], text
