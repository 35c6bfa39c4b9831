"""The approval gate as a program asks it: one durable execution per request."""

from typing import Any
from uuid import uuid4

import pytest

from sandbox.deployment import until
from sandbox.gates import Gates, shown
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import (
    ALICE,
    APPROVALS,
    BOB,
    NOT_JOINED,
    OPERATIONS,
    OUTSIDER,
    REQUESTER,
    STRANGER,
)


def request(**changes: Any) -> dict[str, Any]:
    return {"title": f"Deploy {uuid4()}?", "requester": REQUESTER.id, **changes}


def test_an_approval_returns_who_decided_and_locks_the_message(gates: Gates, slack: SlackSandbox) -> None:
    asked = request(description="First release", fields={"Order": "123"})
    execution = gates.ask(asked)
    question = gates.question(execution)
    assert question.channel == APPROVALS.id
    assert all(text in shown(question) for text in (asked["title"], "First release", "Order", "123"))
    slack.click(question, "approve", ALICE.id)
    locked, ended = gates.locked(question), gates.decision(execution)
    assert f"Approved* by <@{ALICE.id}>" in shown(locked)
    assert ended.status == "SUCCEEDED"
    (by,) = ended.output["decided_by"]
    assert (ended.output["decision"], by["id"], by["name"]) == ("approved", ALICE.id, "alice")
    assert ended.output["message"]["ts"] == question.ts
    assert ended.output["execution_arn"] == execution


def test_a_rejection_is_a_decision_too(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(channels=[OPERATIONS.id]))
    question = gates.question(execution)
    assert question.channel == OPERATIONS.id
    slack.click(question, "reject", BOB.id)
    assert f"Rejected* by <@{BOB.id}>" in shown(gates.locked(question))
    ended = gates.decision(execution)
    assert (ended.status, ended.output["decision"]) == ("SUCCEEDED", "rejected")


def test_a_request_that_nobody_answers_times_out(gates: Gates) -> None:
    execution = gates.ask(request(timeout_seconds=2))
    question = gates.question(execution)
    ended = gates.decision(execution)
    assert (ended.status, ended.output["decision"], ended.output["decided_by"]) == ("SUCCEEDED", "timed_out", [])
    assert "Expired" in shown(gates.locked(question))


@pytest.mark.parametrize("person", [STRANGER, OUTSIDER, REQUESTER], ids=lambda person: person.role)
def test_who_may_not_decide_is_told_so_and_nothing_changes(gates: Gates, slack: SlackSandbox, person: Any) -> None:
    execution = gates.ask(request(approvers={"users": [ALICE.id, REQUESTER.id]}))
    question = gates.question(execution)
    seen = slack.changes().version
    slack.click(question, "approve", person.id)
    note = slack.wait_for_note(lambda n: n.user == person.id and n.version > seen)
    assert "Nothing was changed" in note.text
    assert gates.status(execution) == "RUNNING"
    assert gates.question(execution) == question
    slack.click(question, "approve", ALICE.id)
    assert gates.decision(execution).output["decided_by"][0]["id"] == ALICE.id


@pytest.mark.parametrize("how", [{"forged": True}, {"age": 301}], ids=["forged", "old"])
def test_a_click_that_slack_did_not_sign_just_now_is_refused(
    gates: Gates, slack: SlackSandbox, how: dict[str, Any]
) -> None:
    execution = gates.ask(request())
    question = gates.question(execution)
    click = slack.click(question, "approve", ALICE.id, **how)
    assert (click.outcome, click.status) == ("refused", 401)
    assert gates.status(execution) == "RUNNING"
    assert gates.question(execution) == question
    slack.click(question, "reject", ALICE.id)
    assert gates.decision(execution).output["decision"] == "rejected"


