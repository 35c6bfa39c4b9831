import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from maintenance.cloud import CloudError, ConflictError, Event
from maintenance.flag import Counts, Flag, Flags, Lease, Seen, State, Told
from tests.unit.maintenance.conftest import World

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def flags(world: World) -> Flags:
    return world.gate.flags


def test_a_flag_survives_its_encoding() -> None:
    flag = Flag(
        state=State.DRAINING,
        seq=7,
        nonce="n",
        checked_at=NOW,
        closed_at=NOW,
        reason="why",
        by="who",
        until=NOW,
        lease=Lease("owner", NOW),
        overridden=NOW,
        tally=Counts(resumed=1, dead=2, quarantined=3),
        told=Told(since=NOW, reason="why", until=NOW, ended_at=NOW),
        troubles=("tasks_dead",),
        outbox=(Event("Maintenance Began", {"since": "then"}),),
    )

    assert Flag.from_json(flag.to_json()) == flag
    assert json.loads(flag.to_json()) == {
        "state": "draining",
        "seq": 7,
        "nonce": "n",
        "checked_at": "2030-01-01T00:00:00.000Z",
        "closed_at": "2030-01-01T00:00:00.000Z",
        "reason": "why",
        "by": "who",
        "until": "2030-01-01T00:00:00.000Z",
        "lease": {"owner": "owner", "expires": "2030-01-01T00:00:00.000Z"},
        "overridden": "2030-01-01T00:00:00.000Z",
        "tally": {"resumed": 1, "dead": 2, "quarantined": 3},
        "told": {
            "since": "2030-01-01T00:00:00.000Z",
            "reason": "why",
            "by": None,
            "until": "2030-01-01T00:00:00.000Z",
            "ended_at": "2030-01-01T00:00:00.000Z",
            "ended_by": None,
            "end_reason": None,
        },
        "troubles": ["tasks_dead"],
        "outbox": [{"detail_type": "Maintenance Began", "detail": {"since": "then"}}],
    }


def test_only_one_of_two_writes_of_the_same_read_succeeds(flags: Flags) -> None:
    first = flags.write("Order", flags.read("Order"), state=State.CLOSED)
    flags.write("Order", first, state=State.OPEN)

    with pytest.raises(ConflictError):
        flags.write("Order", first, state=State.DRAINING)
    assert flags.read("Order").flag.state is State.OPEN


def test_only_one_of_two_creations_succeeds(flags: Flags) -> None:
    missing = flags.read("Order")
    flags.write("Order", missing, state=State.CLOSED)

    with pytest.raises(ConflictError):
        flags.write("Order", missing, state=State.CLOSED)


def test_the_same_state_written_twice_has_another_etag_every_time(flags: Flags) -> None:
    seen, etags = flags.read("Order"), set()
    for _ in range(5):
        seen = flags.write("Order", seen, state=State.CLOSED)
        etags.add(seen.etag)

    assert len(etags) == 5
    assert seen.flag.seq == 5


@pytest.mark.parametrize("request_name", ["create_object", "replace_object"])
def test_a_write_whose_response_was_lost_is_recognised_as_ones_own(world: World, request_name: str) -> None:
    flags = world.gate.flags
    seen = flags.read("Order")
    if request_name == "replace_object":
        seen = flags.write("Order", seen, state=State.OPEN)
    world.disturb(request_name, ConflictError("s3:PutObject", "PreconditionFailed"), late=True)

    written = flags.write("Order", seen, state=State.CLOSED)

    assert flags.write("Order", written, state=State.OPEN).flag.state is State.OPEN


def test_a_write_after_a_lost_response_and_somebody_elses_write_conflicts(world: World) -> None:
    flags = world.gate.flags
    seen = flags.write("Order", flags.read("Order"), state=State.OPEN)
    world.before("get_object", lambda: world.put_flag("closed"))
    undisturbed = world.watched.fault
    assert undisturbed is not None

    def lose(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        answer = undisturbed(method, args, kwargs)
        if method.__name__ == "replace_object":
            raise ConflictError("s3:PutObject", "PreconditionFailed")
        return answer

    world.watched.fault = lose

    with pytest.raises(ConflictError):
        flags.write("Order", seen, state=State.OPEN)


def test_a_listed_flag_is_read_only_when_its_etag_is_new(world: World) -> None:
    world.put_flag("open")
    flags = world.gate.flags
    seen = flags.read("Order")
    assert seen.etag is not None
    world.disturb("get_object", CloudError("s3:GetObject", "InternalError"))

    assert world.gate.flags.read_listed("Order", seen.etag) == seen
    with pytest.raises(CloudError):
        world.gate.flags.read_listed("Order", '"another"')


def test_a_lease_is_live_until_it_expires_for_everybody_but_its_owner() -> None:
    flag = Flag(state=State.DRAINING, seq=1, nonce="", checked_at=NOW, lease=Lease("me", NOW.replace(second=30)))
    seen = Seen(flag, '"etag"')
    seconds = count(29)

    assert seen.leased(NOW.replace(second=next(seconds)))
    assert not seen.leased(NOW, but_to="me")
    assert not seen.leased(NOW.replace(second=next(seconds)))
