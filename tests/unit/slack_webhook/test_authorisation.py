from typing import Any

import pytest

from shared.button import Button
from slack_webhook.authorisation import refusal
from slack_webhook.interaction import Person


def button(**changes: Any) -> Button:
    fields: dict[str, Any] = {
        "choice": "approve",
        "execution_arn": "x",
        "callback_ids": ("id",),
        "approvers": ("U1", "U2"),
        "requester": "U2",
        "allow_self_approval": False,
        "team": "T1",
    }
    return Button(**fields | changes)


def person(user: str = "U1", team: str = "T1") -> Person:
    return Person(id=user, name="ada", team=team)


def code(button: Button, person: Person) -> str | None:
    refused = refusal(button, person)
    return refused.code if refused else None


@pytest.mark.parametrize(
    ("asked", "who", "expected"),
    [
        (button(), person(), None),
        (button(), person("U9"), "not_an_approver"),
        (button(), person("U2"), "own_request"),
        (button(allow_self_approval=True), person("U2"), None),
        (button(requester="U9", allow_self_approval=True), person("U9"), "not_an_approver"),
        (button(requester=None), person("U2"), None),
        (button(), person(team="T2"), "other_workspace"),
        (button(voted=("U1",)), person(), "voted_already"),
        (button(choice="reject"), person("U2"), "own_request"),
        (button(choice="reject"), person("U9"), "not_an_approver"),
    ],
)
def test_who_may_decide(asked: Button, who: Person, expected: str | None) -> None:
    assert code(asked, who) == expected


def test_who_may_not_is_told_who_may() -> None:
    refused = refusal(button(), person("U9"))
    assert refused
    assert "<@U1>, <@U2>" in refused.text


def test_a_member_of_another_organization_is_not_told_who_may() -> None:
    refused = refusal(button(), person("U1", team="T2"))
    assert refused
    assert "U1" not in refused.text
    assert "U2" not in refused.text
