"""Slack refuses, limits, fails and drops connections: people are asked all the same, and not more often than needed.

Rate limits, an answer that was lost and a channel without the app are in `test_approval.py`.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from sandbox.gates import Gates, shown
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, Message


@pytest.fixture
def no_history(slack: SlackSandbox) -> Iterator[None]:
    """The app may not read what was posted."""
    scopes = slack.app()["scopes"]
    slack.configure(scopes=[scope for scope in scopes if scope != "channels:history"])
    yield
    slack.configure(scopes=scopes)


@pytest.fixture
def no_scope(slack: SlackSandbox) -> Iterator[None]:
    """The app was installed without the scope that it needs most."""
    scopes = slack.app()["scopes"]
    slack.configure(scopes=[scope for scope in scopes if scope != "chat:write"])
    yield
    slack.configure(scopes=scopes)


def asked(gates: Gates, **changes: Any) -> tuple[str, Message]:
    execution = gates.ask({"title": f"Deploy {uuid4()}?", **changes})
    return execution, gates.question(execution)


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 503, "error": "service_unavailable"}, {"error": "internal_error"}, {"drop": "before"}],
    ids=["500", "503", "internal error", "dropped before it was accepted"],
)
def test_a_message_that_slack_may_have_taken_is_posted_again_where_it_is_not_found(
    gates: Gates, slack: SlackSandbox, fault: dict[str, Any]
) -> None:
    slack.add_fault("chat.postMessage", **fault)
    execution, question = asked(gates)
    gates.wait_for_vote(execution)
    slack.click(question, "approve", ALICE.id)
    assert gates.decision(execution).output["message"]["ts"] == question.ts
    assert gates.messages(execution, 1) == [gates.locked(question)]


@pytest.mark.usefixtures("no_history")
def test_where_nobody_can_look_there_is_one_copy_more_and_a_click_on_either_decides(
    gates: Gates, slack: SlackSandbox
) -> None:
    slack.add_fault("chat.postMessage", drop="after")
    execution = gates.ask({"title": f"Deploy {uuid4()}?"})
    unconfirmed, confirmed = gates.messages(execution, 2)
    gates.wait_for_vote(execution)
    slack.click(unconfirmed, "approve", ALICE.id)
    decision = gates.decision(execution).output
    assert [by["id"] for by in decision["decided_by"]] == [ALICE.id]
    assert {message["ts"] for message in decision["messages"]} == {unconfirmed.ts, confirmed.ts}
    for copy in (unconfirmed, confirmed):
        assert f"Approved* by <@{ALICE.id}>" in shown(gates.locked(copy))


@pytest.mark.usefixtures("no_scope")
def test_a_missing_scope_is_named_in_an_undelivered_decision(gates: Gates) -> None:
    decision = gates.decision(gates.ask({"title": f"Deploy {uuid4()}?"})).output
    assert (decision["decision"], decision["error"]["code"]) == ("undelivered", "missing_scope")
    assert "chat:write" in decision["error"]["fix"]


def test_a_decision_holds_and_its_message_is_locked_however_often_slack_fails_at_it(
    gates: Gates, slack: SlackSandbox
) -> None:
    execution, question = asked(gates)
    slack.add_fault("response_url", drop="before")
    slack.add_fault("chat.update", status=500)
    slack.add_fault("chat.update", status=429, retry_after=1)
    assert slack.click(question, "approve", ALICE.id).outcome == "accepted"
    assert gates.decision(execution).output["decision"] == "approved"
    assert f"Approved* by <@{ALICE.id}>" in shown(gates.locked(question))
