"""The maintenance function's events through this function's entry point, told in the sandbox's Slack."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.slack.faults import Fault
from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import APPROVALS, Content, Message
from sandbox.slack.workspace import Workspace as SlackWorkspace
from shared.slack import SlackRateLimitedError, SlackUnavailableError
from slack_webhook import handler as entry
from slack_webhook.notice import EventInvalidError, ending
from slack_webhook.notices import NoticeRefusedError, Notices
from slack_webhook.settings import Settings
from tests.unit.slack_webhook.conftest import ORDER, SINCE, maintenance_event

BEGAN, ENDED, TROUBLE = "Maintenance Began", "Maintenance Ended", "Maintenance Trouble"
KEY = f"{ORDER}|{SINCE}"
PROBLEM: dict[str, Any] = {
    "kind": "tasks_dead",
    "name": "Order",
    "message": "2 tasks are dead",
    "fix": "Look at <status>",
}

Records = Callable[[str], list[dict[str, Any]]]


def tell(detail_type: str, seconds_left: float = 30, **detail: Any) -> None:
    deliver(maintenance_event(detail_type, **detail), seconds_left)


def deliver(event: dict[str, Any], seconds_left: float = 30) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: round(seconds_left * 1000))
    assert entry.handler(event, context) is None


def posted(channel: SlackServer) -> list[Message]:
    """Return what the channel shows, without its threads."""
    return [m for m in channel.workspace.messages(APPROVALS.id) if m.thread_ts is None]


def thread(channel: SlackServer, message: Message) -> list[str]:
    return [m.text for m in channel.workspace.messages(APPROVALS.id) if m.thread_ts == message.ts]


def shown(message: Message) -> str:
    return json.dumps(message.blocks, ensure_ascii=False)


def test_a_beginning_is_told_with_all_that_people_need_and_a_button(channel: SlackServer) -> None:
    tell(BEGAN, until="2030-01-01T06:00:00.000Z")
    [message] = posted(channel)
    header, reason, facts, actions = message.blocks
    assert header["text"]["text"] == "🚧 Maintenance of Order"
    assert reason["text"] == {"type": "plain_text", "text": "The database moves", "emoji": True}
    environment, by = facts["elements"]
    assert environment["text"].startswith("*prod* · account 123456789012 · us-east-2 · since <!date^")
    assert "until <!date^1893477600^" in environment["text"]
    assert by == {"type": "plain_text", "text": "begun by ada", "emoji": True}
    [button] = actions["elements"]
    assert (button["action_id"], button["style"]) == ("end-maintenance", "danger")
    assert button["confirm"]["title"]["text"] == "End this maintenance?"
    assert json.loads(button["value"]) == {"v": 1, "s": ORDER, "since": SINCE, "t": "T0SANDBOX"}
    assert message.content.metadata
    assert message.content.metadata["event_type"] == "maintenance"
    assert message.content.metadata["event_payload"]["key"] == KEY
    assert message.text == "Maintenance began: Order (prod)"


def test_a_maintenance_of_all_is_told_as_one(channel: SlackServer) -> None:
    tell(BEGAN, scope="all", state_machine_arn=None, name=None, reason=None, by=None)
    [message] = posted(channel)
    header, facts, actions = message.blocks
    assert header["text"]["text"] == "🚧 Maintenance of all state machines"
    [environment] = facts["elements"]
    assert environment["text"].endswith("no end set")
    assert json.loads(actions["elements"][0]["value"])["s"] == "all"


def test_what_people_wrote_has_no_effect_in_slack(channel: SlackServer) -> None:
    tell(BEGAN, environment="<prod> & more", reason="<!channel> *now*", by="<@U0ALICE001>")
    [message] = posted(channel)
    marked = [e["text"] for block in message.blocks for e in block.get("elements", ()) if e["type"] == "mrkdwn"]
    assert not any("<!channel>" in text or "<@" in text for text in marked)
    assert marked[0].startswith("*&lt;prod&gt; &amp; more*")
    assert message.text == "Maintenance began: Order (&lt;prod&gt; &amp; more)"
    tell(ENDED, ended_by="<@U0ALICE001>", end_reason="<!here>")
    [message] = posted(channel)
    assert [e["type"] for e in message.blocks[-1]["elements"]] == ["mrkdwn", "plain_text", "plain_text"]


@pytest.mark.parametrize("detail_type", [BEGAN, ENDED, TROUBLE])
def test_an_event_that_is_delivered_again_says_nothing_new(channel: SlackServer, detail_type: str) -> None:
    for _ in range(3):
        tell(detail_type, **PROBLEM)
    [message] = posted(channel)
    assert message.earlier == ()
    assert len(thread(channel, message)) == (detail_type == ENDED)


def test_notes_that_come_later_are_shown_and_are_not_taken_away_again(channel: SlackServer) -> None:
    bare: dict[str, Any] = dict.fromkeys(("by", "reason", "until"))
    tell(BEGAN, **bare)
    tell(BEGAN)
    tell(BEGAN, **bare)
    [message] = posted(channel)
    assert "The database moves" in shown(message)
    assert "begun by ada" in shown(message)
    assert message.actions() == ["end-maintenance"]
    tell(BEGAN, until="2030-01-01T06:00:00.000Z")
    [message] = posted(channel)
    assert "until <!date^1893477600^" in shown(message)
    assert len(message.earlier) == 2
    tell(ENDED)
    tell(BEGAN, until="2030-01-01T07:00:00.000Z")
    [message] = posted(channel)
    assert message.actions() == []


def test_notes_that_come_after_the_button_was_clicked_leave_it_said_who_did(channel: SlackServer) -> None:
    tell(BEGAN)
    [message] = posted(channel)
    blocks = ending([dict(block) for block in message.blocks], "U0ALICE001", datetime.now(UTC))
    channel.workspace.update(message.channel, message.ts, replace(message.content, blocks=tuple(blocks)), edited=False)
    tell(BEGAN, reason="Another reason")
    [message] = posted(channel)
    assert "Another reason" in shown(message)
    assert "asked for by <@U0ALICE001>" in shown(message)
    assert message.actions() == ["end-maintenance"]


def test_the_end_takes_the_button_away_and_is_reported_in_the_thread(channel: SlackServer) -> None:
    tell(BEGAN)
    ended_at = (datetime.fromisoformat(SINCE) + timedelta(hours=1, minutes=23, seconds=4)).isoformat()
    for _ in range(2):
        tell(ENDED, ended_at=ended_at, end_reason="All moved", dead=2, quarantined=1)
    [message] = posted(channel)
    assert message.actions() == []
    assert message.text == "Maintenance over: Order (prod)"
    over, by, reason = message.blocks[-1]["elements"]
    assert over["text"].startswith("✅ *Over* since <!date^")
    assert over["text"].endswith("12 resumed, 2 dead, 1 quarantined")
    assert (by["text"], reason["text"]) == ("ended by bob", "All moved")
    [report] = thread(channel, message)
    assert report.startswith("*Over* after 1 h 23 min: 12 resumed, 2 dead, 1 quarantined.")
    assert "Dead: " in report
    assert "`replay`" in report


def test_the_report_of_a_smooth_end_is_one_line(channel: SlackServer) -> None:
    tell(BEGAN)
    tell(ENDED)
    [message] = posted(channel)
    assert thread(channel, message) == ["*Over* after less than a second: 12 resumed, 0 dead, 0 quarantined."]


def test_the_end_of_one_maintenance_leaves_the_others_alone(channel: SlackServer) -> None:
    other = ORDER.replace("Order", "OrderRefund")
    tell(BEGAN)
    tell(BEGAN, state_machine_arn=other, name="OrderRefund")
    tell(BEGAN, since=(datetime.fromisoformat(SINCE) + timedelta(minutes=1)).isoformat())
    tell(ENDED)
    assert [message.actions() for message in posted(channel)] == [[], ["end-maintenance"], ["end-maintenance"]]


def test_an_end_that_comes_before_the_beginning_leaves_no_button(channel: SlackServer) -> None:
    tell(ENDED)
    tell(BEGAN)
    [message] = posted(channel)
    assert message.actions() == []
    assert "12 resumed" in shown(message)
    assert "The database moves" in shown(message)
    assert len(thread(channel, message)) == 1


@pytest.mark.parametrize(("first", "second"), [(BEGAN, ENDED), (ENDED, BEGAN)])
def test_a_beginning_and_an_end_at_the_same_moment_leave_no_button(
    channel: SlackServer, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    # The second is handled whole while the first, which has found nothing in the channel, is about to post.
    settings = Settings.from_environment()
    rival = Notices(settings, APPROVALS.id)
    post = SlackWorkspace.post

    def race(workspace: SlackWorkspace, *arguments: Any) -> Message:
        monkeypatch.setattr(SlackWorkspace, "post", post)
        rival.handle(maintenance_event(second), lambda: 30)
        return post(workspace, *arguments)

    monkeypatch.setattr(SlackWorkspace, "post", race)
    tell(first)
    messages = posted(channel)
    assert len(messages) == 2
    assert [message.actions() for message in messages] == [[], []]
    assert sum(len(thread(channel, message)) for message in messages) == 1


def test_a_message_whose_posting_was_not_confirmed_is_found_again(channel: SlackServer) -> None:
    channel.faults.add(Fault(method="chat.postMessage", drop="after"))
    with pytest.raises(SlackUnavailableError):
        tell(BEGAN)
    tell(BEGAN)
    [message] = posted(channel)
    assert message.actions() == ["end-maintenance"]


@pytest.mark.parametrize(
    "method", ["conversations.history", "conversations.replies", "chat.postMessage", "chat.update"]
)
def test_an_end_that_fails_halfway_is_told_whole_and_once_by_the_next_delivery(
    channel: SlackServer, method: str
) -> None:
    tell(BEGAN)
    channel.faults.add(Fault(method=method, status=500))
    with pytest.raises(SlackUnavailableError):
        tell(ENDED)
    tell(ENDED)
    [message] = posted(channel)
    assert message.actions() == []
    assert len(thread(channel, message)) == 1


def test_a_message_that_lost_its_metadata_is_found_again(channel: SlackServer) -> None:
    tell(BEGAN)
    [message] = posted(channel)
    channel.workspace.update(APPROVALS.id, message.ts, Content(blocks=message.blocks), edited=False)
    tell(ENDED)
    [message] = posted(channel)
    assert message.actions() == []


def test_a_message_that_somebody_deletes_meanwhile_is_no_failure(channel: SlackServer, records: Records) -> None:
    tell(BEGAN)
    channel.faults.add(Fault(method="chat.update", error="message_not_found"))
    tell(ENDED)
    assert len(records("message is gone")) == 1


def test_the_end_of_a_long_maintenance_in_a_busy_channel_finds_the_message(channel: SlackServer) -> None:
    since = (datetime.now(UTC) - timedelta(days=3)).isoformat(timespec="milliseconds")
    busy = SlackWorkspace(channel.workspace.app, clock=lambda: clock)
    channel.workspace.__dict__.update(busy.__dict__)
    clock = time.time() - 3 * 86400 + 5
    tell(BEGAN, since=since)
    clock = time.time() - 86400
    for _ in range(1001):
        busy.post(APPROVALS, Content(text="good morning"))
    clock = time.time()
    tell(ENDED, since=since)
    assert [m.actions() for m in posted(channel) if m.blocks] == [[]]


def test_a_beginning_that_was_told_hours_late_is_found_as_well(channel: SlackServer) -> None:
    since = (datetime.now(UTC) - timedelta(hours=5)).isoformat(timespec="milliseconds")
    tell(BEGAN, since=since)
    tell(BEGAN, since=since)
    assert len(posted(channel)) == 1


def test_where_slack_asks_to_wait_the_function_waits_within_its_time(channel: SlackServer) -> None:
    waits: list[float] = []
    notices = Notices(Settings.from_environment(), APPROVALS.id, waits.append)
    channel.faults.add(Fault(method="chat.postMessage", status=429, retry_after=7, times=2))
    notices.handle(maintenance_event(BEGAN), lambda: 30 - sum(waits))
    assert waits == [7, 7]
    assert len(posted(channel)) == 1


def test_where_slack_asks_to_wait_for_longer_lambda_delivers_the_event_again(channel: SlackServer) -> None:
    channel.faults.add(Fault(method="chat.postMessage", status=429, retry_after=60))
    with pytest.raises(SlackRateLimitedError):
        tell(BEGAN)
    tell(BEGAN)
    assert len(posted(channel)) == 1


def test_a_refusal_fails_the_invocation_and_names_the_channel_and_the_fix(channel: SlackServer) -> None:
    channel.faults.add(Fault(method="chat.postMessage", error="not_in_channel"))
    with pytest.raises(NoticeRefusedError, match=r"not_in_channel.*C0APPROVALS; invite the app"):
        tell(BEGAN)


def test_without_the_right_to_read_the_channel_everything_is_told_all_the_same(
    channel: SlackServer, records: Records
) -> None:
    channel.workspace.configure(scopes=frozenset({"chat:write"}))
    tell(BEGAN)
    tell(ENDED)
    assert [message.actions() for message in posted(channel)] == [["end-maintenance"], []]
    assert "missing_scope channels:history" in records("channel not readable: notices may come twice")[0]["reason"]


def test_trouble_is_told_with_its_fix_once_per_event(channel: SlackServer) -> None:
    tell(TROUBLE, **PROBLEM)
    deliver(maintenance_event(TROUBLE, **PROBLEM) | {"id": "another"})
    assert len(posted(channel)) == 2
    header, what, fix, place = posted(channel)[0].blocks
    assert header["text"]["text"] == "⚠️ Maintenance gate: Order"
    assert what["text"] == {"type": "plain_text", "text": "2 tasks are dead", "emoji": True}
    assert fix["text"] == {"type": "plain_text", "text": "What to do: Look at <status>", "emoji": True}
    assert place["elements"][0]["text"].startswith("*prod* · account 123456789012 · us-east-2")
    assert posted(channel)[0].actions() == []


@pytest.mark.parametrize(
    ("detail_type", "wrong", "named"),
    [
        (BEGAN, {"since": "yesterday"}, "since is 'yesterday'"),
        (BEGAN, {"since": "2026-11-25T14:00:00"}, "no time zone"),
        (BEGAN, {"name": None}, "name is missing"),
        (BEGAN, {"by": 7}, "by is missing or not text"),
        (ENDED, {"resumed": "many"}, "resumed is missing or no whole number"),
        (ENDED, {"ended_at": None}, "ended_at is missing"),
        (TROUBLE, {**PROBLEM, "fix": ""}, "fix is missing"),
    ],
)
@pytest.mark.usefixtures("channel")
def test_a_malformed_event_is_an_error_that_names_the_field(
    detail_type: str, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(EventInvalidError, match=named):
        tell(detail_type, **wrong)


@pytest.mark.usefixtures("channel")
def test_an_event_without_detail_is_malformed_as_well() -> None:
    with pytest.raises(EventInvalidError, match="detail of 'Maintenance Began' is missing"):
        deliver(maintenance_event(BEGAN) | {"detail": None})


@pytest.mark.usefixtures("aws", "fresh")
def test_where_no_notices_are_wanted_the_event_is_unknown() -> None:
    with pytest.raises(entry.UnknownEventError, match="Maintenance Began"):
        tell(BEGAN)
