"""Clicks on "End maintenance", as the sandbox's Slack sends them, through the function's entry point."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.slack import interactivity
from sandbox.slack.faults import Fault
from sandbox.slack.interactivity import ClickRequest
from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import ALICE, APPROVALS, APPROVERS_GROUP, BOB, OUTSIDER, STRANGER, Message, User
from slack_webhook import end_maintenance
from slack_webhook import handler as entry
from tests.unit.slack_webhook.conftest import (
    MAINTENANCE_ARN,
    ORDER,
    SINCE,
    Call,
    FakeAws,
    Reply,
    aws_error,
    form,
    http_event,
    maintenance_event,
)

OK = {"statusCode": 200}
BEGAN, ENDED = "Maintenance Began", "Maintenance Ended"
END = {"action": "end", "stateMachineArn": ORDER, "since": SINCE, "by": "alice (U0ALICE001)"}

Records = Callable[[str], list[dict[str, Any]]]


def tell(detail_type: str, **detail: Any) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 30000)
    entry.handler(maintenance_event(detail_type, **detail), context)


def message(channel: SlackServer) -> Message:
    [found] = [m for m in channel.workspace.messages(APPROVALS.id) if m.thread_ts is None]
    return found


def payload(channel: SlackServer, user: User = ALICE, revision: int | None = None) -> dict[str, Any]:
    found = message(channel)
    request = ClickRequest(
        channel=found.channel, ts=found.ts, action_id="end-maintenance", user=user.id, revision=revision
    )
    return interactivity.block_actions(channel.workspace, found, user, request, f"{channel.url}/actions/")


def click(channel: SlackServer, user: User = ALICE, revision: int | None = None) -> None:
    assert entry.handler(http_event(form(payload(channel, user, revision))), None) == OK


def notes(channel: SlackServer) -> list[tuple[str, str]]:
    return [(note.user, note.text) for note in channel.workspace.changes().notes]


def outcomes(channel: SlackServer) -> list[str]:
    return [b["elements"][0]["text"] for b in message(channel).blocks if b["block_id"] == "maintenance_outcome"]


def asked(aws: FakeAws) -> list[dict[str, Any]]:
    assert {arn for arn, _ in aws.invocations} <= {MAINTENANCE_ARN}
    return [event for _, event in aws.invocations]


@pytest.fixture
def begun(channel: SlackServer) -> SlackServer:
    """The sandbox's Slack with the message of a maintenance that is on."""
    tell(BEGAN)
    return channel


def test_an_approvers_click_asks_for_the_end_and_the_message_says_so(begun: SlackServer, aws: FakeAws) -> None:
    click(begun)
    assert asked(aws) == [END]
    [outcome] = outcomes(begun)
    assert outcome.startswith("⏳ *Ending*: asked for by <@U0ALICE001> <!date^")
    # Should the end fail, somebody has to be able to ask again.
    assert message(begun).actions() == ["end-maintenance"]
    assert notes(begun) == []


def test_the_message_says_that_it_ends_before_the_end_is_asked_for(
    begun: SlackServer, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Or what is told of the end could be replaced by it.
    said: list[list[str]] = []
    invoke = aws._invoke

    def look(call: Call) -> Reply:
        said.append(outcomes(begun))
        return invoke(call)

    monkeypatch.setattr(aws, "_invoke", look)
    click(begun)
    assert "Ending" in said[0][0]


def test_a_maintenance_of_all_is_ended_by_its_scope(channel: SlackServer, aws: FakeAws) -> None:
    tell(BEGAN, scope="all", state_machine_arn=None, name=None)
    click(channel)
    assert asked(aws) == [{"action": "end", "scope": "all", "since": SINCE, "by": "alice (U0ALICE001)"}]


def test_the_end_that_follows_a_click_takes_the_button_away(begun: SlackServer) -> None:
    click(begun)
    tell(ENDED, ended_by=END["by"])
    assert message(begun).actions() == []
    [outcome] = outcomes(begun)
    assert outcome.startswith("✅ *Over*")


def test_a_member_of_an_approvers_group_may_end_it_and_who_is_in_no_group_may_not(
    begun: SlackServer, aws: FakeAws
) -> None:
    click(begun, STRANGER)
    assert asked(aws) == []
    [(user, note)] = notes(begun)
    assert user == STRANGER.id
    assert note == (
        f"You cannot end this maintenance: its approvers are <@{ALICE.id}>, <!subteam^{APPROVERS_GROUP}>. "
        "Nothing was changed."
    )
    assert outcomes(begun) == []
    click(begun, BOB)
    assert asked(aws) == [{**END, "by": "bob (U0BOB00001)"}]


def test_somebody_of_another_workspace_is_refused_without_being_told_who_the_approvers_are(
    begun: SlackServer, aws: FakeAws
) -> None:
    click(begun, OUTSIDER)
    assert asked(aws) == []
    [(user, note)] = notes(begun)
    assert user == OUTSIDER.id
    assert "belongs to another workspace" in note
    assert ALICE.id not in note


def test_where_slack_does_not_name_a_groups_members_nothing_happens(begun: SlackServer, aws: FakeAws) -> None:
    begun.faults.add(Fault(method="usergroups.users.list", status=500))
    click(begun, BOB)
    assert asked(aws) == []
    assert "not counted" in notes(begun)[0][1]


def test_a_forged_click_does_nothing(begun: SlackServer, aws: FakeAws) -> None:
    event = http_event(form(payload(begun)), secret="another")
    answer = entry.handler(event, None)
    assert answer
    assert answer["statusCode"] == 401
    assert asked(aws) == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{}",
        "[]",
        '{"v":2,"s":"all","since":"x","t":"T0SANDBOX"}',
        '{"v":1,"s":null,"since":"x","t":"T0SANDBOX"}',
        "[" * 5000,
    ],
)
def test_a_button_that_is_not_understood_does_nothing(begun: SlackServer, aws: FakeAws, value: str) -> None:
    clicked = payload(begun)
    clicked["actions"][0]["value"] = value or "?"
    assert entry.handler(http_event(form(clicked)), None) == OK
    assert asked(aws) == []
    assert "another version" in notes(begun)[0][1]


