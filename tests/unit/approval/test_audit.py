"""What auditors get: one record of the request and one of the decision, as events and as lines of the log."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from shared.records import request_hash
from tests.unit.approval.conftest import TASK_TOKEN, Events, Gate, buttons
from tests.unit.approval.test_crashes import MOST_CHECKPOINTS, Killer
from tests.unit.approval.test_flow import refused
from tests.unit.conftest import Reply, SlackApi

REQUESTED, DECIDED = "Approval Requested", "Approval Decided"
NOT_TAKEN = Reply(body={"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(line.message, line.record) for line in caplog.records if getattr(line, "audit", False)]  # type: ignore[attr-defined]


def test_a_request_and_its_decision_are_events_and_lines_of_the_log(
    gate: Gate, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    arn = gate.ask(fields={"Order": "123"}, task_token=TASK_TOKEN)
    gate.click(arn)
    decision = gate.decision(arn)

    assert [(e["Source"], e["DetailType"], e["EventBusName"]) for e in events.taken] == [
        ("workflow-gates.approval", REQUESTED, "audit"),
        ("workflow-gates.approval", DECIDED, "audit"),
    ]
    (requested,), (decided,) = events.details(REQUESTED), events.details(DECIDED)
    request = {"title": "Deploy v1?", "fields": {"Order": "123"}}
    assert requested == {
        "request": request,
        "request_hash": request_hash(request),
        "requested_at": decision["requested_at"],
        "messages": decision["messages"],
        "undelivered_to": [],
        "execution_arn": arn,
        "environment": "staging",
    }
    assert decided == decision | {"environment": "staging"}
    assert decision["request_hash"] == requested["request_hash"]
    assert records(caplog) == [(REQUESTED, requested), (DECIDED, decided)]


def test_a_request_that_reached_nobody_is_recorded_too(gate: Gate, events: Events, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", refused("not_in_channel"))
    gate.decision(gate.ask())

    (requested,), (decided,) = events.details(REQUESTED), events.details(DECIDED)
    assert requested["undelivered_to"][0]["error"]["code"] == "not_in_channel"
    assert decided["decision"] == "undelivered"


def test_an_event_that_the_bus_does_not_take_is_sent_again_and_logged_once(
    gate: Gate, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    events.replies.extend([NOT_TAKEN, Reply(500, {"__type": "InternalException"})])
    arn = gate.ask()
    gate.click(arn)
    gate.decision(arn)

    assert [entry["DetailType"] for entry in events.taken] == [REQUESTED, DECIDED]
    assert [kind for kind, _ in records(caplog)] == [REQUESTED, DECIDED]


@pytest.mark.parametrize("reply", [Reply(400, {"__type": "AccessDeniedException"}), NOT_TAKEN])
def test_a_bus_that_takes_nothing_does_not_change_the_decision(
    gate: Gate, events: Events, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    events.replies.extend([reply] * 100)
    arn = gate.ask()
    gate.click(arn)

    assert gate.decision(arn)["decision"] == "approved"
    assert [kind for kind, _ in records(caplog)] == [REQUESTED, DECIDED]
    assert {line.step for line in caplog.records if line.message == "event not sent"} == {  # type: ignore[attr-defined]
        "emit-requested",
        "emit-decided",
    }


def test_a_decision_that_is_too_long_for_an_event_is_recorded_without_its_answers_and_returned_with_them(
    gate: Gate, events: Events
) -> None:
    arn = gate.ask()
    gate.wait(arn)
    answers = {f"input_{number}": "\N{BOMB}" * 3000 for number in range(10)}
    gate.click_message(gate.slack_api.wait_for_message(), inputs=answers, reason="Why not?")
    decision = gate.decision(arn)

    assert decision["inputs"] == answers
    (decided,) = events.details(DECIDED)
    votes = [vote | {"reason": None} for vote in decision["votes"]]
    shortened = {"inputs": {}, "votes": votes, "decision_truncated": True, "environment": "staging"}
    assert decided == decision | shortened
    assert decided["reason"] == "Why not?"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_loses_no_record_and_tells_the_requester(
    make_gate: Callable[..., Gate], slack_api: SlackApi, events: Events, when: str
) -> None:
    for number in range(1, MOST_CHECKPOINTS):
        gate = make_gate()
        killer = Killer(gate, number, when)

        arn = gate.ask(requester="U0456EFGH", allow_cancel=True)
        gate.click_message(slack_api.wait_for_message(), "cancel" if number % 2 else "approve")
        decision = gate.decision(arn)

        assert decision["decision"] == ("cancelled" if number % 2 else "approved")
        assert 1 <= len(events.details(REQUESTED)) <= 2
        assert 1 <= len(events.details(DECIDED)) <= 2
        assert all(detail == decision | {"environment": "staging"} for detail in events.details(DECIDED))
        assert (1 - number % 2) <= len(slack_api.notes) <= 2 * (1 - number % 2)
        assert not any(buttons(message) for message in slack_api.messages.values())
        if not killer.killed:
            break
        slack_api.messages.clear()
        slack_api.notes.clear()
        events.taken.clear()
    assert number > 6
    assert not killer.killed
