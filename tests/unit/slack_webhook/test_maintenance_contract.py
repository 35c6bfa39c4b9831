"""What the maintenance function tells, told in Slack, and ended by the button there: both real functions."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from maintenance.aws import SOURCE
from sandbox.slack import interactivity
from sandbox.slack.interactivity import ClickRequest
from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import ALICE, APPROVALS, Message
from slack_webhook import handler as entry
from slack_webhook.notice import EndButton, Maintenance, Trouble
from tests.unit.maintenance.conftest import FUNCTION_ARN, REGION, MemoryAws, World
from tests.unit.slack_webhook.conftest import MAINTENANCE_ARN, FakeAws, form, http_event

BY = f"{ALICE.name} ({ALICE.id})"
SCOPES = pytest.mark.parametrize("where", [{"name": "Order"}, {"scope": "all"}], ids=["one", "all"])


@pytest.fixture
def world() -> World:
    """A gate in the same second as the Slack of the sandbox, with a state machine that has checked in."""
    made = World(MemoryAws(), now=datetime.now(UTC))
    made.check_in()
    return made


def events(world: World) -> list[dict[str, Any]]:
    """Return what the function has told since the last time, as EventBridge delivers it."""
    told = [
        {
            "version": "0",
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "detail-type": detail_type,
            "source": SOURCE,
            "account": "123456789012",
            "time": world.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": [FUNCTION_ARN.removesuffix(":live")],
            "detail": detail,
        }
        for number, (detail_type, detail) in enumerate(world.aws.told)
    ]
    world.aws.told.clear()
    return told


def deliver(world: World) -> None:
    for event in events(world):
        entry.handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: 30000))


def message(channel: SlackServer) -> Message:
    [found] = [m for m in channel.workspace.messages(APPROVALS.id) if m.thread_ts is None]
    return found


def click(channel: SlackServer) -> None:
    found = message(channel)
    request = ClickRequest(channel=found.channel, ts=found.ts, action_id="end-maintenance", user=ALICE.id)
    payload = interactivity.block_actions(channel.workspace, found, ALICE, request, f"{channel.url}/actions/")
    entry.handler(http_event(form(payload)), None)


def outcome(channel: SlackServer) -> list[str]:
    [block] = [b for b in message(channel).blocks if b["block_id"] == "maintenance_outcome"]
    return [element["text"] for element in block["elements"]]


@SCOPES
def test_the_button_of_a_maintenance_ends_it_and_who_clicked_is_told(
    world: World, where: dict[str, Any], aws: FakeAws, channel: SlackServer
) -> None:
    assert FUNCTION_ARN == MAINTENANCE_ARN
    world.act("begin", **where, reason="The database moves", by="carol")
    deliver(world)
    tokens = world.park(3)

    click(channel)
    [(_, end)] = aws.invocations
    world.send(end)
    assert world.state() == "open"
    assert world.outputs(tokens) == ["resumed"] * 3
    deliver(world)

    shown = outcome(channel)
    assert "3 resumed, 0 dead, 0 quarantined" in shown[0]
    assert shown[1] == f"ended by {BY}"


@SCOPES
def test_the_button_of_an_earlier_maintenance_does_not_end_a_later_one(world: World, where: dict[str, Any]) -> None:
    world.act("begin", **where)
    [began] = events(world)
    since = EndButton.decode(
        EndButton(scope="all", since=Maintenance.from_event(began).since, team="T1").encode()
    ).since
    world.act("end", **where)
    world.advance(60)
    world.act("begin", **where)

    assert "skipped" in world.act("end", **where, since=since)
    assert world.state() == "closed"


@SCOPES
def test_an_end_carries_who_and_why_until_the_last_task_is_resumed(world: World, where: dict[str, Any]) -> None:
    world.act("begin", **where, by="carol", reason="The database moves")
    began = Maintenance.from_event(events(world)[0])
    world.aws.stop(world.park(150)[0])
    world.advance(60)

    world.act("end", **where, since=began.since, by=BY, reason="Done early")  # the first batch of 100
    assert events(world) == []
    world.act("drain", "Order")
    world.act("sweep")

    told = events(world)
    trouble = Trouble.from_event(next(event for event in told if event["detail-type"] == "Maintenance Trouble"))
    assert (trouble.kind, trouble.name) == ("tasks_dead", "Order")
    ended = Maintenance.from_event(next(event for event in told if event["detail-type"] == "Maintenance Ended"))
    assert (ended.key, ended.by, ended.reason) == (began.key, "carol", "The database moves")
    assert ended.ending is not None
    assert (ended.ending.by, ended.ending.reason) == (BY, "Done early")
    assert (ended.ending.resumed, ended.ending.dead) == (149, 1)
    assert (ended.ending.at - ended.began_at).total_seconds() == 60
