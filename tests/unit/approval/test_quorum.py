"""Several people decide: each vote is taken by a callback of its own, and the message shows how far it is."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from approval.ballot import Ballot
from shared.button import Choice
from tests.unit.approval.conftest import Gate, buttons
from tests.unit.approval.test_flow import DROPPED, is_locked, refused
from tests.unit.conftest import Reply, SlackApi

ANN, BOB, CARL, DORA = "U0000ANN", "U0000BOB", "U000CARL", "U000DORA"
PEOPLE = {"users": [ANN, BOB, CARL, DORA]}


def ask(gate: Gate, **request: Any) -> str:
    return gate.ask(**{"approvers": PEOPLE, **request})


def vote(gate: Gate, user: str, choice: Choice = "approve") -> str:
    return gate.click_message(gate.slack_api.wait_for_message(), choice, user)


def votes_line(slack_api: SlackApi) -> str:
    blocks = slack_api.wait_for_message()["blocks"]
    return str(next(b["elements"][0]["text"] for b in blocks if b.get("block_id") == "approval_votes"))


def wait_for_votes(slack_api: SlackApi, text: str) -> None:
    slack_api.wait_until(lambda: text in json.dumps(slack_api.messages, ensure_ascii=False))


def voters(decision: dict[str, Any]) -> list[str]:
    return [voter["id"] for voter in decision["decided_by"]]


def test_a_request_is_approved_by_as_many_people_as_it_wants(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, quorum=2)
    gate.wait(arn)
    assert votes_line(slack_api) == "*0 of 2* approved · *0 of 1* rejected"

    vote(gate, ANN)
    wait_for_votes(slack_api, f"*1 of 2* approved by <@{ANN}>")
    vote(gate, BOB)
    decision = gate.decision(arn)

    assert decision["decision"] == "approved"
    assert voters(decision) == [ANN, BOB]
    assert [(each["id"], each["decision"]) for each in decision["votes"]] == [(ANN, "approve"), (BOB, "approve")]
    message = slack_api.wait_for_message()
    assert is_locked(message)
    assert f"*✅ Approved* by <@{ANN}>, <@{BOB}>" in message["blocks"][-1]["elements"][0]["text"]
    assert "approval_votes" not in json.dumps(message["blocks"])


def test_one_rejection_is_enough_unless_the_request_wants_more(gate: Gate) -> None:
    arn = ask(gate, quorum=3)
    gate.wait(arn)
    vote(gate, ANN)
    vote(gate, BOB, "reject")

    decision = gate.decision(arn)

    assert decision["decision"] == "rejected"
    assert voters(decision) == [BOB]
    assert len(decision["votes"]) == 2


def test_as_many_rejections_as_wanted_reject(gate: Gate) -> None:
    arn = ask(gate, quorum=2, rejections=2)
    gate.wait(arn)
    vote(gate, ANN, "reject")
    vote(gate, BOB)
    vote(gate, CARL, "reject")

    decision = gate.decision(arn)

    assert decision["decision"] == "rejected"
    assert voters(decision) == [ANN, CARL]


def test_the_button_says_how_many_votes_are_needed_who_voted_and_where_votes_go(
    gate: Gate, slack_api: SlackApi
) -> None:
    arn = ask(gate, quorum=3, rejections=2)
    gate.wait(arn)
    approve, reject = buttons(slack_api.wait_for_message())
    assert (approve.votes_needed, reject.votes_needed) == (3, 2)
    assert approve.execution_arn == arn
    assert approve.voted == ()
    # Four votes may come before the decision; the fifth is for somebody who clicks twice.
    assert len(approve.callback_ids) == 5

    taken = vote(gate, BOB)
    wait_for_votes(slack_api, f"by <@{BOB}>")

    approve, reject = buttons(slack_api.wait_for_message())
    assert approve.voted == reject.voted == (BOB,)
    assert taken not in approve.callback_ids
    assert len(approve.callback_ids) == 4


def test_where_any_vote_decides_there_is_one_callback_and_no_count(gate: Gate, slack_api: SlackApi) -> None:
    gate.wait(ask(gate))

    approve, _ = buttons(slack_api.wait_for_message())
    assert len(approve.callback_ids) == 1
    assert "approval_votes" not in json.dumps(slack_api.messages)


def test_a_person_who_votes_twice_counts_once_and_uses_up_nothing(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, quorum=2)
    gate.wait(arn)
    message = slack_api.wait_for_message()["blocks"]
    stale = {**slack_api.wait_for_message(), "blocks": message}
    before = len(buttons(stale)[0].callback_ids)

    taken = [gate.click_message(stale, "approve", ANN) for _ in range(before)]
    slack_api.wait_until(lambda: not set(taken) & set(buttons(slack_api.wait_for_message())[0].callback_ids))

    assert votes_line(slack_api).startswith(f"*1 of 2* approved by <@{ANN}>")
    vote(gate, BOB)
    decision = gate.decision(arn)
    assert voters(decision) == [ANN, BOB]
    assert len(decision["votes"]) == 2


@pytest.mark.parametrize("choices", [("approve", "approve"), ("approve", "reject"), ("reject", "reject")])
def test_two_people_who_click_in_the_same_moment_both_count(
    make_gate: Callable[..., Gate], slack_api: SlackApi, choices: tuple[Choice, Choice]
) -> None:
    gate = make_gate()
    for _ in range(10):
        slack_api.messages.clear()
        arn = ask(gate, quorum=2, rejections=2)
        gate.wait(arn)
        message = slack_api.wait_for_message()
        start = threading.Barrier(2)

        def click(user: str, choice: Choice, message: Any = message, start: threading.Barrier = start) -> None:
            start.wait()
            gate.click_message(message, choice, user)

        people = [threading.Thread(target=click, args=each) for each in zip((ANN, BOB), choices, strict=True)]
        for person in people:
            person.start()
        for person in people:
            person.join()
        if len(set(choices)) > 1:
            wait_for_votes(slack_api, f"*1 of 2* approved by <@{ANN}> · *1 of 2* rejected by <@{BOB}>")
            vote(gate, CARL)

        decision = gate.decision(arn)
        assert decision["decision"] == ("rejected" if choices == ("reject", "reject") else "approved")
        assert {each["id"] for each in decision["votes"]} >= {ANN, BOB}


def test_votes_that_come_while_the_message_is_unreachable_count_and_it_is_shown_in_the_end(
    gate: Gate, slack_api: SlackApi
) -> None:
    slack_api.will("chat.update", DROPPED, Reply(500, b"oops"), Reply(429, {"ok": False}, {"Retry-After": "1"}))
    arn = ask(gate, quorum=3)
    gate.wait(arn)
    vote(gate, ANN)
    vote(gate, BOB)
    wait_for_votes(slack_api, f"*2 of 3* approved by <@{ANN}>, <@{BOB}>")

    vote(gate, CARL)

    assert voters(gate.decision(arn)) == [ANN, BOB, CARL]


def test_a_message_that_cannot_be_updated_does_not_stop_the_count(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.update", refused("message_not_found"))
    arn = ask(gate, quorum=2)
    gate.wait(arn)
    vote(gate, ANN)
    gate.wait_for(arn, "StepSucceeded", "update-1")

    vote(gate, BOB)

    assert gate.decision(arn)["decision"] == "approved"


def test_where_callback_ids_are_long_votes_are_taken_one_after_the_other(
    gate: Gate, slack_api: SlackApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AWS documents ids of up to 1024 characters; the emulator's have 212, so that the button's room is cut instead.
    monkeypatch.setattr("shared.button.MAX_VALUE_LENGTH", 600)
    arn = ask(gate, quorum=2)
    gate.wait(arn)
    message = slack_api.wait_for_message()
    (first,) = buttons(message)[0].callback_ids

    vote(gate, ANN)
    wait_for_votes(slack_api, f"by <@{ANN}>")
    (second,) = buttons(slack_api.wait_for_message())[0].callback_ids
    assert second != first
    vote(gate, BOB)

    assert voters(gate.decision(arn)) == [ANN, BOB]


def test_a_vote_that_aws_took_before_the_time_ran_out_counts_even_if_read_later(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Ballot.next
    late = threading.Event()

    def slow(ballot: Ballot) -> Any:
        assert late.wait(10)
        return read(ballot)

    monkeypatch.setattr(Ballot, "next", slow)
    arn = ask(gate, quorum=2, timeout_seconds=1)
    gate.wait_for(arn, "StepSucceeded", "post")
    vote(gate, ANN)
    vote(gate, BOB)
    gate.wait_for(arn, "CallbackTimedOut", "vote-3")
    late.set()

    decision = gate.decision(arn)

    assert decision["decision"] == "approved"
    assert voters(decision) == [ANN, BOB]


def test_votes_that_are_too_few_when_the_time_runs_out_are_told(gate: Gate) -> None:
    arn = ask(gate, quorum=2, timeout_seconds=1)
    gate.wait_for(arn, "StepSucceeded", "post")
    vote(gate, ANN)

    decision = gate.decision(arn)

    assert decision["decision"] == "timed_out"
    assert decision["decided_by"] == []
    assert [each["id"] for each in decision["votes"]] == [ANN]
