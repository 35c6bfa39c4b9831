"""What the local Slack knows: people, channels, messages, private notes, what the app called and what was clicked.

A pure model without HTTP. Every change gets the next number of one sequence, so that whoever shows or tests the
workspace can wait for "anything newer than what I have seen" instead of polling.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

Json = dict[str, Any]

# https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
RESPONSE_URL_USES = 5
RESPONSE_URL_LIFETIME = 30 * 60.0
# https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses
TRIGGER_LIFETIME = 3.0


class SlackRefusal(Exception):  # noqa: N818 - an answer of Slack's, not a failure of the sandbox
    """A call that Slack answers with `ok: false`.

    Attributes:
        code: Slack's error code, such as `channel_not_found`.
        details: Further fields of the answer.
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who can see messages and click.

    Attributes:
        id: Slack user id.
        name: Handle, as in `@alice`.
        real_name: Shown name.
        role: What the person is there for in the sandbox.
        team: Id of the workspace that the person belongs to.
    """

    id: str
    name: str
    real_name: str
    role: str
    team: str


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel, or a direct conversation with one person.

    Attributes:
        id: Slack conversation id (`C...`, or `D...` for a direct conversation).
        name: Name without `#`; for a direct conversation the person's handle.
        joined: Whether the app is a member.
        user: The person of a direct conversation.
    """

    id: str
    name: str
    joined: bool = True
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class App:
    """The installed app, with the settings of its configuration page.

    Attributes:
        signing_secret: Key of the signatures of Slack's requests.
        bot_token: Token of the Web API.
        request_url: Where clicks are sent; None until set.
        scopes: What the bot token may do.
    """

    id: str = "A0GATES01"
    team: str = "T0SANDBOX"
    team_domain: str = "sandbox"
    user: str = "U0GATESBOT"
    bot: str = "B0GATESBOT"
    name: str = "workflow-gates"
    signing_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    bot_token: str = field(default_factory=lambda: f"xoxb-{secrets.token_hex(24)}")
    request_url: str | None = None
    scopes: frozenset[str] = frozenset(
        {"channels:history", "chat:write", "im:write", "usergroups:read", "users:read"},
    )


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a message says at one time.

    Attributes:
        text: Text, or the fallback where there are blocks.
        blocks: Block Kit.
        metadata: Data that only apps see.
    """

    text: str = ""
    blocks: tuple[Json, ...] = ()
    metadata: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message that everybody in its channel sees.

    Attributes:
        channel: Conversation id.
        ts: Timestamp, the message's id in its channel.
        content: What it says now.
        earlier: What it said before each update, oldest first: what somebody with a stale copy still sees.
        thread_ts: The message that it answers.
        edited: Whether Slack shows it as edited.
        deleted: Whether it is gone.
        version: Number of its last change.
    """

    channel: str
    ts: str
    content: Content
    earlier: tuple[Content, ...] = ()
    thread_ts: str | None = None
    edited: bool = False
    deleted: bool = False
    version: int

    @property
    def text(self) -> str:
        """Text of the message as it is now."""
        return self.content.text

    @property
    def blocks(self) -> tuple[Json, ...]:
        """Blocks of the message as it is now."""
        return self.content.blocks

    def revision(self, number: int | None) -> Content:
        """Return what it said at first (0), after the first update (1) and so on; None is now.

        Raises:
            IndexError: If there is no such revision.
        """
        return self.content if number is None else (*self.earlier, self.content)[number]

    def actions(self, revision: int | None = None) -> list[str]:
        """Return the `action_id`s that can be clicked."""
        return [str(element["action_id"]) for _, element in interactive(self.revision(revision).blocks)]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `asdict` wrote and JSON carried."""
        contents = [Content(**{**c, "blocks": tuple(c["blocks"])}) for c in (*data["earlier"], data["content"])]
        return cls(**{**data, "content": contents[-1], "earlier": tuple(contents[:-1])})


@dataclass(frozen=True, kw_only=True)
class Note:
    """A private ("Only visible to you") message.

    Attributes:
        channel: Conversation id.
        ts: Timestamp.
        user: Who sees it.
        text: Text.
        blocks: Block Kit.
        version: Number of the change that made it.
    """

    channel: str
    ts: str
    user: str
    text: str
    blocks: tuple[Json, ...]
    version: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the app to Slack.

    Attributes:
        method: Web API method, or `response_url`.
        arguments: What was sent, without the token.
        status: HTTP status answered; None where the connection was dropped.
        answer: Body answered.
        version: Number of the change that recorded it.
    """

    method: str
    arguments: Json
    status: int | None
    answer: Json
    version: int


