"""The function is killed at every checkpoint that it makes, just before and just after it is kept."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_durable_execution_sdk_python.exceptions import CheckpointError
from aws_durable_execution_sdk_python.lambda_service import CheckpointOutput

from tests.unit.approval.conftest import TASK_TOKEN, Gate, StepFunctions, buttons
from tests.unit.conftest import Reply, SlackApi

MOST_CHECKPOINTS = 40


class Killer:
    """Kills an invocation at one of the execution's checkpoints."""

    def __init__(self, gate: Gate, number: int, when: str) -> None:
        self.killed = False
        self._client = gate.runner._service_client
        self._checkpoint = self._client.checkpoint
        self._left, self._when = number, when
        self._client.checkpoint = self._at_checkpoint  # type: ignore[method-assign]

    def _at_checkpoint(self, *arguments: Any, **named: Any) -> CheckpointOutput:
        self._left -= 1
        if self._left:
            return self._checkpoint(*arguments, **named)
        self.killed = True
        if self._when == "after":
            self._checkpoint(*arguments, **named)
        raise CheckpointError("killed")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("history_is_readable", [True, False])
@pytest.mark.parametrize("click", ["at once", "when the function waits"])
def test_a_crash_anywhere_leads_to_the_same_decision(
    make_gate: Callable[..., Gate],
    slack_api: SlackApi,
    stepfunctions: StepFunctions,
    *,
    when: str,
    history_is_readable: bool,
    click: str,
) -> None:
    slack_api.history_is_readable = history_is_readable
    for number in range(1, MOST_CHECKPOINTS):
        gate = make_gate()
        killer = Killer(gate, number, when)

        arn = gate.ask(task_token=f"{TASK_TOKEN}{number}")
        if click == "when the function waits":
            gate.wait(arn)
        message = slack_api.wait_for_message()
        gate.click_message(message, "reject")
        decision = gate.decision(arn)

        assert decision["decision"] == "rejected"
        assert [voter["name"] for voter in decision["decided_by"]] == ["ann"]
        ((operation, answer),) = stepfunctions.answers
        assert operation == "SendTaskFailure"
        assert json.loads(answer["cause"]) == decision
        assert len(slack_api.messages) <= (1 if history_is_readable else 2)
        for ts in {message["ts"], decision["message"]["ts"]}:
            assert not buttons(slack_api.messages[ts])
        if not killer.killed:
            break
        slack_api.messages.clear()
        stepfunctions.answers.clear()
    assert number > 7, "each operation makes a checkpoint"
    assert not killer.killed


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_leaves_a_refusal_undelivered(
    make_gate: Callable[..., Gate], slack_api: SlackApi, stepfunctions: StepFunctions, when: str
) -> None:
    for number in range(1, MOST_CHECKPOINTS):
        slack_api.will("chat.postMessage", *[Reply(body={"ok": False, "error": "is_archived"})] * 2)
        gate = make_gate()
        killer = Killer(gate, number, when)

        decision = gate.decision(gate.ask(task_token=f"{TASK_TOKEN}{number}"))

        assert decision["error"]["code"] == "is_archived"
        ((_, answer),) = stepfunctions.answers
        assert json.loads(answer["cause"]) == decision
        assert not slack_api.messages
        if not killer.killed:
            break
        stepfunctions.answers.clear()
    assert not killer.killed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("places", [["C0ONE", "C0TWO"], ["C0ONE"]])
def test_a_crash_anywhere_counts_every_vote_once(
    make_gate: Callable[..., Gate], slack_api: SlackApi, when: str, places: list[str]
) -> None:
    for number in range(1, MOST_CHECKPOINTS):
        gate = make_gate()
        killer = Killer(gate, number, when)

        arn = gate.ask(quorum=2, rejections=2, channels=places, approvers={"users": ["U0ANN", "U0BOB", "U0CARL"]})
        first = slack_api.wait_for_message()
        gate.click_message(first, "reject", "U0ANN")
        gate.click_message(first, "approve", "U0BOB")
        slack_api.wait_until(lambda: "*1 of 2* approved by <@U0BOB>" in json.dumps(slack_api.messages))
        gate.click_message(slack_api.wait_for_message(), "approve", "U0CARL")
        decision = gate.decision(arn)

        assert decision["decision"] == "approved"
        assert [voter["id"] for voter in decision["decided_by"]] == ["U0BOB", "U0CARL"]
        assert [vote["id"] for vote in decision["votes"]] == ["U0ANN", "U0BOB", "U0CARL"]
        assert [message["channel"] for message in decision["messages"]] == places
        assert len(slack_api.messages) == len(places)
        assert not any(buttons(message) for message in slack_api.messages.values())
        if not killer.killed:
            break
        slack_api.messages.clear()
    assert number > 10, "each operation makes a checkpoint"
    assert not killer.killed


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_finds_a_message_whose_answer_was_lost(
    make_gate: Callable[..., Gate], slack_api: SlackApi, stepfunctions: StepFunctions, when: str
) -> None:
    for number in range(1, MOST_CHECKPOINTS):
        slack_api.will("chat.postMessage", Reply(takes_effect=True, drops=True))
        gate = make_gate()
        killer = Killer(gate, number, when)

        arn = gate.ask(task_token=f"{TASK_TOKEN}{number}")
        gate.wait(arn)
        gate.click_message(slack_api.wait_for_message())
        decision = gate.decision(arn)

        assert decision["decision"] == "approved"
        ((operation, answer),) = stepfunctions.answers
        assert operation == "SendTaskSuccess"
        assert json.loads(answer["output"]) == decision
        (message,) = slack_api.messages.values()
        assert decision["message"]["ts"] == message["ts"]
        assert not buttons(message)
        if not killer.killed:
            break
        slack_api.messages.clear()
        stepfunctions.answers.clear()
    assert number > 7
    assert not killer.killed


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_lets_a_request_time_out(
    make_gate: Callable[..., Gate], slack_api: SlackApi, stepfunctions: StepFunctions, when: str
) -> None:
    # Side by side, since each takes as long as its request.
    asked = []
    for number in range(1, MOST_CHECKPOINTS):
        gate = make_gate()
        killer = Killer(gate, number, when)
        asked.append((gate, killer, gate.ask(f"{number}", task_token=f"{TASK_TOKEN}{number}", timeout_seconds=5)))
        if number == 24:
            break
    decisions = {arn: gate.decision(arn) for gate, _, arn in asked}

    assert {decision["decision"] for decision in decisions.values()} == {"timed_out"}
    answers = {json.loads(answer["cause"])["execution_arn"]: answer for _, answer in stepfunctions.answers}
    assert len(stepfunctions.answers) == len(answers) == len(asked)
    for arn, answer in answers.items():
        assert (answer["error"], json.loads(answer["cause"])) == ("Approval.TimedOut", decisions[arn])
    assert len(slack_api.messages) == len(asked)
    assert not any(buttons(message) for message in slack_api.messages.values())
    assert sum(killer.killed for _, killer, _ in asked) > 7
    assert not asked[-1][1].killed


def test_a_replay_shows_the_same_times(make_gate: Callable[..., Gate], slack_api: SlackApi) -> None:
    gate = make_gate()
    arn = gate.ask()
    gate.wait(arn)
    posted = json.dumps(slack_api.wait_for_message()["blocks"][:-1])
    gate.click(arn)
    gate.decision(arn)

    (message,) = slack_api.messages.values()
    assert json.dumps(message["blocks"][:-1]) == posted
