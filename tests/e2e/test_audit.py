"""What auditors and other programs learn of requests: events on the bus, and the same records in the log."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from sandbox.deployment import NAME, Sandbox, until
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, REQUESTER
from shared.records import SOURCE, request_hash

Record = tuple[str, dict[str, Any]]
Records = Callable[[str, int], list[Record]]


def all_of(find: Callable[[], list[Record]], number: int, what: str) -> list[Record]:
    """Return what is found as soon as there is so much of it."""
    until(lambda: len(find()) >= number, f"{number} {what}")
    return find()


@pytest.fixture
def events(sandbox: Sandbox) -> Records:
    """Returns the events about an execution as soon as there are so many."""
    before = max((seen["sequence"] for seen in sandbox.control("GET", "events")), default=0)

    def about(execution: str, number: int) -> list[Record]:
        def find() -> list[Record]:
            seen = [seen["event"] for seen in sandbox.control("GET", f"events?after={before}")]
            own = [event for event in seen if event["source"] == SOURCE]
            return [(e["detail-type"], e["detail"]) for e in own if e["detail"]["execution_arn"] == execution]

        return all_of(find, number, "events")

    return about


@pytest.fixture
def lines(sandbox: Sandbox) -> Records:
    """Returns the records about an execution in the logs of both functions as soon as there are so many."""
    logs = sandbox.client("logs")

    def logged(function: str) -> Iterator[dict[str, Any]]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{NAME}-{function}")
        for event in (event for page in pages for event in page["events"]):
            if '"audit"' in event["message"]:
                yield json.loads(event["message"])

    def about(execution: str, number: int) -> list[Record]:
        def find() -> list[Record]:
            found = (line for function in ("approval", "slack-webhook") for line in logged(function))
            own = [line for line in found if line["audit"] is True and line["record"]["execution_arn"] == execution]
            return [(line["message"], line["record"]) for line in own]

        return all_of(find, number, "records")

    return about


def test_a_request_and_its_decision_are_told_as_events_and_logged(
    gates: Gates, slack: SlackSandbox, events: Records, lines: Records
) -> None:
    request = {"title": f"Deploy {uuid4()}?", "requester": REQUESTER.id, "fields": {"Order": "123"}}
    execution = gates.ask(request)
    question = gates.question(execution)
    [(kind, requested)] = events(execution, 1)
    assert kind == "Approval Requested"
    assert (requested["request"], requested["environment"]) == (request, "sandbox")
    assert [(message["channel"], message["ts"]) for message in requested["messages"]] == [
        (question.channel, question.ts)
    ]
    slack.click(question, "approve", ALICE.id)
    decision = gates.decision(execution).output
    _, (kind, decided) = events(execution, 2)
    assert (kind, decided) == ("Approval Decided", {**decision, "environment": "sandbox"})
    assert requested["request_hash"] == decided["request_hash"] == request_hash(request)
    assert lines(execution, 2) == [("Approval Requested", requested), ("Approval Decided", decided)]


def test_a_request_that_was_stopped_is_told_as_cancelled(gates: Gates, events: Records, lines: Records) -> None:
    execution = gates.ask({"title": f"Deploy {uuid4()}?"})
    gates.wait_for_vote(execution)
    gates.stop(execution)
    *_, (kind, decided) = events(execution, 2)
    assert (kind, decided["decision"], decided["execution_status"]) == ("Approval Decided", "cancelled", "STOPPED")
    assert lines(execution, 2)[-1] == (kind, decided)


def test_a_request_that_is_wrong_is_no_request(gates: Gates, events: Records) -> None:
    wrong = gates.ask({"title": "Deploy?", "colour": "red"})
    assert gates.decision(wrong).status == "FAILED"
    later = gates.ask({"title": f"Deploy {uuid4()}?", "timeout_seconds": 1})
    assert [detail.get("decision") for _, detail in events(later, 2)] == [None, "timed_out"]
    assert events(wrong, 0) == []