Outcome = Literal["accepted", "refused", "timed out", "unreachable"]


@dataclass(frozen=True, kw_only=True)
class Click:
    """One click, and what the person sees of it.

    Attributes:
        user: Who clicked.
        channel: Conversation id.
        ts: Message.
        action_id: Which button.
        outcome: `accepted` (2xx within 3 s); everything else makes Slack show a warning sign at the message.
            After `timed out` the app's work may go on.
        status: HTTP status of the app's answer, if one came.
        body: Body of the app's answer: Slack ignores it.
        seconds: How long the answer took.
        version: Number of the change that recorded it.
    """

    user: str
    channel: str
    ts: str
    action_id: str
    outcome: Outcome
    status: int | None
    body: str
    seconds: float
    version: int


@dataclass(frozen=True, kw_only=True)
class View:
    """A modal.

    Attributes:
        id: View id.
        user: Who sees it.
        view: What the app sent, with the ids that Slack adds.
        errors: What is shown at its inputs, by block id.
        trouble: Whether it shows that the app gave no proper answer to the last submission.
        open: Whether it is still there.
        version: Number of its last change.
    """

    id: str
    user: str
    view: Json
    errors: Json = field(default_factory=dict)
    trouble: bool = False
    open: bool = True
    version: int


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed after a version.

    Attributes:
        version: Number of the last change; ask for what comes after it next time.
    """

    version: int
    messages: tuple[Message, ...] = ()
    notes: tuple[Note, ...] = ()
    calls: tuple[Call, ...] = ()
    clicks: tuple[Click, ...] = ()
    views: tuple[View, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `asdict` wrote and JSON carried."""
        return cls(
            version=data["version"],
            messages=tuple(Message.from_json(m) for m in data["messages"]),
            notes=tuple(Note(**{**n, "blocks": tuple(n["blocks"])}) for n in data["notes"]),
            calls=tuple(Call(**c) for c in data["calls"]),
            clicks=tuple(Click(**c) for c in data["clicks"]),
            views=tuple(View(**v) for v in data["views"]),
        )

    def as_json(self) -> Json:
        """Return it as JSON."""
        return asdict(self)


@dataclass
class _ResponseUrl:
    user: str
    channel: str
    ts: str
    issued_at: float
    uses: int = 0


@dataclass
class _Trigger:
    user: str
    issued_at: float
    used: bool = False


REQUESTER = User(id="U0RITA0001", name="rita", real_name="Rita Requester", role="requester", team="T0SANDBOX")
ALICE = User(id="U0ALICE001", name="alice", real_name="Alice Approver", role="approver", team="T0SANDBOX")
BOB = User(id="U0BOB00001", name="bob", real_name="Bob Approver", role="approver", team="T0SANDBOX")
STRANGER = User(id="U0SAM00001", name="sam", real_name="Sam Stranger", role="stranger", team="T0SANDBOX")
OUTSIDER = User(id="U0OLGA0001", name="olga", real_name="Olga Outside", role="other workspace", team="T0PARTNER")

APPROVALS = Channel(id="C0APPROVALS", name="approvals")
OPERATIONS = Channel(id="C0OPERATIONS", name="operations")
NOT_JOINED = Channel(id="C0NOTJOINED", name="not-joined", joined=False)

APPROVERS_GROUP = "S0APPROVERS"


