"""A durable function of the user's own asks: `examples/order-workflow`, deployed beside the other example.

The local Slack app is set up as the example's manifest says, so that its request URL and its scopes are proven, too.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sandbox.deployment import Sandbox, local_url
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, BOB, OPERATIONS, REQUESTER, Message
from sandbox.terraform import durable_functions

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

EXAMPLE = Path("examples") / "order-workflow"
NAME = "shop"


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
def shop(sandbox: Sandbox, gates: Gates) -> Iterator[Shop]:
    before = sandbox.slack.app()
    terraform = replace(sandbox.terraform, directory=sandbox.directory / "checkout" / EXAMPLE)
    packages = Path(".terraform") / "packages"  # the gates' functions need not be built again
    shutil.copytree(sandbox.terraform.directory / packages, terraform.directory / packages)
    given = sandbox.terraform.variables()
    terraform.init(
        {
            "approval_timeout": 3600,
            "approvers": given["approvers"],
            "bucket_arn": f"arn:aws:s3:::{sandbox.outputs['bucket_name']}",
            "name": NAME,
            "region": given["region"],
            "results_channel": OPERATIONS.id,
            "slack": given["slack"],
        }
    )
    sandbox.control("POST", "durable-functions", durable_functions(terraform.plan()))
    try:
        terraform.apply()
        outputs = terraform.outputs()
        manifest = json.loads(outputs["slack_app_manifest"])
        request_url = manifest["settings"]["interactivity"]["request_url"]
        assert request_url == outputs["slack_request_url"]
        sandbox.slack.configure(
            request_url=local_url(request_url, sandbox.aws_url), scopes=manifest["oauth_config"]["scopes"]["bot"]
        )
        yield Shop(outputs["order_function_arn"], sandbox.client("lambda"), gates, sandbox.slack)
    finally:
        sandbox.slack.configure(request_url=before["request_url"], scopes=before["scopes"])
        terraform.destroy()


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