def test_the_first_of_two_clicks_decides_and_the_second_is_told(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request())
    question = gates.question(execution)
    slack.click(question, "approve", ALICE.id)
    # Bob's window still shows the buttons.
    slack.click(question, "reject", BOB.id, revision=0)
    note = slack.wait_for_note(lambda n: n.user == BOB.id and n.version > question.version)
    assert "already decided" in note.text
    ended = gates.decision(execution)
    assert (ended.output["decision"], [by["id"] for by in ended.output["decided_by"]]) == ("approved", [ALICE.id])
    # Whoever wrote last: the message says who decided.
    assert f"Approved* by <@{ALICE.id}>" in shown(gates.locked(question))


def test_a_click_long_after_the_end_removes_the_buttons(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(timeout_seconds=1))
    question = gates.question(execution)
    gates.decision(execution)
    seen = slack.changes().version
    slack.click(question, "approve", ALICE.id, revision=0)
    note = slack.wait_for_note(lambda n: n.user == ALICE.id and n.version > seen)
    assert "changed nothing" in note.text
    assert gates.locked(question).actions() == []


def test_a_stopped_execution_locks_its_message(gates: Gates) -> None:
    execution = gates.ask(request())
    question = gates.question(execution)
    gates.wait_for_vote(execution)
    gates.stop(execution)
    assert gates.decision(execution).status == "STOPPED"
    assert "Cancelled" in shown(gates.locked(question))


def test_an_execution_that_is_stopped_after_its_decision_shows_the_decision(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request())
    question = gates.question(execution)
    gates.wait_for_vote(execution)
    slack.add_fault("response_url", drop="before")
    slack.add_fault("chat.update", status=500, times=9)
    slack.click(question, "approve", ALICE.id)
    # The third attempt to lock the message failed: the next one comes in two seconds or more.
    until(lambda: sum(call.arguments["ts"] == question.ts for call in slack.calls("chat.update")) == 3, "three updates")
    slack.clear_faults()
    gates.stop(execution)
    assert gates.decision(execution).status == "STOPPED"
    assert f"Approved* by <@{ALICE.id}>" in shown(gates.locked(question))
    slack.click(question, "reject", BOB.id, revision=0)
    note = slack.wait_for_note(lambda n: n.user == BOB.id and n.version > question.version)
    assert f"Approved* by <@{ALICE.id}>" in note.text


def test_a_channel_without_the_app_is_an_undelivered_decision_with_the_fix(gates: Gates) -> None:
    ended = gates.decision(gates.ask(request(channels=[NOT_JOINED.id])))
    assert (ended.status, ended.output["decision"]) == ("SUCCEEDED", "undelivered")
    assert ended.output["error"]["code"] == "not_in_channel"
    assert ended.output["error"]["fix"]


def test_a_rate_limit_is_waited_for(gates: Gates, slack: SlackSandbox) -> None:
    slack.add_fault("chat.postMessage", status=429, retry_after=1)
    execution = gates.ask(request())
    slack.click(gates.question(execution), "approve", ALICE.id)
    assert gates.decision(execution).output["decision"] == "approved"


def test_a_message_whose_answer_was_lost_is_found_and_not_posted_twice(gates: Gates, slack: SlackSandbox) -> None:
    slack.add_fault("chat.postMessage", drop="after")
    asked = request()
    execution = gates.ask(asked)
    question = gates.question(execution)
    slack.click(question, "approve", ALICE.id)
    assert gates.decision(execution).output["message"]["ts"] == question.ts
    assert [m.ts for m in slack.messages() if asked["title"] in shown(m)] == [question.ts]


def test_one_name_is_one_request(gates: Gates, slack: SlackSandbox) -> None:
    asked, name = request(), f"release-{uuid4()}"
    execution = gates.ask(asked, name)
    question = gates.question(execution)
    assert gates.ask(asked, name) == execution
    slack.click(question, "approve", ALICE.id)
    gates.decision(execution)
    assert [m.ts for m in slack.messages() if asked["title"] in shown(m)] == [question.ts]


def test_an_invalid_request_fails_and_names_the_field(gates: Gates) -> None:
    ended = gates.decision(gates.ask(request(title="x" * 151)))
    assert ended.status == "FAILED"
    assert "title" in str(ended.cause)
