"""People in Slack are told of a maintenance, and those who may end it by its button."""

import json
from collections.abc import Iterator

import pytest

from sandbox.deployment import Sandbox
from sandbox.gates import Gates, shown
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, OPERATIONS, STRANGER, Message

END = "end-maintenance"


def held(gates: Gates, number: int) -> list[str]:
    """Start executions behind the closed gate and return them once they are parked."""
    executions = [gates.start() for _ in range(number)]
    gates.wait_for_parked(number)
    return executions


def note_after(slack: SlackSandbox, message: Message, user: str, revision: int | None = None) -> str:
    """Let somebody click the button, and return what only they see."""
    seen = slack.changes().version
    assert slack.click(message, END, user, revision=revision).outcome == "accepted"
    return slack.wait_for_note(lambda n: n.user == user and n.version > seen).text


def test_a_maintenance_is_told_and_ended_by_the_button_of_those_who_may(machine: Gates, slack: SlackSandbox) -> None:
    machine.act("begin", reason="Upgrade of the database", by="ada", until="2099-01-01T00:00:00Z")
    executions = held(machine, 2)
    message = machine.notice()
    assert (message.channel, message.actions()) == (OPERATIONS.id, [END])
    for text in (f"Maintenance of {machine.name}", "Upgrade of the database", "begun by ada", "sandbox"):
        assert text in shown(message)

    assert "You cannot end this maintenance" in note_after(slack, message, STRANGER.id)
    assert machine.gate_state() == "closed"
    assert machine.running(executions) == [True, True]
    assert machine.notice().content == message.content

    slack.click(message, END, ALICE.id)
    assert [machine.ended(execution).status for execution in executions] == ["SUCCEEDED"] * 2
    assert machine.wait_for_gate("open") == "open"
    over = machine.locked(message)
    assert "2 resumed, 0 dead, 0 quarantined" in shown(over)
    assert f"ended by alice ({ALICE.id})" in shown(over)
    (report,) = machine.replies(message, 1)
    assert "2 resumed, 0 dead, 0 quarantined" in report.content.text


def test_the_end_is_told_whoever_ended_it_and_what_became_of_the_tasks(
    machine: Gates, slack: SlackSandbox, sandbox: Sandbox
) -> None:
    machine.begin_maintenance()
    machine.wait_for_gate("closed")
    message = machine.notice()
    _, stopped = held(machine, 2)
    sandbox.client("stepfunctions").stop_execution(executionArn=stopped)
    machine.end_maintenance()
    over = machine.locked(message)
    assert "1 resumed, 1 dead, 0 quarantined" in shown(over)
    (report,) = machine.replies(message, 1)
    assert "1 resumed, 1 dead" in report.content.text
    assert "over already" in note_after(slack, message, ALICE.id, revision=0)


def test_the_button_of_a_maintenance_that_is_over_does_not_end_the_next_one(
    machine: Gates, slack: SlackSandbox
) -> None:
    machine.act("begin", reason="First")
    first = machine.notice()
    machine.act("end")
    machine.locked(first)
    machine.act("begin", reason="Second")
    second = machine.notice()
    assert second.ts != first.ts
    assert "over already" in note_after(slack, first, ALICE.id, revision=0)
    assert machine.gate_state() == "closed"
    slack.click(second, END, ALICE.id)
    assert machine.wait_for_gate("open") == "open"
    machine.locked(second)


@pytest.fixture
def override(gates: Gates) -> Iterator[None]:
    yield
    gates.act("end", scope="all")


@pytest.mark.usefixtures("override")
def test_a_maintenance_of_all_is_one_message_and_one_button(gates: Gates, machine: Gates, slack: SlackSandbox) -> None:
    machine.act("end")
    machine.wait_for_gate("open")
    seen = slack.changes().version
    gates.act("begin", scope="all", reason="Everything", by="ada")
    message = slack.wait_for_message(lambda m: m.version > seen and "all state machines" in shown(m))
    execution = machine.start()
    machine.wait_for_parked(1)
    slack.click(message, END, ALICE.id)
    assert machine.ended(execution).status == "SUCCEEDED"
    over = gates.locked(message)
    assert "1 resumed, 0 dead, 0 quarantined" in shown(over)
    told = [m for m in slack.messages() if m.version > seen and m.thread_ts is None]
    assert [m.ts for m in told] == [message.ts]


def test_trouble_is_a_message_that_says_what_to_do(machine: Gates, slack: SlackSandbox, sandbox: Sandbox) -> None:
    s3, bucket = sandbox.client("s3"), sandbox.outputs["bucket_name"]
    machine.act("begin")
    held(machine, 1)
    (key,) = machine.parked()
    whole = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({**json.loads(whole), "taskToken": "AQC"}).encode())
    machine.act("end")
    trouble = slack.wait_for_message(lambda m: f"Maintenance gate: {machine.name}" in shown(m))
    assert trouble.channel == OPERATIONS.id
    assert "What to do" in shown(trouble)


def test_people_are_told_once_slack_takes_messages_again(machine: Gates, slack: SlackSandbox) -> None:
    slack.add_fault("chat.postMessage", status=429, retry_after=1)
    slack.add_fault("chat.postMessage", status=500)
    machine.act("begin", reason="Slack is slow")
    message = machine.notice()
    slack.add_fault("chat.update", status=500)
    machine.act("end")
    machine.locked(message)
    assert len(machine.replies(message, 1)) == 1
    assert [m.ts for m in slack.messages() if m.thread_ts is None and machine.name in shown(m)] == [message.ts]
