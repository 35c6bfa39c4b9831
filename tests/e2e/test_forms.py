"""Reasons and inputs, asked in a modal."""

from typing import Any
from uuid import uuid4

import pytest

from sandbox.gates import Gates, shown
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, BOB, Message, User, View

INPUTS: list[dict[str, Any]] = [
    {"name": "ticket", "label": "Ticket", "type": "text", "required": True, "max_length": 10},
    {"name": "hosts", "label": "Hosts", "type": "number", "required": True, "min": 1, "max": 8, "default": 2},
    {"name": "size", "label": "Size", "type": "select", "options": ["S", "M"], "default": "M"},
    {"name": "day", "label": "Day", "type": "date", "min": "2026-01-01"},
    {"name": "read", "label": "I have read it", "type": "checkbox", "required": True},
]


def asked(gates: Gates, **changes: Any) -> tuple[str, Message]:
    execution = gates.ask({"title": f"Deploy {uuid4()}?", **changes})
    return execution, gates.question(execution)


def opened(slack: SlackSandbox, question: Message, action: str, person: User) -> View:
    seen = slack.changes().version
    assert slack.click(question, action, person.id).outcome == "accepted"
    return slack.wait_for_view(lambda v: v.user == person.id and v.version > seen)


def test_a_rejection_needs_its_reason_and_everybody_sees_it(gates: Gates, slack: SlackSandbox) -> None:
    execution, question = asked(gates, reason={"on_reject": "required"})
    view = opened(slack, question, "reject", ALICE)
    refused = slack.submit(view, {"reason": "  "})
    assert (refused.errors, refused.open) == ({"reason": "Please say why."}, True)
    assert gates.status(execution) == "RUNNING"
    accepted = slack.submit(view, {"reason": "Not on <Fridays> @here"})
    assert (accepted.outcome, accepted.open) == ("accepted", False)
    decision = gates.decision(execution).output
    assert (decision["decision"], decision["reason"]) == ("rejected", "Not on <Fridays> @here")
    outcome, reason = gates.locked(question).blocks[-1]["elements"]
    assert f"Rejected* by <@{ALICE.id}>" in outcome["text"]
    assert (reason["type"], reason["text"]) == ("plain_text", "Not on <Fridays> @here")


def test_approving_needs_no_reason_where_only_rejecting_does(gates: Gates, slack: SlackSandbox) -> None:
    execution, question = asked(gates, reason={"on_reject": "required"})
    slack.click(question, "approve", ALICE.id)
    assert gates.decision(execution).output["decision"] == "approved"


def test_answers_to_all_kinds_of_inputs_are_checked_and_part_of_the_decision(gates: Gates, slack: SlackSandbox) -> None:
    execution, question = asked(gates, inputs=INPUTS)
    view = opened(slack, question, "approve", ALICE)
    wrong = {
        "input-ticket": "longer than ten",
        "input-hosts": "many",
        "input-size": "XL",
        "input-day": "2025-12-31",
        "input-read": False,
    }
    refused = slack.submit(view, wrong, unchecked=True)
    assert refused.open
    assert refused.errors == {
        "input-ticket": "Please use 10 characters at most (15 now).",
        "input-hosts": "Please enter a number, such as 3 or 2.5.",
        "input-size": "Please choose one of the options.",
        "input-day": "Please use 2026-01-01 or later.",
        "input-read": "Please tick this box.",
    }
    # Hosts and size keep what they showed at first.
    answers = {"input-ticket": "OPS-1", "input-day": "2026-12-24", "input-read": True}
    assert not slack.submit(view, answers).open
    decision = gates.decision(execution).output
    assert decision["decision"] == "approved"
    assert decision["inputs"] == {"ticket": "OPS-1", "hosts": 2, "size": "M", "day": "2026-12-24", "read": True}


@pytest.mark.parametrize("how", [{"forged": True}, {"age": 301}], ids=["forged", "old"])
def test_a_submission_that_slack_did_not_sign_just_now_is_refused(
    gates: Gates, slack: SlackSandbox, how: dict[str, Any]
) -> None:
    execution, question = asked(gates, reason={"on_approve": "optional"})
    view = opened(slack, question, "approve", ALICE)
    assert slack.submit(view, **how).status == 401
    assert gates.status(execution) == "RUNNING"
    assert not slack.submit(view).open
    assert gates.decision(execution).output["decision"] == "approved"


def test_a_modal_submitted_after_the_decision_says_who_decided(gates: Gates, slack: SlackSandbox) -> None:
    execution, question = asked(gates, reason={"on_approve": "optional", "on_reject": "required"})
    late = opened(slack, question, "reject", BOB)
    assert not slack.submit(opened(slack, question, "approve", ALICE)).open
    assert gates.decision(execution).output["decision"] == "approved"
    answered = slack.submit(late, {"reason": "Too early"})
    assert (answered.outcome, answered.open) == ("accepted", True)
    view = slack.view(late.id).view
    assert view["title"]["text"] == "Not counted"
    assert f"Approved* by <@{ALICE.id}>" in view["blocks"][0]["text"]["text"]
    assert "Too early" not in shown(gates.locked(question))


def test_votes_of_two_modals_that_are_open_at_once_both_count(gates: Gates, slack: SlackSandbox) -> None:
    execution, question = asked(gates, quorum=2, reason={"on_approve": "required"})
    views = {person.id: opened(slack, question, "approve", person) for person in (ALICE, BOB)}
    for person, view in views.items():
        assert not slack.submit(view, {"reason": f"{person} agrees"}).open
    decision = gates.decision(execution).output
    assert {vote["id"]: vote["reason"] for vote in decision["votes"]} == {
        person: f"{person} agrees" for person in (ALICE.id, BOB.id)
    }
