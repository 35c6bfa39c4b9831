"""No log and no page holds a secret, a callback id or a task token, after all that the other tests did."""

import json
import re
from collections.abc import Iterator

import pytest
import requests

from sandbox.deployment import NAME, Sandbox
from sandbox.gates import Gates
from sandbox.slack.workspace import ALICE, interactive
from sandbox.web.pages import PREFIX

EXECUTION = re.compile(rf'{PREFIX}/(?:durable|execution)\?arn=[^"]+')
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
                yield from json.loads(button["value"]).get("c", ())  # the others end a maintenance


def task_tokens(sandbox: Sandbox) -> Iterator[str]:
    functions = sandbox.client("lambda")
    listed = functions.get_paginator("list_durable_executions_by_function")
    pages = listed.paginate(FunctionName=f"{NAME}-approval")
    for one in (one for page in pages for one in page["DurableExecutions"]):
        execution = functions.get_durable_execution(DurableExecutionArn=one["DurableExecutionArn"])
        token = json.loads(execution["InputPayload"]).get("task_token")
        if token:
            yield token


def secrets(sandbox: Sandbox, parked_token: str) -> list[str]:
    """Return all that there are now, at least one of each kind."""
    app, callbacks, tokens = sandbox.slack.app(), set(callback_ids(sandbox)), {parked_token, *task_tokens(sandbox)}
    assert callbacks
    assert len(tokens) > 1
    return [app["bot_token"], app["signing_secret"], *callbacks, *tokens]


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
    log = log_of(sandbox, function)
    assert "INFO" in log  # there is something to look at
    for secret in (*secrets(sandbox, parked_token), "/actions/"):
        assert secret not in log


def test_no_page_of_the_local_aws_shows_what_must_stay_secret(sandbox: Sandbox, parked_token: str) -> None:
    overview = f"{sandbox.aws_url}{PREFIX}/"
    first = requests.get(overview, timeout=20).text
    assert len(EXECUTION.findall(first)) > 1
    views = [f"{PREFIX}/events", *(f"{PREFIX}/functions/{NAME}-{function}" for function in FUNCTIONS)]
    pages = {
        view: requests.get(f"{sandbox.aws_url}{view}", timeout=20).text for view in {*views, *EXECUTION.findall(first)}
    }
    for secret in secrets(sandbox, parked_token):
        assert secret not in first
        for view, page in pages.items():
            assert secret not in page, view
    assert any("(hidden)" in page for page in pages.values())
