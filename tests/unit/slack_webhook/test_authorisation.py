from typing import Any

import pytest

from shared.button import Button
from slack_webhook.authorisation import Refusal, refusal
from slack_webhook.deadline import Deadline
from slack_webhook.groups import GroupUnknownError, UserGroups
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


class Groups(UserGroups):
    """User groups as they are said to be; those without members are unknown to Slack."""

    def __init__(self, **members: set[str]) -> None:
        self.asked: list[str] = []
        self._members = members

    def members(self, group: str, deadline: Deadline) -> frozenset[str]:
        assert deadline.remaining() > 0
        self.asked.append(group)
        if group not in self._members:
            raise GroupUnknownError(f"{group}: Slack refused it", f"Slack does not know {group}")
        return frozenset(self._members[group])


def refused(button: Button, person: Person, groups: UserGroups | None = None) -> Refusal | None:
    return refusal(button, person, groups or Groups(), Deadline.after(60))


def code(button: Button, person: Person, groups: UserGroups | None = None) -> str | None:
    found = refused(button, person, groups)
    return found.code if found else None


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
        (button(choice="cancel"), person("U2"), None),
        (button(choice="cancel", approvers=("U1",)), person("U2"), None),
        (button(choice="cancel", voted=("U2",)), person("U2"), None),
        (button(choice="cancel"), person("U1"), "not_the_requester"),
        (button(choice="cancel", requester=None), person("U1"), "not_the_requester"),
        (button(choice="cancel", allow_self_approval=True), person("U1"), "not_the_requester"),
        (button(choice="cancel"), person("U2", team="T2"), "other_workspace"),
    ],
)
def test_who_may_decide(asked: Button, who: Person, expected: str | None) -> None:
    assert code(asked, who) == expected


@pytest.mark.parametrize(
    ("who", "expected"), [("U1", None), ("U3", None), ("U4", None), ("U9", "not_an_approver"), ("U2", "own_request")]
)
def test_members_of_any_group_may_decide_like_users(who: str, expected: str | None) -> None:
    groups = Groups(S1={"U2", "U3"}, S2={"U4"})
    assert code(button(approvers=("S1", "U1", "S2")), person(who), groups) == expected


@pytest.mark.parametrize("who", ["U1", "U2", "U7"])
def test_slack_is_not_asked_who_is_in_a_group_where_that_does_not_matter(who: str) -> None:
    groups = Groups(S1={"U9"})
    refusal(button(approvers=("U1", "S1"), voted=("U7",)), person(who), groups, Deadline.after(60))
    assert groups.asked == []


def test_a_group_that_slack_does_not_know_does_not_keep_members_of_another_out() -> None:
    assert code(button(approvers=("S0", "S1")), person("U3"), Groups(S1={"U3"})) is None


def test_where_slack_does_not_say_who_is_in_a_group_the_person_is_told_that_and_not_refused_for_good() -> None:
    found = refused(button(approvers=("S0", "S1")), person("U9"), Groups(S1={"U3"}))
    assert found == Refusal(
        code="group_unknown", text="Slack does not know S0", reason="S0: Slack refused it", passing=True
    )


def test_who_may_not_is_told_which_users_and_groups_may() -> None:
    found = refused(button(approvers=("U1", "S1", "U2")), person("U9"), Groups(S1={"U3"}))
    assert found
    assert "its approvers are <@U1>, <!subteam^S1>, <@U2>." in found.text


def test_a_member_of_another_organization_is_not_told_who_may() -> None:
    found = refused(button(), person("U1", team="T2"))
    assert found
    assert "U1" not in found.text
    assert "U2" not in found.text
