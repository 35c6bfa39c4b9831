"""What Slack sends to the request URL, as values.

Sources: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload, .../view-interactions-payload
and, for `ssl_check`, https://docs.slack.dev/interactivity/implementing-slash-commands
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from shared.errors import WorkflowGatesError
from shared.message import ACTIONS_BLOCK_ID
from slack_webhook import notice

MODAL_CALLBACK_ID = "approval"

_OWN_BLOCKS = (ACTIONS_BLOCK_ID, notice.ACTIONS_BLOCK_ID)

# A form of Slack's has a handful of fields; more are an attempt to keep the parser busy.
_MAX_FIELDS = 20
# The certificate check has two short fields.
_MAX_SSL_CHECK_LENGTH = 1000
# Slack's ids have about 11 characters and its names at most 80; a longer one is cut off what goes into the decision.
_MAX_ID_LENGTH = 64
_MAX_NAME_LENGTH = 80


class MalformedPayloadError(WorkflowGatesError):
    """The request is not what Slack's documentation describes. The text names the field, never its value."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who clicked.

    Attributes:
        id: Slack user id.
        name: Name of the account.
        team: Id of the workspace that the person belongs to.
    """

    id: str
    name: str
    team: str


@dataclass(frozen=True, kw_only=True)
class ButtonClick:
    """A click on a button of ours.

    Attributes:
        person: Who clicked.
        block: Id of the button's block: which kind of message it is.
        value: The button's value, still encoded; holds callback ids, never logged.
        channel: Id of the channel.
        ts: Id of the message in it.
        text: The message's text for notifications.
        blocks: The message's blocks as Slack shows them; empty where Slack does not send the message along.
        response_url: Where answers go; a bearer capability, never logged.
        trigger_id: What a modal can be opened with, once and within 3 s.
    """

    person: Person
    block: str
    value: str
    channel: str
    ts: str
    text: str
    blocks: tuple[Mapping[str, Any], ...]
    response_url: str
    trigger_id: str


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A submitted modal of ours.

    Attributes:
        person: Who submitted it.
        metadata: `private_metadata`, still encoded; holds callback ids, never logged.
        state: What was filled in, by block id.
    """

    person: Person
    metadata: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class SslCheck:
    """Slack looks whether the endpoint's certificate is valid; nothing else is meant."""


@dataclass(frozen=True)
class Other:
    """A well-formed payload that is none of ours.

    Attributes:
        type: What Slack calls it.
    """

    type: str


def is_ssl_check(body: bytes) -> bool:
    """Return whether a body is that of a certificate check; cheap, since it is asked of unsigned requests."""
    if len(body) > _MAX_SSL_CHECK_LENGTH:
        return False
    try:
        return _form(body).get("ssl_check") == ["1"]
    except MalformedPayloadError:
        return False


def parse(body: bytes) -> ButtonClick | Submission | SslCheck | Other:
    """Read the body of a request.

    Raises:
        MalformedPayloadError: If it is not what Slack sends.
    """
    if is_ssl_check(body):
        return SslCheck()
    form = _form(body)
    if len(form.get("payload", [])) != 1:
        raise MalformedPayloadError("the form does not have exactly one field 'payload'")
    try:
        payload = json.loads(form["payload"][0])
    except (ValueError, RecursionError):
        raise MalformedPayloadError("the field 'payload' is not JSON") from None
    if not isinstance(payload, dict):
        raise MalformedPayloadError("the field 'payload' is not a JSON object")
    kind = _text(payload, "type")
    if kind == "view_submission" and _view(payload).get("callback_id") == MODAL_CALLBACK_ID:
        return _submission(payload)
    if kind != "block_actions":
        return Other(kind)
    action = _own_action(payload)
    return _click(payload, action) if action else Other(kind)


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode(), max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise MalformedPayloadError("the body is not a form in UTF-8") from None


def _own_action(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    actions = payload.get("actions")
    if not isinstance(actions, list):
        raise MalformedPayloadError("payload.actions is not a list")
    own = [a for a in actions if isinstance(a, dict) and a.get("block_id") in _OWN_BLOCKS]
    return own[0] if own else None


def _click(payload: Mapping[str, Any], action: Mapping[str, Any]) -> ButtonClick:
    message = payload.get("message")
    message = message if isinstance(message, dict) else {}
    blocks = message.get("blocks", [])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise MalformedPayloadError("payload.message.blocks is not a list of objects")
    text = message.get("text", "")
    if not isinstance(text, str):
        raise MalformedPayloadError("payload.message.text is not text")
    response_url = _text(payload, "response_url")
    if not response_url.startswith(("https://", "http://")):
        raise MalformedPayloadError("payload.response_url is not a web address")
    return ButtonClick(
        person=_person(payload),
        block=_text(action, "block_id"),
        value=_text(action, "value"),
        channel=_id(payload, "container", "channel_id"),
        ts=_id(payload, "container", "message_ts"),
        text=text,
        blocks=tuple(blocks),
        response_url=response_url,
        trigger_id=_text(payload, "trigger_id"),
    )


def _submission(payload: Mapping[str, Any]) -> Submission:
    view = _view(payload)
    state = view.get("state")
    values = state.get("values") if isinstance(state, dict) else None
    if not isinstance(values, dict):
        raise MalformedPayloadError("payload.view.state.values is not an object")
    return Submission(person=_person(payload), metadata=_text(view, "private_metadata"), state=values)


def _view(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    view = payload.get("view")
    return view if isinstance(view, dict) else {}


def _person(payload: Mapping[str, Any]) -> Person:
    user = payload.get("user")
    name = user.get("name") or user.get("username") if isinstance(user, dict) else None
    return Person(
        id=_id(payload, "user", "id"),
        name=name[:_MAX_NAME_LENGTH] if isinstance(name, str) else "",
        team=_workspace(payload),
    )


def _workspace(payload: Mapping[str, Any]) -> str:
    """Return the workspace of the person.

    In an Enterprise organization `user.team_id` is the organization's id; then it is the one where the click was made.
    """
    home = _id(payload, "user", "team_id")
    team = payload.get("team")
    if isinstance(team, dict) and home == team.get("enterprise_id"):
        return _id(payload, "team", "id")
    return home


def _id(data: Mapping[str, Any], *path: str) -> str:
    value = _text(data, *path)
    if len(value) > _MAX_ID_LENGTH:
        raise MalformedPayloadError(f"{'.'.join(path)} is longer than {_MAX_ID_LENGTH} characters")
    return value


def _text(data: Mapping[str, Any], *path: str) -> str:
    value: Any = data
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise MalformedPayloadError(f"{'.'.join(path)} is missing or not text")
    return value
