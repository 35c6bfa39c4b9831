"""Python client of the local Slack: look, wait, click, and make it fail."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import urllib3

from sandbox.slack.modals import Submission
from sandbox.slack.workspace import Call, Changes, Click, Json, Message, Note, View

_Found = TypeVar("_Found")
_POLL = 20.0
_OK = 200


class SlackSandboxError(Exception):
    """The local Slack refused a request of its own control interface."""


class NotSeenError(SlackSandboxError):
    """What was waited for did not come in time."""


def _version(changed: Message | View) -> int:
    return changed.version


class _Seen:
    """All that a client has seen, so that it asks for what is new only; safe for use by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.version = 0
        self._messages: dict[tuple[str, str], Message] = {}
        self._notes: dict[int, Note] = {}
        self._calls: dict[int, Call] = {}
        self._clicks: dict[int, Click] = {}
        self._views: dict[str, View] = {}

    def add(self, changes: Changes) -> None:
        """Take note of changes; an answer that comes late overwrites nothing newer."""
        with self._lock:
            for message in changes.messages:
                key = (message.channel, message.ts)
                self._messages[key] = max(message, self._messages.get(key, message), key=_version)
            for view in changes.views:
                self._views[view.id] = max(view, self._views.get(view.id, view), key=_version)
            self._notes |= {note.version: note for note in changes.notes}
            self._calls |= {call.version: call for call in changes.calls}
            self._clicks |= {click.version: click for click in changes.clicks}
            self.version = max(self.version, changes.version)

    def after(self, version: int) -> Changes:
        """Return what changed after a version."""
        with self._lock:
            return Changes(
                version=self.version,
                messages=tuple(m for m in self._messages.values() if m.version > version),
                notes=tuple(n for n in self._notes.values() if n.version > version),
                calls=tuple(c for c in self._calls.values() if c.version > version),
                clicks=tuple(c for c in self._clicks.values() if c.version > version),
                views=tuple(v for v in self._views.values() if v.version > version),
            )


@dataclass(frozen=True)
class SlackSandbox:
    """A running local Slack.

    Attributes:
        url: Base address, without a trailing slash.
    """

    url: str
    _seen: _Seen = field(default_factory=_Seen, repr=False, compare=False)

    @property
    def api_url(self) -> str:
        """Base address of the Web API, as an app is configured with it."""
        return f"{self.url}/api/"

    def app(self) -> Json:
        """Return the app's settings (`bot_token`, `signing_secret`, ...), people and channels."""
        return self._request("GET", "app")

    def configure(self, **settings: Any) -> Json:
        """Change `request_url`, `signing_secret`, `bot_token` or `scopes` of the app."""
        return self._request("POST", "app", settings)

    def add_fault(self, method: str, **fault: Any) -> None:
        """Script a fault: see `sandbox.slack.faults.Fault`."""
        self._request("POST", "faults", {"method": method, **fault})

    def clear_faults(self) -> None:
        """Forget all faults."""
        self._request("DELETE", "faults")

    def click(self, message: Message, action_id: str, user: str, **how: Any) -> Click:
        """Click a button.

        Args:
            message: The message.
            action_id: Which button.
            user: Id of who clicks.
            **how: `revision`, `forged`, `age` of `sandbox.slack.interactivity.ClickRequest`.

        Raises:
            SlackSandboxError: If nobody could make that click.
        """
        request = {"channel": message.channel, "ts": message.ts, "action_id": action_id, "user": user, **how}
        return Click(**self._request("POST", "click", request))

    def submit(self, view: View, answers: Mapping[str, Any] | None = None, **how: Any) -> Submission:
        """Submit a modal.

        Args:
            view: The modal.
            answers: What is filled in, by block id: a text, number, option's value or date, whether a single checkbox
                is ticked, None for nothing. Inputs that are left out keep what they showed at first.
            **how: `unchecked`, `forged`, `age` of `sandbox.slack.modals.SubmitRequest`.

        Raises:
            SlackSandboxError: If Slack would not let a person submit that.
        """
        return Submission(**self._request("POST", "submit", {"view_id": view.id, "answers": answers or {}, **how}))

    def close(self, view: View) -> None:
        """Close a modal without submitting it.

        Raises:
            SlackSandboxError: If it is not open.
        """
        self._request("POST", "close", {"view_id": view.id})

    def view(self, view_id: str) -> View:
        """Return a modal as it is now, open or closed.

        Raises:
            NotSeenError: If there was never such a modal.
        """
        for view in self.changes().views:
            if view.id == view_id:
                return view
        raise NotSeenError(f"no modal {view_id} in the local Slack")

    def changes(self, after: int = 0, wait: float = 0.0) -> Changes:
        """Return what changed after a version, waiting up to `wait` seconds for a change."""
        known = self._seen.version
        news = self._request("GET", f"changes?after={known}&wait={wait if known <= after else 0}")
        self._seen.add(Changes.from_json(news))
        return self._seen.after(after)

    def messages(self) -> tuple[Message, ...]:
        """Return all messages, the oldest first."""
        return self.changes().messages

    def calls(self, method: str | None = None) -> tuple[Call, ...]:
        """Return the app's calls, of one method or of all."""
        return tuple(call for call in self.changes().calls if method in (None, call.method))

    def wait_for_message(self, matches: Callable[[Message], bool], timeout: float = 30.0) -> Message:
        """Return the first message that matches, as soon as there is one.

        Args:
            matches: Says whether a message is the one.
            timeout: Seconds to wait.

        Raises:
            NotSeenError: If none came in time.
        """
        return self._wait_for(lambda changes: (m for m in changes.messages if matches(m)), "message", timeout)

    def wait_for_note(self, matches: Callable[[Note], bool], timeout: float = 30.0) -> Note:
        """Return the first private note that matches, as soon as there is one.

        Args:
            matches: Says whether a note is the one.
            timeout: Seconds to wait.

        Raises:
            NotSeenError: If none came in time.
        """
        return self._wait_for(lambda changes: (n for n in changes.notes if matches(n)), "private note", timeout)

    def wait_for_view(self, matches: Callable[[View], bool], timeout: float = 30.0) -> View:
        """Return the first modal that matches, as soon as there is one.

        Args:
            matches: Says whether a modal is the one.
            timeout: Seconds to wait.

        Raises:
            NotSeenError: If none came in time.
        """
        return self._wait_for(lambda changes: (v for v in changes.views if matches(v)), "modal", timeout)

    def _wait_for(self, find: Callable[[Changes], Iterable[_Found]], what: str, timeout: float) -> _Found:
        deadline, seen = time.monotonic() + timeout, 0
        while True:
            changes = self.changes(seen, max(0.0, min(_POLL, deadline - time.monotonic())))
            for found in find(changes):
                return found
            seen = changes.version
            if time.monotonic() >= deadline:
                raise NotSeenError(f"no such {what} in the local Slack within {timeout:.0f} s")

    def _request(self, method: str, path: str, body: Json | None = None) -> Json:
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request(
                method,
                f"{self.url}/_sandbox/{path}",
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
                timeout=_POLL * 2,
            )
        data: Json = json.loads(answer.data)
        if answer.status != _OK:
            raise SlackSandboxError(str(data.get("error", data)))
        return data