def test_a_second_click_asks_again_which_is_harmless(begun: SlackServer, aws: FakeAws) -> None:
    click(begun)
    click(begun, BOB)
    assert asked(aws) == [END, {**END, "by": "bob (U0BOB00001)"}]
    [outcome] = outcomes(begun)
    assert "<@U0BOB00001>" in outcome


def test_a_click_on_a_stale_copy_changes_nothing_and_says_that_it_is_over(begun: SlackServer, aws: FakeAws) -> None:
    tell(ENDED)
    before = message(begun)
    click(begun, revision=0)
    assert asked(aws) == []
    assert "over already" in notes(begun)[0][1]
    assert message(begun) == before


def test_a_message_that_kept_its_button_after_the_end_loses_it_with_the_next_click(
    begun: SlackServer, aws: FakeAws
) -> None:
    found = message(begun)
    tell(ENDED)
    begun.workspace.update(found.channel, found.ts, found.content, edited=False)  # a click that was under way
    click(begun)
    assert asked(aws) == []
    assert message(begun).actions() == []
    assert outcomes(begun) == ["✅ *Over*"]


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": "before"}, {"status": 429}])
def test_where_slack_does_not_say_what_the_message_is_by_now_it_is_left_alone(
    begun: SlackServer, aws: FakeAws, fault: dict[str, Any]
) -> None:
    before = message(begun)
    begun.faults.add(Fault(method="conversations.replies", **fault))
    click(begun)
    assert asked(aws) == [END]
    assert message(begun) == before
    assert "is asked to end this" in notes(begun)[0][1]


def test_a_click_that_comes_late_in_its_time_does_not_ask_slack_first(
    begun: SlackServer, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_maintenance, "READ_TIMEOUT", 3)
    click(begun)
    assert asked(aws) == [END]
    assert not [call for call in begun.workspace.changes().calls if call.method == "conversations.replies"]


def test_without_the_right_to_read_the_channel_the_message_is_replaced_all_the_same(
    begun: SlackServer, aws: FakeAws
) -> None:
    begun.workspace.configure(scopes=frozenset({"chat:write"}))
    click(begun)
    assert asked(aws) == [END]
    assert "Ending" in outcomes(begun)[0]


def test_a_refusal_of_aws_is_told_and_the_message_is_as_before(begun: SlackServer, aws: FakeAws) -> None:
    before = message(begun).blocks
    aws.server.script.append(aws_error("AccessDeniedException", 403))
    click(begun)
    assert len(aws.server.calls) == 1
    assert "AWS did not accept it, and the maintenance goes on" in notes(begun)[0][1]
    assert message(begun).blocks == before


def test_a_connection_that_died_is_tried_once_more(begun: SlackServer, aws: FakeAws) -> None:
    aws.server.script.append(Reply(drop=True))
    click(begun)
    assert asked(aws) == [END]
    assert notes(begun) == []


def test_an_aws_that_keeps_failing_leaves_it_open_whether_it_ends(begun: SlackServer, aws: FakeAws) -> None:
    aws.server.script.extend([aws_error("ServiceException", 500)] * 2)
    click(begun)
    assert "not certain" in notes(begun)[0][1]
    assert message(begun).actions() == ["end-maintenance"]


def test_a_slow_aws_is_given_up_in_time_for_a_note(begun: SlackServer, aws: FakeAws) -> None:
    aws.server.script.extend([Reply(hold=True)] * 2)
    click(begun)
    assert aws.server.holding == aws.server.calls
    assert len(aws.server.calls) == 1
    assert "not certain" in notes(begun)[0][1]


def test_a_slow_slack_does_not_keep_the_end_from_being_asked_for(begun: SlackServer, aws: FakeAws) -> None:
    begun.faults.add(Fault(method="response_url", delay=0.6, status=500))
    click(begun)
    assert asked(aws) == [END]


def test_where_the_notices_were_turned_off_an_old_button_does_nothing(
    begun: SlackServer, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAINTENANCE_FUNCTION_ARN")
    entry._endpoint.cache_clear()
    click(begun)
    assert asked(aws) == []
    assert "not ended from Slack any more" in notes(begun)[0][1]


def test_a_click_is_logged_with_who_what_and_the_outcome(
    begun: SlackServer,
    records: Records,
    aws: FakeAws,  # noqa: ARG001 - is invoked
) -> None:
    click(begun)
    [record] = records("end of maintenance asked for")
    assert {name: record[name] for name in ("slack_user", "scope", "since", "outcome")} == {
        "slack_user": ALICE.id,
        "scope": ORDER,
        "since": SINCE,
        "outcome": "counted",
    }
    click(begun, STRANGER)
    assert records("click refused")[0]["refusal"] == "not_an_approver"
