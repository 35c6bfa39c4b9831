"""The local Slack's page: read, answer, and make it fail, as whom you like."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request

from sandbox.slack import interactivity, modals, web_api
from sandbox.slack.faults import REQUEST_URL, Fault, FaultInvalidError, Faults
from sandbox.slack.inputs import inputs_of
from sandbox.slack.mrkdwn import Names, html
from sandbox.slack.workspace import (
    Call,
    Channel,
    Click,
    Json,
    Message,
    Note,
    SlackRefusal,
    User,
    Workspace,
    interactive,
)
from sandbox.web.pages import PREFIX, PageError, done, live

# Of a conversation, and of what the app called: what came before is not shown.
_ENTRIES = 100
_CALLS = 30
_EFFECTS: Mapping[str, tuple[str, Json]] = {
    "drop-before": ("Connection dropped before it is accepted", {"drop": "before"}),
    "drop-after": ("Connection dropped after it is accepted", {"drop": "after"}),
    "500": ("HTTP 500", {"status": 500}),
    "429": ("HTTP 429, Retry-After 3 s", {"status": 429, "retry_after": 3}),
    "slow": ("5 seconds late", {"delay": 5.0}),
    "not_in_channel": ("Refused: not_in_channel", {"error": "not_in_channel"}),
    "missing_scope": ("Refused: missing_scope", {"error": "missing_scope"}),
}
_METHODS: Mapping[str, str] = {
    REQUEST_URL: "click or submission",
    "response_url": "response_url",
    **{name: name for name in web_api.METHODS},
}


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A message as one person sees it.

    Attributes:
        message: The message.
        warnings: What Slack shows at a button that did not work, by action id.
        replies: What is in its thread.
    """

    message: Message
    warnings: Mapping[str, str] = field(default_factory=dict)
    replies: tuple["_Shown", ...] = ()
    note: None = None

    @property
    def at(self) -> str:
        """When it was posted, ISO 8601."""
        return _time_of(self.message.ts)

    @property
    def order(self) -> float:
        """Where it stands among the messages and notes of its conversation."""
        return float(self.message.ts)


@dataclass(frozen=True)
class _ShownNote:
    note: Note

    @property
    def at(self) -> str:
        """When it was posted, ISO 8601."""
        return _time_of(self.note.ts)

    @property
    def order(self) -> float:
        """Where it stands among the messages and notes of its conversation."""
        return float(self.note.ts)


@dataclass(frozen=True)
class _ShownCall:
    version: int
    method: str
    ok: bool
    result: str
    problems: tuple[str, ...] = ()


def blueprint(workspace: Workspace, faults: Faults) -> Blueprint:
    """Return the routes of the page."""
    routes = Blueprint("page", __name__)

    @routes.get("/")
    def front() -> Any:
        return redirect(f"{PREFIX}/")

    @routes.get(f"{PREFIX}/")
    def page() -> Response:
        me = _person(workspace, request.args.get("as"))
        conversation = _conversation(workspace, request.args.get("in"), me)

        def render(version: str) -> str:
            shown = _content(workspace, faults, me, conversation)
            return render_template("slack.html", page="Slack", version=version, me=me, **shown)

        return live(lambda seen, wait: str(workspace.wait_for_change(int(seen or -1), wait)), render)

    @routes.post(f"{PREFIX}/click")
    def click() -> Response:
        form = request.form
        revision = int(form["revision"])
        try:
            content = workspace.message(form["channel"], form["ts"]).revision(revision)
            clicked = interactivity.ClickRequest(
                channel=form["channel"],
                ts=form["ts"],
                action_id=form["action_id"],
                user=form["user"],
                revision=revision,
                answers=_answers(content.blocks),
            )
            interactivity.click(workspace, clicked, f"{request.url_root}actions/", faults)
        except interactivity.ClickInvalidError as error:
            raise PageError(str(error)) from error
        except SlackRefusal as refusal:
            raise PageError(f"the message is not there any more ({refusal.code})") from refusal
        return done()

    _add_modals(routes, workspace, faults)
    _add_faults(routes, workspace, faults)
    return routes


def _add_modals(routes: Blueprint, workspace: Workspace, faults: Faults) -> None:
    @routes.post(f"{PREFIX}/submit")
    def submit() -> Response:
        try:
            view = workspace.view(request.form["view_id"])
            submitted = modals.SubmitRequest(view_id=view.id, answers=_answers(view.view["blocks"]))
            modals.submit(workspace, submitted, faults)
        except modals.SubmitInvalidError as error:
            if not error.problems:
                raise PageError(str(error)) from error
            shown = {block_id: f"This {problem}." for block_id, problem in error.problems.items()}
            workspace.change_view(view.id, errors=shown, trouble=False)
        except SlackRefusal as refusal:
            raise PageError(f"the modal is not there any more ({refusal.code})") from refusal
        return done()

    @routes.post(f"{PREFIX}/close")
    def close() -> Response:
        try:
            modals.close(workspace, request.form["view_id"])
        except modals.SubmitInvalidError as error:
            raise PageError(str(error)) from error
        return done()


