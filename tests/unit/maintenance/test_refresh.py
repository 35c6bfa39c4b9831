import pytest
from botocore.stub import Stubber

from maintenance.cloud import CloudError, ConflictError
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World


def test_a_tag_event_closes_and_opens_the_gate(world: World) -> None:
    world.tag()
    assert world.tag_event()["machines"] == {"Order": "closed"}
    assert world.state() == "closed"

    world.untag()
    assert world.tag_event()["machines"] == {"Order": "open"}
    assert world.state() == "open"


def test_the_tags_value_in_the_event_is_not_believed(world: World) -> None:
    assert world.tag_event()["machines"] == {"Order": "open"}


def test_a_closed_flag_is_written_again_so_that_no_older_read_can_open_it(tagged: World) -> None:
    before = tagged.flag()
    tagged.advance(60)

    tagged.tag_event()

    after = tagged.flag()
    assert before is not None
    assert after is not None
    assert (after["state"], after["seq"]) == ("closed", before["seq"] + 1)
    assert after["nonce"] != before["nonce"]
    assert (after["closed_at"], after["checked_at"]) == ("2030-01-01T00:00:00.000Z", "2030-01-01T00:01:00.000Z")


def test_an_open_flag_without_parked_tasks_is_not_written(world: World) -> None:
    world.put_flag("open")
    before = world.flag()

    world.tag_event()

    assert world.flag() == before


def test_an_open_flag_with_parked_tasks_is_drained(tagged: World) -> None:
    tokens = tagged.park(2)
    tagged.untag()
    tagged.put_flag("open")

    tagged.tag_event()

    assert tagged.outputs(tokens) == ["resumed"] * 2


def test_a_refresh_that_read_the_tag_before_a_begin_cannot_open_the_gate(tagged: World) -> None:
    tagged.untag()

    def begin() -> None:
        tagged.tag()
        tagged.tag_event()

    tagged.before("replace_object", begin)

    assert tagged.tag_event()["machines"] == {"Order": "closed"}
    assert tagged.state() == "closed"


def test_the_flag_is_read_before_the_tag(world: World) -> None:
    world.put_flag("open")
    world.watched.calls.clear()

    world.tag_event()

    assert world.watched.calls == ["get_object", "get_object", "list_tags", "list_folder"]


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"])
def test_a_conflicting_write_is_decided_anew(tagged: World, code: str) -> None:
    tagged.untag()
    tagged.disturb("replace_object", ConflictError("s3:PutObject", code), times=4)

    assert tagged.tag_event()["machines"] == {"Order": "open"}


def test_a_flag_that_others_keep_changing_is_left_to_the_sweep(tagged: World) -> None:
    tagged.disturb("replace_object", ConflictError("s3:PutObject", "PreconditionFailed"), times=5)

    with pytest.raises(IncompleteError, match=r"the flag of Order changed 5 times .* next sweep tries again"):
        tagged.tag_event()


def test_a_tag_that_cannot_be_read_changes_nothing(tagged: World) -> None:
    before = tagged.flag()
    tagged.disturb("list_tags", CloudError("states:ListTagsForResource", "ThrottlingException"))

    with pytest.raises(IncompleteError, match="Order: states:ListTagsForResource failed with ThrottlingException"):
        tagged.tag_event()

    assert tagged.flag() == before


def test_a_state_machine_that_no_longer_exists_has_no_tag(tagged: World) -> None:
    (token,) = tagged.park(1)

    with Stubber(tagged.aws._states) as aws:  # moto keeps the tags of what it deletes
        aws.add_client_error("list_tags_for_resource", "ResourceNotFound")
        tagged.tag_event()

    assert tagged.outputs([token]) == ["resumed"]
    assert tagged.state() == "open"


def test_an_end_that_was_left_behind_goes_with_the_next_refresh(tagged: World) -> None:
    tagged.tag(MaintenanceUntil="2030-01-01T06:00:00Z")
    tagged.untag()

    assert tagged.tag_event()["machines"] == {"Order": "open"}

    assert tagged.tags() == {}


def test_an_end_that_cannot_be_removed_fails_every_sweep_but_holds_no_task(tagged: World) -> None:
    tagged.tag(MaintenanceUntil="2030-01-01T06:00:00Z")
    tokens = tagged.park(2)
    tagged.untag()
    for _ in range(2):
        tagged.disturb("untag", CloudError("states:UntagResource", "AccessDeniedException"))

        with pytest.raises(IncompleteError, match="the tag MaintenanceUntil of Order stays"):
            tagged.act("sweep")

    assert tagged.outputs(tokens) == ["resumed"] * 2
    assert tagged.state() == "open"
