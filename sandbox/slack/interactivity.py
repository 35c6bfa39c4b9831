"""Clicks: what Slack sends to the app's request URL, and what it makes of the answer.

Payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload;
signature: https://docs.slack.dev/authentication/verifying-requests-from-slack.
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import urlencode

import urllib3

from sandbox.slack import web_api
from sandbox.slack.faults import REQUEST_URL, Fault, Faults
from sandbox.slack.inputs import filled_in, inputs_of, values
from sandbox.slack.workspace import Click, Json, Message, Outcome, SlackRefusal, User, Workspace, interactive

# https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response
ANSWER_WITHIN = 3.0
USER_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"
_OK = range(200, 300)


class ClickInvalidError(ValueError):
    """A click that nobody could make."""


@dataclass(frozen=True, kw_only=True)
class ClickRequest:
    """Who clicks what, and how honestly.

    Attributes:
        channel: Conversation id.
        ts: Message.
        action_id: Which button.
        user: Who clicks.
        revision: Which copy of the message is clicked: 0 as first posted, 1 after the first update; None as it is now.
        answers: What its inputs hold, by block id, as for `inputs.filled_in`; Slack sends it along, unchecked.
        forged: Sign with another secret than the app's.
        age: Seconds by which the signed timestamp lies in the past.
    """

    channel: str
    ts: str
    action_id: str
    user: str
    revision: int | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    forged: bool = False
    age: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a click.

        Raises:
            ClickInvalidError: If a field is unknown or missing.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise ClickInvalidError(f"not a click: {error}") from error


def click(workspace: Workspace, request: ClickRequest, hooks_url: str, faults: Faults) -> Click:
    """Send a click to the app, as Slack does, and record what came of it.

    Args:
        workspace: Where the message is.
        request: The click.
        hooks_url: Base of the `response_url`s, with a trailing slash.
        faults: What goes wrong on the way.

    Raises:
        ClickInvalidError: If there is no such person, message or button, or the app has no request URL.
        AnswersInvalidError: If there is an answer without its input.
    """
    try:
        user = workspace.user(request.user)
        message = workspace.message(request.channel, request.ts)
    except SlackRefusal as refusal:
        raise ClickInvalidError(f"cannot click {request.channel} {request.ts}: {refusal.code}") from refusal
    url = workspace.app.request_url
    if not url:
        raise ClickInvalidError("the app has no request URL for interactivity; set it with POST /_sandbox/app")
    payload = block_actions(workspace, message, user, request, hooks_url)
    secret = secrets.token_hex(16) if request.forged else workspace.app.signing_secret
    body = urlencode({"payload": json.dumps(payload, separators=(",", ":"))}).encode()
    headers = signed_headers(body, secret, int(time.time()) - request.age)
    outcome, status, answer, seconds = send(url, body, headers, faults.take(REQUEST_URL))
    return workspace.record_click(
        user=user.id,
        channel=message.channel,
        ts=message.ts,
        action_id=request.action_id,
        outcome=outcome,
        status=status,
        body=answer,
        seconds=seconds,
    )


def block_actions(workspace: Workspace, message: Message, user: User, request: ClickRequest, hooks_url: str) -> Json:
    """Return the payload of a click.

    Raises:
        ClickInvalidError: If that copy of the message has no such button.
        AnswersInvalidError: If there is an answer without its input.
    """
    try:
        content = message.revision(request.revision)
    except IndexError:
        raise ClickInvalidError(f"{message.ts} has no revision {request.revision}") from None
    found = [(b, e) for b, e in interactive(content.blocks) if e["action_id"] == request.action_id]
    if not found:
        raise ClickInvalidError(
            f"{message.ts} has no button {request.action_id!r}, only {message.actions(request.revision)}"
        )
    block, element = found[0]
    inputs = inputs_of(content.blocks)
    app = workspace.app
    channel = workspace.channel(message.channel)
    container = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": False,
        **({"thread_ts": message.thread_ts} if message.thread_ts else {}),
    }
    return {
        "type": "block_actions",
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": app.id,
        "token": "deprecated-verification-token",
        "container": container,
        "trigger_id": workspace.issue_trigger(user),
        "team": {"id": app.team, "domain": app.team_domain},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": "directmessage" if channel.user else channel.name},
        "message": web_api.message_json(workspace, message, content),
        "state": {"values": values(inputs, filled_in(inputs, request.answers))},
        "response_url": f"{hooks_url}{workspace.issue_response_url(user, message)}",
        "actions": [
            {
                **element,
                "block_id": block["block_id"],
                "action_ts": f"{workspace.now():.6f}",
            }
        ],
    }


def signed_headers(body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    """Return the headers of a request of Slack's.

    Args:
        body: Raw body.
        secret: Signing secret.
        timestamp: Seconds since 1970.
    """
    signed = b"v0:%d:%s" % (timestamp, body)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {
        "Accept": "application/json,*/*",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": USER_AGENT,
        "X-Slack-Request-Timestamp": str(timestamp),
        "X-Slack-Signature": f"v0={signature}",
    }


def respond(workspace: Workspace, key: str, body: Json) -> None:
    """Do what the app asks for at a `response_url`.

    Raises:
        SlackRefusal: If the URL is used up or expired, or the message is not valid.
    """
    user, channel, ts = workspace.use_response_url(key)
    if body.get("delete_original"):
        workspace.delete(channel.id, ts)
        return
    content = web_api.content_of(body)
    if body.get("replace_original"):
        metadata = content.metadata or workspace.message(channel.id, ts).content.metadata
        workspace.update(channel.id, ts, replace(content, metadata=metadata), edited=False)
    elif body.get("response_type") == "in_channel":
        workspace.post(channel, content)
    else:
        workspace.add_note(channel, user, content.text, content.blocks)


def send(
    url: str, body: bytes, headers: dict[str, str], fault: Fault | None = None
) -> tuple[Outcome, int | None, str, float]:
    """Send a request to the app, and wait for its answer as long as Slack does.

    Args:
        url: The app's request URL.
        body: Raw body.
        headers: All headers.
        fault: What goes wrong on the way: the request never arrives (`drop="before"`), its answer is lost
            (`drop="after"`), or the answer comes later (`delay`).

    Returns:
        What Slack makes of the answer, its HTTP status, its body, and how many seconds it took.
    """
    started = time.monotonic()
    if fault and fault.drop == "before":
        return "unreachable", None, "", 0.0
    with urllib3.PoolManager(retries=False) as pool:
        try:
            answer = pool.request("POST", url, body=body, headers=headers, timeout=ANSWER_WITHIN, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            # A refused connection is a kind of ConnectTimeoutError for urllib3.
            waited = isinstance(error, urllib3.exceptions.TimeoutError)
            late = waited and not isinstance(error, urllib3.exceptions.NewConnectionError)
            return ("timed out" if late else "unreachable"), None, "", time.monotonic() - started
        text = answer.data.decode(errors="replace")
    if fault:
        left = ANSWER_WITHIN - (time.monotonic() - started)
        time.sleep(max(0.0, left if fault.drop else min(fault.delay, left)))
        if fault.drop or fault.delay > left:
            return "timed out", None, "", ANSWER_WITHIN
    seconds = time.monotonic() - started
    if seconds > ANSWER_WITHIN:
        return "timed out", answer.status, text, seconds
    return ("accepted" if answer.status in _OK else "refused"), answer.status, text, seconds