def _add_faults(routes: Blueprint, workspace: Workspace, faults: Faults) -> None:
    @routes.post(f"{PREFIX}/faults")
    def add() -> Response:
        _, effect = _EFFECTS[request.form["effect"]]
        try:
            faults.add(Fault(method=request.form["method"], **effect))
        except FaultInvalidError as error:
            raise PageError(str(error)) from error
        workspace.touch()
        return done()

    @routes.post(f"{PREFIX}/forget")
    def forget() -> Response:
        faults.clear()
        workspace.touch()
        return done()


def _person(workspace: Workspace, user_id: str | None) -> User:
    people = list(workspace.users.values())
    return next((person for person in people if person.id == user_id), people[0])


def _conversation(workspace: Workspace, channel_id: str | None, me: User) -> Channel:
    mine = _conversations(workspace, me)
    return next((channel for channel in mine if channel.id == channel_id), mine[0])


def _conversations(workspace: Workspace, me: User) -> list[Channel]:
    return [channel for channel in workspace.channels() if channel.user in (None, me.id)]


def _content(workspace: Workspace, faults: Faults, me: User, conversation: Channel) -> Json:
    everything = workspace.changes()
    names = Names(
        users={user.id: user.real_name for user in workspace.users.values()},
        channels={channel.id: channel.name for channel in workspace.channels()},
        groups=workspace.group_names,
        reader=me.id,
    )
    here = [m for m in everything.messages if m.channel == conversation.id and not m.deleted]
    warnings = _warnings([click for click in everything.clicks if click.user == me.id])
    notes = [n for n in everything.notes if n.channel == conversation.id and n.user == me.id]
    found: list[_Shown | _ShownNote] = [*_threads(here, warnings), *(_ShownNote(note) for note in notes)]
    entries = sorted(found, key=lambda entry: entry.order)
    return {
        "app": workspace.app,
        "calls": [_called(call) for call in reversed(everything.calls[-_CALLS:])],
        "conversation": conversation,
        "conversations": [
            (channel, sum(m.channel == channel.id and not m.deleted for m in everything.messages))
            for channel in _conversations(workspace, me)
        ],
        "effects": [(name, label) for name, (label, _) in _EFFECTS.items()],
        "entries": entries[-_ENTRIES:],
        "interactive": interactive,
        "methods": list(_METHODS.items()),
        "more": len(entries[:-_ENTRIES]),
        "mrkdwn": partial(html, names=names),
        "pending": [_described(fault) for fault in faults.pending()],
        "people": list(workspace.users.values()),
        "views": [view for view in everything.views if view.open and view.user == me.id],
    }


def _threads(messages: list[Message], warnings: Mapping[str, Mapping[str, str]]) -> list[_Shown]:
    """Return the messages of a conversation, replies within what they answer."""
    roots = {message.ts for message in messages if message.thread_ts in (None, message.ts)}
    replies = [message for message in messages if message.thread_ts in roots - {message.ts}]

    def shown(message: Message) -> _Shown:
        inside = tuple(shown(reply) for reply in replies if reply.thread_ts == message.ts)
        return _Shown(message=message, warnings=warnings.get(message.ts, {}), replies=inside)

    return [shown(message) for message in messages if message not in replies]


def _warnings(clicks: list[Click]) -> dict[str, dict[str, str]]:
    """Return what Slack shows at the button that somebody clicked last, by message and action id."""
    last = {click.ts: click for click in clicks}
    return {ts: {click.action_id: _warning(click)} for ts, click in last.items() if click.outcome != "accepted"}


def _warning(click: Click) -> str:
    if click.outcome == "timed out":
        return "Operation timed out. Apps need to respond within 3 seconds."
    if click.outcome == "refused":
        return f"This app responded with Status Code {click.status}."
    return "This app could not be reached."


def _called(call: Call) -> _ShownCall:
    if call.status is None:
        return _ShownCall(call.version, call.method, False, "connection dropped")
    if call.answer.get("ok"):
        return _ShownCall(call.version, call.method, True, "ok")
    status = "" if call.status == HTTPStatus.OK else f"{call.status} "
    problems = list(call.answer.get("response_metadata", {}).get("messages", []))
    if "needed" in call.answer:
        problems.append(f"needed: {call.answer['needed']}")
    return _ShownCall(call.version, call.method, False, f"{status}{call.answer.get('error')}", tuple(problems))


def _time_of(ts: str) -> str:
    return datetime.fromtimestamp(float(ts), UTC).isoformat(timespec="seconds")


def _described(fault: Fault) -> str:
    effects = {"drop": fault.drop, "status": fault.status, "error": fault.error, "late": fault.delay or None}
    return f"{_METHODS.get(fault.method, fault.method)}: " + ", ".join(
        f"{name} {value}" for name, value in effects.items() if value is not None
    )


def _answers(blocks: Iterable[Json]) -> Json:
    return {block_id: _answer(block) for block_id, block in inputs_of(blocks).items()}


def _answer(block: Json) -> Any:
    name = f"answer:{block['block_id']}"
    if block["element"]["type"] == "checkboxes":
        return request.form.getlist(name)
    # Browsers end lines as the network does, Slack as people do.
    return request.form.get(name, "").replace("\r\n", "\n") or None
