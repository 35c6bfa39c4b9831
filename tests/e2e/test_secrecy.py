"""No function's log holds a secret, a callback id or a task token, after all that the other tests did."""

import json
from collections.abc import Iterator

import pytest

from sandbox.deployment import NAME, Sandbox
from sandbox.gates import Gates
from sandbox.slack.workspace import ALICE, interactive

FUNCTIONS = ("approval", "slack-webhook", "maintenance")


def log_of(sandbox: Sandbox, function: str) -> str:
    pages = (
        sandbox.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=f"/aws/lambda/{NAME}-{function}")
    )
    return "\n".join(event["message"] for page in pages for event in page["events"])


def callback_ids(sandbox: Sandbox) -> Iterator[str]:
    for message in sandbox.slack.messages():
        for content in (*message.earlier, message.content):
            for _, button in interactive(content.blocks):
                yield from json.loads(button["value"])["c"]


def task_tokens(sandbox: Sandbox) -> Iterator[str]:
    functions = sandbox.client("lambda")
    listed = functions.get_paginator("list_durable_executions_by_function")
    pages = listed.paginate(FunctionName=f"{NAME}-approval")
    for one in (one for page in pages for one in page["DurableExecutions"]):
        execution = functions.get_durable_execution(DurableExecutionArn=one["DurableExecutionArn"])
        token = json.loads(execution["InputPayload"]).get("task_token")
        if token:
            yield token


@pytest.fixture(scope="module")
def parked_token(sandbox: Sandbox, gates: Gates) -> str:
    gates.begin_maintenance()
    gates.wait_for_gate("closed")
    execution = gates.start({"approval": {"title": "Secrets?"}})
    (key,) = gates.wait_for_parked(1)
    parked = sandbox.client("s3").get_object(Bucket=sandbox.outputs["bucket_name"], Key=key)
    gates.end_maintenance()
    question = gates.question_titled("Secrets?")
    sandbox.slack.click(question, "approve", ALICE.id)
    assert gates.ended(execution).status == "SUCCEEDED"
    token: str = json.load(parked["Body"])["taskToken"]
    return token


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_log_holds_what_must_stay_secret(sandbox: Sandbox, parked_token: str, function: str) -> None:
    app, log = sandbox.slack.app(), log_of(sandbox, function)
    callbacks, tokens = set(callback_ids(sandbox)), {parked_token, *task_tokens(sandbox)}
    assert "INFO" in log  # there is something to look at
    assert callbacks
    assert len(tokens) > 1
    for secret in (app["bot_token"], app["signing_secret"], *callbacks, *tokens, "/actions/"):
        assert secret not in log
