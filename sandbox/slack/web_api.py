"""The methods of Slack's Web API that apps like this one use: https://docs.slack.dev/reference/methods."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.slack import blocks
from sandbox.slack.workspace import Channel, Content, Json, Message, SlackRefusal, View, Workspace

# https://docs.slack.dev/reference/methods/chat.postMessage#truncating and .../chat.update#errors
MAX_POSTED_TEXT = 40_000
MAX_UPDATED_TEXT = 4_000
_JSON_ARGUMENTS = ("blocks", "metadata", "view")


@dataclass(frozen=True)
class _Method:
    run: Callable[[Workspace, Json], Json]
    scope: str | None
    # "Most write methods allow arguments with application/json": methods that read take query or form parameters only.
    takes_json: bool = True


def call(workspace: Workspace, name: str, arguments: Json, *, sent_as_json: bool) -> Json:
    """Run a method.

    Args:
        workspace: Where it acts.
        name: Method, such as `chat.postMessage`.
        arguments: What the app sent.
        sent_as_json: Whether they came as a JSON body.

    Returns:
        The answer, `ok` included.

    Raises:
        SlackRefusal: If Slack answers with an error code.
    """
    method = _METHODS.get(name)
    if method is None:
        raise SlackRefusal("unknown_method", req_method=name)
    if method.scope and method.scope not in workspace.app.scopes:
        raise SlackRefusal("missing_scope", needed=method.scope, provided=",".join(sorted(workspace.app.scopes)))
    usable = {} if sent_as_json and not method.takes_json else dict(arguments)
    if not sent_as_json:
        usable = {key: _decoded(key, value) if key in _JSON_ARGUMENTS else value for key, value in usable.items()}
    return {"ok": True, **method.run(workspace, usable)}


def message_json(workspace: Workspace, message: Message, content: Content | None = None) -> Json:
    """Return a message as Slack returns it, without its metadata.

    Args:
        workspace: Where it is.
        message: The message.
        content: What it says; by default what it says now.
    """
    shown = content or message.content
    app = workspace.app
    found: Json = {
        "user": app.user,
        "type": "message",
        "ts": message.ts,
        "bot_id": app.bot,
        "app_id": app.id,
        "text": shown.text,
        "team": app.team,
    }
    if shown.blocks:
        found["blocks"] = list(shown.blocks)
    if message.thread_ts:
        found["thread_ts"] = message.thread_ts
    if message.edited:
        found["edited"] = {"user": app.user, "ts": message.ts}
    return found


def content_of(arguments: Mapping[str, Any]) -> Content:
    """Read text, blocks and metadata of a message that the app sends.

    Raises:
        SlackRefusal: `invalid_blocks`, `invalid_blocks_format`, `invalid_metadata_format`, `no_text`.
    """
    given = arguments.get("blocks") or []
    text = str(arguments.get("text") or "")
    problems = blocks.message_problems(given)
    if problems:
        raise SlackRefusal("invalid_blocks", errors=problems, response_metadata={"messages": problems})
    if not text and not given:
        raise SlackRefusal("no_text")
    metadata = arguments.get("metadata")
    if metadata is not None and not (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackRefusal("invalid_metadata_format")
    return Content(text=text, blocks=blocks.as_stored(given), metadata=metadata)


def view_of(sent: Any) -> Json:
    """Read a modal that the app sends.

    Raises:
        SlackRefusal: `invalid_arguments`.
    """
    problems = blocks.view_problems(sent)
    if problems:
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": problems})
    return {**sent, "blocks": list(blocks.as_stored(sent["blocks"]))}


def view_json(workspace: Workspace, view: View) -> Json:
    """Return a modal as Slack returns it."""
    app = workspace.app
    return {
        "id": view.id,
        "team_id": app.team,
        "private_metadata": "",
        "callback_id": "",
        "state": {"values": {}},
        "hash": f"{view.version}.{view.id}",
        "clear_on_close": False,
        "notify_on_close": False,
        "close": None,
        "submit": None,
        "previous_view_id": None,
        "root_view_id": view.id,
        "app_id": app.id,
        "external_id": "",
        "app_installed_team_id": app.team,
        "bot_id": app.bot,
        **view.view,
    }


def _decoded(name: str, value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) and value else value
    except ValueError:
        raise SlackRefusal(f"invalid_{name}_format") from None


def _required(arguments: Json, *names: str) -> list[str]:
    missing = [f"[ERROR] missing required field: {name}" for name in names if not arguments.get(name)]
    if missing:
        raise SlackRefusal("invalid_arguments", response_metadata={"messages": missing})
    return [str(arguments[name]) for name in names]


def _auth_test(workspace: Workspace, _: Json) -> Json:
    app = workspace.app
    return {
        "url": f"https://{app.team_domain}.slack.com/",
        "team": app.team_domain.capitalize(),
        "user": app.name,
        "team_id": app.team,
        "user_id": app.user,
        "bot_id": app.bot,
        "is_enterprise_install": False,
    }


def _post_message(workspace: Workspace, arguments: Json) -> Json:
    (target,) = _required(arguments, "channel")
    channel = workspace.joined_channel(target)
    content = content_of({**arguments, "text": str(arguments.get("text") or "")[:MAX_POSTED_TEXT]})
    thread_ts = arguments.get("thread_ts")
    message = workspace.post(channel, content, str(thread_ts) if thread_ts else None)
    shown = message_json(workspace, message)
    if content.metadata:
        shown["metadata"] = content.metadata
    return {"channel": channel.id, "ts": message.ts, "message": shown}


def _update(workspace: Workspace, arguments: Json) -> Json:
    target, ts = _required(arguments, "channel", "ts")
    channel = workspace.joined_channel(target)
    old = workspace.message(channel.id, ts).content
    text = str(arguments.get("text") or "")
    if len(text) > MAX_UPDATED_TEXT:
        raise SlackRefusal("msg_too_long")
    new = content_of({**arguments, "metadata": arguments.get("metadata") or None})
    # Metadata stays where none is given; an empty object removes it.
    metadata = new.metadata if "metadata" in arguments else old.metadata
    message = workspace.update(channel.id, ts, replace(new, metadata=metadata), edited=not new.blocks)
    return {"channel": channel.id, "ts": ts, "text": new.text, "message": message_json(workspace, message)}


def _post_ephemeral(workspace: Workspace, arguments: Json) -> Json:
    target, user_id = _required(arguments, "channel", "user")
    channel = workspace.joined_channel(target)
    if user_id not in workspace.users:
        raise SlackRefusal("user_not_in_channel")
    content = content_of(arguments)
    note = workspace.add_note(channel, workspace.user(user_id), content.text, content.blocks)
    return {"message_ts": note.ts}


def _permalink(workspace: Workspace, arguments: Json) -> Json:
    target, ts = _required(arguments, "channel", "message_ts")
    channel = workspace.channel(target)
    workspace.message(channel.id, ts)
    host = f"https://{workspace.app.team_domain}.slack.com"
    return {"channel": channel.id, "permalink": f"{host}/archives/{channel.id}/p{ts.replace('.', '')}"}


def _history(workspace: Workspace, arguments: Json) -> Json:
    channel = _readable(workspace, arguments)
    top = [m for m in reversed(workspace.messages(channel.id)) if m.thread_ts in (None, m.ts)]
    return _page(workspace, arguments, _between(top, arguments))


def _replies(workspace: Workspace, arguments: Json) -> Json:
    channel = _readable(workspace, arguments)
    (ts,) = _required(arguments, "ts")
    thread = [m for m in workspace.messages(channel.id) if ts in (m.ts, m.thread_ts)]
    if not any(m.ts == ts for m in thread):
        raise SlackRefusal("thread_not_found")
    return _page(workspace, arguments, _between(thread, arguments))


def _readable(workspace: Workspace, arguments: Json) -> Channel:
    (target,) = _required(arguments, "channel")
    return workspace.joined_channel(target)


def _between(messages: list[Message], arguments: Json) -> list[Message]:
    oldest, latest = str(arguments.get("oldest") or "0"), str(arguments.get("latest") or "9" * 10)
    inclusive = _flag(arguments.get("inclusive"))
    return [
        m for m in messages if float(oldest) < float(m.ts) < float(latest) or (inclusive and m.ts in (oldest, latest))
    ]


def _page(workspace: Workspace, arguments: Json, messages: list[Message]) -> Json:
    try:
        start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
    except ValueError:
        raise SlackRefusal("invalid_cursor") from None
    whole_metadata = _flag(arguments.get("include_all_metadata"))
    found = []
    for message in messages[start : start + limit]:
        shown = message_json(workspace, message)
        if message.content.metadata:
            metadata = message.content.metadata
            shown["metadata"] = metadata if whole_metadata else {"event_type": metadata["event_type"]}
        found.append(shown)
    more = start + limit < len(messages)
    answer: Json = {"messages": found, "has_more": more}
    if more:
        answer["response_metadata"] = {"next_cursor": str(start + limit)}
    return answer


def _flag(value: Any) -> bool:
    return str(value).lower() in ("1", "true")


def _open_conversation(workspace: Workspace, arguments: Json) -> Json:
    (users,) = _required(arguments, "users")
    return {"channel": {"id": workspace.direct_channel(users).id}}


def _user_info(workspace: Workspace, arguments: Json) -> Json:
    (user_id,) = _required(arguments, "user")
    user = workspace.user(user_id)
    return {
        "user": {
            "id": user.id,
            "team_id": user.team,
            "name": user.name,
            "deleted": False,
            "real_name": user.real_name,
            "tz": "Etc/UTC",
            "tz_label": "Coordinated Universal Time",
            "tz_offset": 0,
            "profile": {"real_name": user.real_name, "display_name": user.name},
            "is_bot": False,
            "is_stranger": user.team != workspace.app.team,
        }
    }


def _group_users(workspace: Workspace, arguments: Json) -> Json:
    (group,) = _required(arguments, "usergroup")
    if group not in workspace.groups:
        raise SlackRefusal("no_such_subteam")
    return {"users": list(workspace.groups[group])}


def _open_view(workspace: Workspace, arguments: Json) -> Json:
    (trigger_id,) = _required(arguments, "trigger_id")
    view = view_of(arguments.get("view"))
    return {"view": view_json(workspace, workspace.open_view(trigger_id, view))}


_METHODS: Mapping[str, _Method] = {
    "auth.test": _Method(_auth_test, None),
    "chat.getPermalink": _Method(_permalink, None, takes_json=False),
    "chat.postEphemeral": _Method(_post_ephemeral, "chat:write"),
    "chat.postMessage": _Method(_post_message, "chat:write"),
    "chat.update": _Method(_update, "chat:write"),
    "conversations.history": _Method(_history, "channels:history", takes_json=False),
    "conversations.open": _Method(_open_conversation, "im:write"),
    "conversations.replies": _Method(_replies, "channels:history", takes_json=False),
    "usergroups.users.list": _Method(_group_users, "usergroups:read", takes_json=False),
    "users.info": _Method(_user_info, "users:read", takes_json=False),
    "views.open": _Method(_open_view, None),
}

METHODS = tuple(_METHODS)
