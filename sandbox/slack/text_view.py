"""A Slack message as text for a terminal."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sandbox.slack.workspace import Json, Message

_WIDTH = 76
_MENTION = re.compile(r"<@([UW]\w+)>")
_DATE = re.compile(r"<!date\^(\d+)\^[^|>]*\|[^>]*>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def message(shown: Message, names: Mapping[str, str]) -> str:
    """Return a message as lines in a frame.

    Args:
        shown: The message.
        names: Shown name of each user id.
    """
    lines = [line for block in shown.blocks for line in _block(block, names)] or _wrapped(readable(shown.text, names))
    return "\n".join(["╭" + "─" * _WIDTH, *(f"│ {line}" for line in lines), "╰" + "─" * _WIDTH])


def readable(text: str, names: Mapping[str, str]) -> str:
    """Return mrkdwn with mentions, dates (in UTC) and entities resolved, and without the signs of bold text."""
    text = _MENTION.sub(lambda m: f"@{names.get(m[1], m[1])}", text)
    text = _DATE.sub(lambda m: f"{datetime.fromtimestamp(int(m[1]), UTC):%Y-%m-%d %H:%M} UTC", text)
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    return re.sub(r"\*([^*\n]+)\*", r"\1", text)


def _block(block: Json, names: Mapping[str, str]) -> list[str]:
    kind = block["type"]
    if kind == "header":
        title = _text(block["text"], names)
        return [title, "═" * min(len(title), _WIDTH - 2)]
    if kind == "section":
        fields = [_text(field, names).replace("\n", ": ", 1) for field in block.get("fields", [])]
        return [line for text in (_text(block.get("text"), names), *fields) for line in _wrapped(text)]
    if kind == "context":
        return _wrapped("  ".join(_text(element, names) for element in block["elements"]))
    if kind == "actions":
        return ["  ".join(f"[ {_text(e.get('text'), names)} ]" for e in block["elements"])]
    if kind == "divider":
        return ["─" * (_WIDTH - 2)]
    return [f"({kind})"]


def _text(text_object: Json | None, names: Mapping[str, str]) -> str:
    if not text_object:
        return ""
    text = str(text_object["text"])
    return readable(text, names) if text_object["type"] == "mrkdwn" else text


def _wrapped(text: str) -> list[str]:
    lines: Iterable[str] = text.splitlines()
    return [part for line in lines for part in textwrap.wrap(line, _WIDTH - 2) or [""]]
