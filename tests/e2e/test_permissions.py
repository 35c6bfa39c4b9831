"""A permission that is taken from a deployed role is missed, told, and works again when it is back."""

import json
from collections.abc import Callable, Iterator

import pytest

from sandbox.deployment import NAME, Sandbox, until
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE

POLICY = "function"


@pytest.fixture
def take(sandbox: Sandbox) -> Iterator[Callable[[str, str], Callable[[], None]]]:
    """Takes a statement from the policy of a function's role, and returns what puts it back."""
    iam = sandbox.client("iam")
    taken: list[Callable[[], None]] = []

    def statement(function: str, sid: str) -> Callable[[], None]:
        role = f"{NAME}-{function}"
        document = iam.get_role_policy(RoleName=role, PolicyName=POLICY)["PolicyDocument"]
        left = [one for one in document["Statement"] if one["Sid"] != sid]
        assert len(left) == len(document["Statement"]) - 1

        def put(policy: object) -> None:
            iam.put_role_policy(RoleName=role, PolicyName=POLICY, PolicyDocument=json.dumps(policy))

        put({**document, "Statement": left})
        taken.append(lambda: put(document))
        return taken[-1]

    yield statement
    for put_back in taken:
        put_back()


def refused(sandbox: Sandbox, function: str) -> list[str]:
    asked = sandbox.control("GET", "permissions")
    (found,) = (actions["refused"] for role, actions in asked.items() if role.endswith(f"role/{NAME}-{function}"))
    return list(found)


def test_a_click_that_the_webhooks_role_does_not_allow_did_not_work(
    sandbox: Sandbox, gates: Gates, slack: SlackSandbox, take: Callable[[str, str], Callable[[], None]]
) -> None:
    execution = gates.ask({"title": "Permitted?"})
    question = gates.question(execution)
    gates.wait_for_vote(execution)
    put_back = take("slack-webhook", "Callbacks")
    seen = slack.changes().version
    assert slack.click(question, "approve", ALICE.id).outcome == "accepted"
    note = slack.wait_for_note(lambda n: n.user == ALICE.id and n.version > seen)
    assert "Your click did not work: AWS did not accept it, and nothing was decided" in note.text
    assert gates.status(execution) == "RUNNING"
    assert "lambda:SendDurableExecutionCallbackSuccess" in refused(sandbox, "slack-webhook")
    put_back()
    slack.click(gates.question(execution), "approve", ALICE.id)
    assert gates.decision(execution).output["decision"] == "approved"


def test_tasks_stay_parked_while_the_maintenance_role_may_not_answer_them(
    sandbox: Sandbox, machine: Gates, take: Callable[[str, str], Callable[[], None]]
) -> None:
    machine.begin_maintenance()
    machine.wait_for_gate("closed")
    execution = machine.start()
    machine.wait_for_parked(1)
    put_back = take("maintenance", "TaskAnswers")
    machine.end_maintenance()
    until(lambda: "states:SendTaskSuccess" in refused(sandbox, "maintenance"), "a refused answer")
    assert len(machine.parked()) == 1
    assert machine.running([execution]) == [True]
    put_back()
    machine.act("drain")
    ended = machine.ended(execution)
    assert (ended.status, ended.output) == ("SUCCEEDED", {"maintenance": {"status": "resumed"}})
    machine.wait_for_parked(0)
