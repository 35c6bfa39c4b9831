"""Clicks on requests whose approvers are user groups, through the function's entry point."""

from collections.abc import Callable
from typing import Any

import pytest

from slack_webhook import groups
from slack_webhook.deadline import Deadline
from tests.unit.slack_webhook.conftest import STRANGER, Clicker, FakeAws, FakeSlack, Reply

pytestmark = pytest.mark.usefixtures("fresh")  # one container for each test: it keeps the members

OK = {"statusCode": 200}
LIST = "usergroups.users.list"
MEMBER = "U0MEMBER1"
Records = Callable[[str], list[dict[str, Any]]]


def test_a_members_click_counts(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    slack.groups = {"S0REVIEW1": [MEMBER]}
    assert clicker.click(user=MEMBER, approvers=("S0REVIEW1",)) == OK
    assert aws.results[0][1]["user"]["id"] == MEMBER


def test_who_is_in_no_group_is_refused_by_the_names_of_users_and_groups(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    slack.groups = {"S0REVIEW1": [MEMBER]}
    clicker.click(user=STRANGER, approvers=("U0123ABCD", "S0REVIEW1"))
    assert aws.server.calls == []
    assert "<@U0123ABCD>, <!subteam^S0REVIEW1>" in slack.notes[0]


def test_members_are_asked_once_a_minute(clicker: Clicker, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    slack.groups = {"S0REVIEW1": []}
    clicker.click(user=STRANGER, approvers=("S0REVIEW1",))
    clicker.click(user=MEMBER, approvers=("S0REVIEW1",))
    assert len(slack.called(LIST)) == 1
    monkeypatch.setattr(groups, "LIFETIME", 0.0)
    clicker.click(user=STRANGER, approvers=("S0REVIEW1",))
    assert len(slack.called(LIST)) == 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            Reply(200, {"ok": False, "error": "missing_scope", "needed": "usergroups:read", "provided": "chat:write"}),
            ("give it the scope `usergroups:read`", "missing_scope usergroups:read"),
        ),
        (
            Reply(200, {"ok": False, "error": "no_such_subteam"}),
            ("<!subteam^S0REVIEW1> (`no_such_subteam`)", "no_such"),
        ),
        (Reply(429, {"ok": False, "error": "ratelimited"}, {"retry-after": "3"}), ("try again in a moment", "limits")),
        (Reply(500), ("try again in a moment", "usergroups.users.list")),
        (Reply(drop=True), ("try again in a moment", "no answer from Slack")),
    ],
    ids=["scope", "group", "rate", "error", "dropped"],
)
def test_a_slack_that_does_not_name_the_members_consumes_nothing(
    clicker: Clicker, slack: FakeSlack, records: Records, reply: Reply, expected: tuple[str, str]
) -> None:
    told, logged = expected
    slack.server.script.append(reply)
    assert clicker.click(user=MEMBER, approvers=("S0REVIEW1",)) == OK
    assert slack.notes[0].startswith("Your click was not counted")
    assert told in slack.notes[0]
    [record] = records("click refused")
    assert record["refusal"] == "group_unknown"
    assert logged in record["reason"]
    assert "S0REVIEW1" in record["reason"]


def test_after_a_failure_the_next_click_asks_again(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    slack.groups = {"S0REVIEW1": [MEMBER]}
    slack.server.script.append(Reply(drop=True))
    clicker.click(user=MEMBER, approvers=("S0REVIEW1",))
    assert aws.results == []
    clicker.click(user=MEMBER, approvers=("S0REVIEW1",))
    assert len(aws.results) == 1


def test_a_slow_slack_leaves_no_time_for_another_group(
    clicker: Clicker, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deadline, "remaining", lambda _: 1.5)
    clicker.click(user=MEMBER, approvers=("S0REVIEW1", "S0REVIEW2"))
    assert slack.called(LIST) == []
    assert "in time" in slack.notes[0]
