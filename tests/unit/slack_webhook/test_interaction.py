import contextlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slack_webhook.interaction import ButtonClick, MalformedPayloadError, Other, Person, SslCheck, Submission, parse
from tests.unit.slack_webhook.conftest import FIXTURES, form, load


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(payload: dict[str, Any]) -> None:
        target = payload
        for name in path[:-1]:
            target = target[name]
        del target[path[-1]]

    return change


def having(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(payload: dict[str, Any]) -> None:
        target = payload
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = value

    return change


def test_a_click_is_read_with_who_where_and_the_message_as_it_stands() -> None:
    payload = load("block_actions_approve.json")
    click = parse(form(payload))
    assert click == ButtonClick(
        person=Person(id="U0123ABCD", name="ada", team="T0WORKSPC"),
        block="approval",
        value="set by the test",
        channel="C0123ABCD",
        ts="1795615200.000100",
        text="Approval requested: Deploy v1?",
        blocks=tuple(payload["message"]["blocks"]),
        response_url="https://hooks.slack.com/actions/T0WORKSPC/7377717242018/set-by-the-test",
        trigger_id="7377717242017.2625160776.f3e5c5297f73a70d5844279fb4e7a26f",
    )


def submission(**view: Any) -> dict[str, Any]:
    payload: dict[str, Any] = load("view_submission.json")
    payload["view"] |= {"callback_id": "approval", "private_metadata": "set by the test"} | view
    return payload


def test_a_submitted_modal_is_read_with_who_and_what() -> None:
    payload = submission()
    assert parse(form(payload)) == Submission(
        person=Person(id="U0123ABCD", name="ada", team="T0WORKSPC"),
        metadata="set by the test",
        state=payload["view"]["state"]["values"],
    )


@pytest.mark.parametrize(
    ("view", "field"),
    [
        ({"state": None}, "view.state.values"),
        ({"state": {"values": []}}, "view.state.values"),
        ({"private_metadata": ""}, "private_metadata"),
        ({"private_metadata": 5}, "private_metadata"),
    ],
)
def test_a_submission_that_slack_does_not_send_is_refused_by_the_name_of_its_field(
    view: dict[str, Any], field: str
) -> None:
    with pytest.raises(MalformedPayloadError, match=field.replace(".", r"\.")):
        parse(form(submission(**view)))


def test_the_workspace_of_a_person_from_a_shared_channel_is_their_own() -> None:
    click = parse(form(load("block_actions_shared_channel.json")))
    assert isinstance(click, ButtonClick)
    assert click.person.team == "T0OTHER01"


def test_in_an_enterprise_organization_the_workspace_is_where_the_click_was_made() -> None:
    click = parse(form(load("block_actions_enterprise.json")))
    assert isinstance(click, ButtonClick)
    assert click.person.team == "T0WORKSPC"


@pytest.mark.parametrize(
    ("fixture", "kind"),
    [
        ("view_submission.json", "view_submission"),
        ("shortcut.json", "shortcut"),
        ("block_actions_foreign_button.json", "block_actions"),
    ],
)
def test_well_formed_payloads_that_are_not_ours_are_recognised_as_such(fixture: str, kind: str) -> None:
    assert parse(form(load(fixture))) == Other(kind)


def test_the_certificate_check_is_recognised() -> None:
    assert parse((FIXTURES / "slack" / "ssl_check.form").read_bytes().strip()) == SslCheck()


def test_a_click_without_its_message_is_read_without_blocks() -> None:
    payload = load("block_actions_approve.json")
    del payload["message"]
    click = parse(form(payload))
    assert isinstance(click, ButtonClick)
    assert click.blocks == ()


def test_a_very_long_name_is_cut() -> None:
    payload = load("block_actions_approve.json")
    payload["user"]["name"] = "x" * 10_000
    click = parse(form(payload))
    assert isinstance(click, ButtonClick)
    assert click.person.name == "x" * 80


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (without("type"), "type"),
        (having(7, "type"), "type"),
        (without("user"), "user.id"),
        (having("U1", "user"), "user.id"),
        (having("", "user", "id"), "user.id"),
        (having("U" * 65, "user", "id"), "user.id"),
        (without("user", "team_id"), "user.team_id"),
        (without("container", "channel_id"), "container.channel_id"),
        (having(1795615200, "container", "message_ts"), "container.message_ts"),
        (without("response_url"), "response_url"),
        (having("file:///etc/passwd", "response_url"), "response_url"),
        (without("actions"), "actions"),
        (having({}, "actions"), "actions"),
        (having([{"block_id": "approval", "action_id": "approve"}], "actions"), "value"),
        (having("text", "message", "blocks"), "blocks"),
        (having([1], "message", "blocks"), "blocks"),
        (having(None, "message", "text"), "text"),
    ],
)
def test_a_payload_that_slack_does_not_send_is_refused_by_the_name_of_its_field(
    change: Callable[[dict[str, Any]], None], field: str
) -> None:
    payload = load("block_actions_approve.json")
    change(payload)
    with pytest.raises(MalformedPayloadError, match=field.replace(".", r"\.")):
        parse(form(payload))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"payload",
        b"payload=",
        b"payload=%7B",
        b"payload=[]",
        b"payload=1",
        b"payload=null",
        b"payload={}&payload={}",
        b"payload=" + b"[" * 200_000,
        b"&".join(b"a=1" for _ in range(1000)),
        json.dumps({"type": "url_verification", "challenge": "x"}).encode(),
        urlencode({"ssl_check": "0"}).encode(),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_not_slacks_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedPayloadError):
        parse(body)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "user", "team", "team_id", "blocks", "channel_id"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    field=st.sampled_from(["user", "team", "container", "message", "actions", "response_url", "type"]),
    value=JSON,
)
def test_no_json_makes_the_parser_raise_anything_else(field: str, value: Any) -> None:
    payload = load("block_actions_approve.json") | {field: value}
    with contextlib.suppress(MalformedPayloadError):
        parse(form(payload))
