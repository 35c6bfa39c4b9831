"""Quorums: whoever clicks when, every person's vote counts once."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVERS_GROUP, BOB, STRANGER, Click, Message, User

# In batches: a person sees some requests waiting at a time.
BATCHES, BATCH = 10, 20
DOUBLE_CLICKS = 20


def asked(gates: Gates, number: int, **changes: Any) -> list[tuple[str, Message]]:
    executions = [gates.ask({"title": f"Deploy {uuid4()}?", "quorum": 2, **changes}) for _ in range(number)]
    return list(zip(executions, gates.questions(executions), strict=True))


def clicked_at_once(
    slack: SlackSandbox, questions: Iterable[Message], *clicks: tuple[User, str]
) -> list[tuple[Click, ...]]:
    """Let several people click at each question in the same moment."""
    together = Barrier(len(clicks))
    shown = list(questions)

    def click_through(person: User, action: str) -> list[Click]:
        done = []
        for question in shown:
            together.wait(timeout=60)
            # The copy as posted: nobody has seen the other's vote yet.
            done.append(slack.click(question, action, person.id, revision=0))
        return done

    with ThreadPoolExecutor(len(clicks)) as people:
        return list(zip(*people.map(click_through, *zip(*clicks, strict=True)), strict=True))


def test_of_hundreds_of_simultaneous_votes_none_is_lost_or_doubled(gates: Gates, slack: SlackSandbox) -> None:
    for _ in range(BATCHES):
        requests = asked(gates, BATCH)
        clicks = clicked_at_once(slack, [q for _, q in requests], (ALICE, "approve"), (BOB, "approve"))
        assert {click.outcome for pair in clicks for click in pair} == {"accepted"}
        for execution, _ in requests:
            decision = gates.decision(execution).output
            assert decision["decision"] == "approved"
            assert sorted(by["id"] for by in decision["decided_by"]) == sorted([ALICE.id, BOB.id])
            assert sorted(vote["id"] for vote in decision["votes"]) == sorted([ALICE.id, BOB.id])


def test_of_simultaneous_clicks_of_one_person_one_counts(gates: Gates, slack: SlackSandbox) -> None:
    requests = asked(gates, DOUBLE_CLICKS)
    clicked_at_once(slack, [q for _, q in requests], (ALICE, "approve"), (ALICE, "approve"))
    for execution, question in requests:
        shown = gates.showing(question, "1 of 2")
        assert gates.status(execution) == "RUNNING"
        slack.click(shown, "approve", BOB.id)
    for execution, _ in requests:
        decision = gates.decision(execution).output
        assert decision["decision"] == "approved"
        assert [vote["id"] for vote in decision["votes"]] == [ALICE.id, BOB.id]


def test_a_rejection_beside_an_approval_rejects(gates: Gates, slack: SlackSandbox) -> None:
    requests = asked(gates, DOUBLE_CLICKS)
    clicked_at_once(slack, [q for _, q in requests], (ALICE, "approve"), (BOB, "reject"))
    for execution, question in requests:
        decision = gates.decision(execution).output
        assert decision["decision"] == "rejected"
        assert [by["id"] for by in decision["decided_by"]] == [BOB.id]
        assert f"Rejected* by <@{BOB.id}>" in gates.locked(question).blocks[-1]["elements"][0]["text"]


def test_a_member_of_a_user_group_may_decide_and_nobody_else(gates: Gates, slack: SlackSandbox) -> None:
    [(execution, question)] = asked(gates, 1, quorum=1, approvers={"groups": [APPROVERS_GROUP]})
    slack.click(question, "approve", STRANGER.id)
    note = slack.wait_for_note(lambda n: n.user == STRANGER.id and n.version > question.version)
    assert f"<!subteam^{APPROVERS_GROUP}>" in note.text
    assert gates.status(execution) == "RUNNING"
    slack.click(question, "approve", BOB.id)
    assert [by["id"] for by in gates.decision(execution).output["decided_by"]] == [BOB.id]