class Workspace:
    """One workspace with one installed app; safe for use by many threads.

    Args:
        app: The installed app.
        users: People.
        channels: Channels.
        groups: Members of each user group.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        app: App | None = None,
        users: Iterable[User] = (REQUESTER, ALICE, BOB, STRANGER, OUTSIDER),
        channels: Iterable[Channel] = (APPROVALS, OPERATIONS, NOT_JOINED),
        groups: Mapping[str, tuple[str, ...]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app or App()
        self.users = {user.id: user for user in users}
        self.group_names = {APPROVERS_GROUP: "approvers"}
        self.groups = dict(groups) if groups is not None else {APPROVERS_GROUP: (ALICE.id, BOB.id)}
        self._channels = {channel.id: channel for channel in channels}
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._version = 0
        self._last_ts = 0
        self._messages: dict[tuple[str, str], Message] = {}
        self._notes: list[Note] = []
        self._calls: list[Call] = []
        self._clicks: list[Click] = []
        self._views: dict[str, View] = {}
        self._response_urls: dict[str, _ResponseUrl] = {}
        self._triggers: dict[str, _Trigger] = {}

    # --- the app's settings and the people

    def configure(self, **settings: Any) -> App:
        """Change the app's settings, as on its configuration page.

        Args:
            **settings: Fields of `App`.
        """
        with self._changed:
            self.app = replace(self.app, **settings)
            return self.app

    def channels(self) -> list[Channel]:
        """Return all conversations."""
        with self._changed:
            return list(self._channels.values())

    def user(self, user_id: str) -> User:
        """Return one person.

        Raises:
            SlackRefusal: `user_not_found`.
        """
        if user_id not in self.users:
            raise SlackRefusal("user_not_found")
        return self.users[user_id]

    def channel(self, name_or_id: str) -> Channel:
        """Return a conversation by id, by name with or without `#`, or by the id of the person it is with.

        Raises:
            SlackRefusal: `channel_not_found`.
        """
        with self._changed:
            if name_or_id in self.users:
                return self.direct_channel(name_or_id)
            if name_or_id in self._channels:
                return self._channels[name_or_id]
            for channel in self._channels.values():
                if channel.user is None and channel.name == name_or_id.removeprefix("#"):
                    return channel
        raise SlackRefusal("channel_not_found")

    def joined_channel(self, name_or_id: str) -> Channel:
        """Return a conversation that the app is a member of.

        Raises:
            SlackRefusal: `channel_not_found` or `not_in_channel`.
        """
        channel = self.channel(name_or_id)
        if not channel.joined:
            raise SlackRefusal("not_in_channel")
        return channel

    def direct_channel(self, user_id: str) -> Channel:
        """Return the direct conversation between the app and a person, opened if need be.

        Raises:
            SlackRefusal: `user_not_found`.
        """
        user = self.user(user_id)
        with self._changed:
            for channel in self._channels.values():
                if channel.user == user_id:
                    return channel
            channel = Channel(id=f"D0{user_id.removeprefix('U0')}", name=user.name, user=user_id)
            self._channels[channel.id] = channel
            return channel

    # --- messages

    def post(self, channel: Channel, content: Content, thread_ts: str | None = None) -> Message:
        """Add a message to a conversation."""
        with self._changed:
            message = Message(
                channel=channel.id,
                ts=self._next_ts(),
                content=content,
                thread_ts=thread_ts,
                version=self._next(),
            )
            self._messages[channel.id, message.ts] = message
            return message

    def message(self, channel_id: str, ts: str) -> Message:
        """Return one message.

        Raises:
            SlackRefusal: `message_not_found`.
        """
        with self._changed:
            message = self._messages.get((channel_id, ts))
        if message is None or message.deleted:
            raise SlackRefusal("message_not_found")
        return message

    def update(self, channel_id: str, ts: str, content: Content, *, edited: bool) -> Message:
        """Replace what a message says.

        Raises:
            SlackRefusal: `message_not_found`.
        """
        with self._changed:
            old = self.message(channel_id, ts)
            new = replace(
                old, content=content, earlier=(*old.earlier, old.content), edited=edited, version=self._next()
            )
            self._messages[channel_id, ts] = new
            return new

    def delete(self, channel_id: str, ts: str) -> None:
        """Remove a message.

        Raises:
            SlackRefusal: `message_not_found`.
        """
        with self._changed:
            old = self.message(channel_id, ts)
            self._messages[channel_id, ts] = replace(old, deleted=True, version=self._next())

    def messages(self, channel_id: str) -> list[Message]:
        """Return the messages of a conversation, oldest first."""
        with self._changed:
            return [m for m in self._messages.values() if m.channel == channel_id and not m.deleted]

    def add_note(self, channel: Channel, user: User, text: str, blocks: tuple[Json, ...] = ()) -> Note:
        """Show a private note to one person."""
        with self._changed:
            note = Note(
                channel=channel.id, ts=self._next_ts(), user=user.id, text=text, blocks=blocks, version=self._next()
            )
            self._notes.append(note)
            return note

    # --- what a click hands to the app

    def issue_response_url(self, user: User, message: Message) -> str:
        """Return the last part of a new `response_url` for a click: workspace, number and secret."""
        with self._changed:
            key = f"{self.app.team}/{self._next_ts().replace('.', '')}/{secrets.token_urlsafe(18)}"
            self._response_urls[key] = _ResponseUrl(user.id, message.channel, message.ts, self._clock())
            return key

    def use_response_url(self, key: str) -> tuple[User, Channel, str]:
        """Take one of the uses of a `response_url`.

        Returns:
            Who clicked, where, and the timestamp of the message.

        Raises:
            SlackRefusal: `expired_url`, `used_url`, `invalid_url`.
        """
        with self._changed:
            url = self._response_urls.get(key)
            if url is None:
                raise SlackRefusal("invalid_url")
            if self._clock() - url.issued_at > RESPONSE_URL_LIFETIME:
                raise SlackRefusal("expired_url")
            if url.uses >= RESPONSE_URL_USES:
                raise SlackRefusal("used_url")
            url.uses += 1
            return self.users[url.user], self._channels[url.channel], url.ts

    def issue_trigger(self, user: User) -> str:
        """Return a new `trigger_id` for a click."""
        with self._changed:
            key = f"{self._next_ts().replace('.', '')}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
            self._triggers[key] = _Trigger(user.id, self._clock())
            return key

    def open_view(self, trigger_id: str, view: Json) -> View:
        """Open a modal.

        Raises:
            SlackRefusal: `invalid_trigger_id`, `expired_trigger_id` (after 3 s) or `exchanged_trigger_id` (used).
        """
        with self._changed:
            trigger = self._triggers.get(trigger_id)
            if trigger is None:
                raise SlackRefusal("invalid_trigger_id")
            if self._clock() - trigger.issued_at > TRIGGER_LIFETIME:
                raise SlackRefusal("expired_trigger_id")
            if trigger.used:
                raise SlackRefusal("exchanged_trigger_id")
            trigger.used = True
            opened = View(id=f"V0{secrets.token_hex(4).upper()}", user=trigger.user, view=view, version=self._next())
            self._views[opened.id] = opened
            return opened

    def view(self, view_id: str) -> View:
        """Return an open modal.

        Raises:
            SlackRefusal: `not_found`.
        """
        with self._changed:
            found = self._views.get(view_id)
        if found is None or not found.open:
            raise SlackRefusal("not_found")
        return found

    def change_view(self, view_id: str, **changes: Any) -> View:
        """Change an open modal.

        Args:
            view_id: Which one.
            **changes: Fields of `View`.

        Raises:
            SlackRefusal: `not_found`.
        """
        with self._changed:
            changed = replace(self.view(view_id), **changes, version=self._next())
            self._views[view_id] = changed
            return changed

    # --- what happened

    def record_call(self, method: str, arguments: Json, status: int | None, answer: Json) -> None:
        """Note a call of the app."""
        with self._changed:
            self._calls.append(
                Call(method=method, arguments=arguments, status=status, answer=answer, version=self._next())
            )

    def record_click(self, **click: Any) -> Click:
        """Note a click.

        Args:
            **click: Fields of `Click`, without the version.
        """
        with self._changed:
            recorded = Click(**click, version=self._next())
            self._clicks.append(recorded)
            return recorded

    def changes(self, after: int = 0, wait: float = 0.0) -> Changes:
        """Return what changed after a version.

        Args:
            after: The version seen last; 0 for all.
            wait: Seconds to wait for a change where there is none yet.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._version > after, wait)
            return Changes(
                version=self._version,
                messages=tuple(m for m in self._messages.values() if m.version > after),
                notes=tuple(n for n in self._notes if n.version > after),
                calls=tuple(c for c in self._calls if c.version > after),
                clicks=tuple(c for c in self._clicks if c.version > after),
                views=tuple(v for v in self._views.values() if v.version > after),
            )

    def wait_for_change(self, after: int, wait: float) -> int:
        """Return the number of the last change, waiting up to `wait` seconds for one that comes after a version."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != after, wait)
            return self._version

    def touch(self) -> None:
        """Count a change of something beside the workspace that is shown with it."""
        with self._changed:
            self._next()

    def now(self) -> float:
        """Return seconds since 1970."""
        return self._clock()

    def _next(self) -> int:
        self._version += 1
        self._changed.notify_all()
        return self._version

    def _next_ts(self) -> str:
        """Return a timestamp that is later than all before it, as Slack's are unique in a channel."""
        self._last_ts = max(self._last_ts + 1, int(self._clock() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"


def interactive(blocks: Iterable[Json]) -> list[tuple[Json, Json]]:
    """Return each element that can be clicked, with its block."""
    found = []
    for block in blocks:
        elements = block.get("elements", []) if block["type"] == "actions" else [block.get("accessory")]
        found += [(block, element) for element in elements if element and "action_id" in element]
    return found
