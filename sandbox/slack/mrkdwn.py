"""Slack's mrkdwn as HTML: https://docs.slack.dev/messaging/formatting-message-text.

Messages are written by others: whatever they say, what comes out shows text and does nothing. Emoji codes stay text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from markupsafe import Markup, escape

_PARTS = re.compile(r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|<(?P<control>[^<>\n]+)>", re.DOTALL)
_DATE = re.compile(r"!date\^(?P<seconds>-?\d{1,11})\^(?P<format>[^^]+)(?:\^(?P<link>.+))?")
# Where a finished part stands while the text around it is escaped and formatted; no text can hold these characters.
_PLACE = re.compile("\ue000(\\d+)\ue001")
_RESERVED = re.compile("[\ue000\ue001]")
_STYLES = tuple(
    (re.compile(rf"(?<![\w{sign}]){sign}(?=\S)([^{sign}\n]+?)(?<=\S){sign}(?![\w{sign}])"), rf"<{tag}>\1</{tag}>")
    for sign, tag in ((r"\*", "strong"), ("_", "em"), ("~", "s"))
)
_QUOTE = re.compile(r"^(?:&gt;.*(?:\n|$))+", re.MULTILINE)
_SCHEMES = ("http", "https", "mailto")


@dataclass(frozen=True)
class Names:
    """What ids stand for.

    Attributes:
        users: Shown name of each person.
        channels: Name of each channel, without `#`.
        groups: Handle of each user group.
        reader: Id of who reads: mentions of this person stand out.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    reader: str = ""


def html(text: str, names: Names) -> Markup:
    """Return mrkdwn as HTML.

    Args:
        text: As the app sent it.
        names: What ids stand for.
    """
    finished: list[Markup] = []

    def keep(match: re.Match[str]) -> str:
        finished.append(_part(match, names))
        return f"\ue000{len(finished) - 1}\ue001"

    shown = str(escape(plain(_PARTS.sub(keep, _RESERVED.sub("", text)))))
    for pattern, replacement in _STYLES:
        shown = pattern.sub(replacement, shown)
    shown = _QUOTE.sub(_quoted, shown).replace("\n", "<br>")
    return Markup(_PLACE.sub(lambda match: str(finished[int(match[1])]), shown))  # noqa: S704 - escaped above


def plain(text: str) -> str:
    """Return text with Slack's three entities resolved."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _quoted(match: re.Match[str]) -> str:
    lines = [line.removeprefix("&gt;").strip() for line in match[0].splitlines()]
    return f"<blockquote>{'<br>'.join(lines)}</blockquote>"


def _part(match: re.Match[str], names: Names) -> Markup:
    if match["block"] is not None:
        return Markup("<pre><code>{}</code></pre>").format(plain(match["block"].strip("\n")))
    if match["code"] is not None:
        return Markup("<code>{}</code>").format(plain(match["code"]))
    target, _, label = match["control"].partition("|")
    return _control(target, plain(label), names)


def _control(target: str, label: str, names: Names) -> Markup:
    """Return what stands for `<target|label>`."""
    if target.startswith("@"):
        user = target[1:]
        return _mention(f"@{names.users.get(user) or label or user}", to_reader=user == names.reader)
    if target.startswith("#"):
        return _mention(f"#{names.channels.get(target[1:]) or label or target[1:]}")
    if target.startswith("!subteam^"):
        group = target.removeprefix("!subteam^")
        return _mention(f"@{names.groups.get(group) or label.removeprefix('@') or group}")
    if target.startswith("!date^"):
        return _date(target, label)
    if target.startswith("!"):
        return _mention(f"@{label or target[1:]}")
    return _link(plain(target), label)


def _mention(text: str, *, to_reader: bool = False) -> Markup:
    kind = "mention me" if to_reader else "mention"
    return Markup('<span class="{}">{}</span>').format(kind, text)


def _date(target: str, fallback: str) -> Markup:
    match = _DATE.fullmatch(target)
    if not match:
        return escape(fallback)
    moment = datetime.fromtimestamp(int(match["seconds"]), UTC)
    shown = Markup('<time datetime="{}" data-format="{}">{}</time>').format(
        moment.isoformat(), match["format"], fallback or f"{moment:%Y-%m-%d %H:%M} UTC"
    )
    return _link(match["link"], shown) if match["link"] else shown


def _link(url: str, label: str) -> Markup:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in _SCHEMES:
        return escape(f"<{url}|{label}>" if label else f"<{url}>")
    return Markup('<a href="{}" rel="noreferrer" target="_blank">{}</a>').format(
        url, label or url.removeprefix("mailto:")
    )
