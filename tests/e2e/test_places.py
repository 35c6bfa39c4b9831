"""Several places, one request: who asked may cancel and is told, and the first decision holds everywhere."""

from typing import Any
from uuid import uuid4

from sandbox.gates import Gates, shown
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, BOB, NOT_JOINED, OPERATIONS, REQUESTER, STRANGER


def request(**changes: Any) -> dict[str, Any]:
    return {"title": f"Deploy {uuid4()}?", "requester": REQUESTER.id, **changes}


def test_the_first_decision_anywhere_holds_everywhere(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(channels=[APPROVALS.id, f"#{OPERATIONS.name}"], direct_messages=True))
    copies = gates.messages(execution, 4)
    places = {channel["id"]: channel["user"] for channel in slack.app()["channels"]}
    assert [places[copy.channel] for copy in copies] == [None, None, ALICE.id, BOB.id]
    bobs = copies[3]
    slack.click(bobs, "approve", BOB.id)
    decision = gates.decision(execution).output
    assert [by["id"] for by in decision["decided_by"]] == [BOB.id]
    assert [(m["channel"], m["ts"]) for m in decision["messages"]] == [(copy.channel, copy.ts) for copy in copies]
    for copy in copies:
        assert f"Approved* by <@{BOB.id}>" in shown(gates.locked(copy))
    seen = slack.changes().version
    slack.click(copies[0], "reject", ALICE.id, revision=0)
    note = slack.wait_for_note(lambda n: n.user == ALICE.id and n.version > seen)
    assert f"Approved* by <@{BOB.id}>" in note.text
    assert f"Approved* by <@{BOB.id}>" in shown(gates.locked(copies[0]))


def test_a_place_that_cannot_be_asked_does_not_keep_the_others(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(channels=[NOT_JOINED.id, OPERATIONS.id]))
    question = gates.question(execution)
    assert question.channel == OPERATIONS.id
    slack.click(question, "approve", ALICE.id)
    decision = gates.decision(execution).output
    assert decision["decision"] == "approved"
    [undelivered] = decision["undelivered_to"]
    assert (undelivered["channel"], undelivered["error"]["code"]) == (NOT_JOINED.id, "not_in_channel")
    assert "invite the app" in undelivered["error"]["fix"]


def test_only_the_requester_can_cancel(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(allow_cancel=True))
    question = gates.question(execution)
    seen = slack.changes().version
    for person in (ALICE, STRANGER):
        slack.click(question, "cancel", person.id)
    notes = slack.changes(seen).notes
    assert [note.user for note in notes] == [ALICE.id, STRANGER.id]
    assert all("Only who asked for this can cancel it" in note.text for note in notes)
    assert gates.status(execution) == "RUNNING"
    slack.click(question, "cancel", REQUESTER.id)
    ended = gates.decision(execution)
    assert (ended.status, ended.output["decision"]) == ("SUCCEEDED", "cancelled")
    assert [by["id"] for by in ended.output["decided_by"]] == [REQUESTER.id]
    assert f"Cancelled* by <@{REQUESTER.id}>" in shown(gates.locked(question))


def test_a_requester_who_may_approve_the_own_request_does(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(approvers={"users": [REQUESTER.id]}, allow_self_approval=True))
    slack.click(gates.question(execution), "approve", REQUESTER.id)
    assert [by["id"] for by in gates.decision(execution).output["decided_by"]] == [REQUESTER.id]


def test_the_requester_is_told_in_the_thread(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request())
    question = gates.question(execution)
    slack.click(question, "reject", ALICE.id)
    [told] = gates.replies(question, 1)
    assert told.text.startswith(f"<@{REQUESTER.id}>: ")
    assert f"Rejected* by <@{ALICE.id}>" in told.text


def test_the_requester_is_told_in_a_direct_message_with_a_link(gates: Gates, slack: SlackSandbox) -> None:
    asked = request(notify_requester="direct_message")
    execution = gates.ask(asked)
    slack.click(gates.question(execution), "approve", ALICE.id)
    link = gates.decision(execution).output["message"]["permalink"]
    told = slack.wait_for_message(lambda m: asked["title"] in shown(m) and f"Approved* by <@{ALICE.id}>" in m.text)
    assert {channel["id"]: channel["user"] for channel in slack.app()["channels"]}[told.channel] == REQUESTER.id
    assert f"<{link}|" in shown(told)
