"""The order workflow, deployed into the sandbox, with people in front of it.

The local Slack app is set up as the example's manifest says, so that its request URL and its scopes are proven, too.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sandbox.deployment import REGION
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, BOB, OPERATIONS, REQUESTER, Message
from sandbox.testing import WorkflowSandbox

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

EXAMPLE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Shop:
    """The deployed example, and people in front of it."""

    function_arn: str
    client: "LambdaClient"
    gates: Gates
    slack: SlackSandbox

    def order(self, order_id: str) -> str:
        """Start the workflow, as a shop would, and return the ARN of its durable execution."""
        answer = self.client.invoke(
            FunctionName=self.function_arn,
            InvocationType="Event",
            DurableExecutionName=f"order-{order_id}",
            Payload=json.dumps({"order_id": order_id, "requester": REQUESTER.id}),
        )
        return answer["DurableExecutionArn"]

    def question(self, order_id: str) -> Message:
        return self.gates.question_titled(f"Process order {order_id}?")

    def announced(self, order_id: str) -> list[str]:
        return [m.content.text for m in self.slack.messages() if f"Order {order_id} " in m.content.text]


@pytest.fixture(scope="module")
def shop(workflow_sandbox: WorkflowSandbox) -> Shop:
    stack = workflow_sandbox.deploy(
        EXAMPLE,
        {
            "approval_timeout": 3600,
            "approvers": [ALICE.id, BOB.id],
            "region": REGION,
            "results_channel": OPERATIONS.id,
            "slack": workflow_sandbox.slack_settings("shop"),
        },
    )
    manifest = json.loads(stack.outputs["slack_app_manifest"])
    assert manifest["settings"]["interactivity"]["request_url"] == stack.outputs["slack_request_url"]
    stack.slack.configure(scopes=manifest["oauth_config"]["scopes"]["bot"])
    return Shop(stack.outputs["order_function_arn"], stack.client("lambda"), Gates(stack), stack.slack)


@pytest.fixture
def order_id() -> str:
    return f"A-{uuid4().hex[:8]}"


def test_an_approved_order_is_processed_and_its_result_returned(shop: Shop, order_id: str) -> None:
    execution = shop.order(order_id)
    question = shop.question(order_id)
    assert question.channel == APPROVALS.id
    assert shop.gates.status(execution) == "RUNNING"
    shop.slack.click(question, "approve", ALICE.id)
    ended = shop.gates.decision(execution)
    assert ended.status == "SUCCEEDED"
    result: dict[str, Any] = ended.output
    assert (result["order_id"], result["status"]) == (order_id, "processed")
    assert result["receipt"] == {"shipment": f"shipment-{order_id}"}
    assert [by["id"] for by in result["decision"]["decided_by"]] == [ALICE.id]
    assert shop.gates.locked(question).actions() == []
    assert shop.announced(order_id) == [
        f":white_check_mark: Order {order_id} was processed, approved by <@{ALICE.id}>."
    ]


def test_a_rejected_order_is_not_processed(shop: Shop, order_id: str) -> None:
    execution = shop.order(order_id)
    shop.slack.click(shop.question(order_id), "reject", BOB.id)
    ended = shop.gates.decision(execution)
    assert (ended.status, ended.output["status"], ended.output["receipt"]) == ("SUCCEEDED", "rejected", None)
    assert shop.announced(order_id) == [f":no_entry: Order {order_id} was not processed: rejected by <@{BOB.id}>."]


def test_an_order_sent_twice_is_asked_about_once(shop: Shop, order_id: str) -> None:
    execution = shop.order(order_id)
    question = shop.question(order_id)
    assert shop.order(order_id) == execution
    shop.slack.click(question, "approve", ALICE.id)
    shop.gates.decision(execution)
    asked = [m.ts for m in shop.slack.messages() if f"Process order {order_id}?" in json.dumps(m.blocks)]
    assert asked == [question.ts]


def test_what_is_no_order_fails_and_asks_nobody(shop: Shop) -> None:
    before = len(shop.slack.messages())
    ended = shop.gates.decision(shop.order("no_order"))
    assert ended.status == "FAILED"
    assert "start with" in str(ended.cause)
    assert len(shop.slack.messages()) == before
