"""What a caller asks for, checked before anything is done."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fastjsonschema

from approval.decision import Outcome
from approval.settings import Settings
from shared.errors import WorkflowGatesError
from shared.form import Form, FormInvalidError
from shared.message import GROUP
from shared.records import request_hash

# Seconds between the latest timeout of a request and the end of its execution: to answer the task, lock the message.
MARGIN_SECONDS = 120
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_MAX_TOKEN_LENGTH = 2048
_MAX_SHOWN = 80
# Slack's 250 KB for a modal, without what is in it beside the inputs:
# https://docs.slack.dev/reference/methods/views.open#errors
_MAX_FORM_LENGTH = 240_000

_SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("request.schema.json").read_text("utf-8"))
_check = fastjsonschema.compile(_SCHEMA)


class InvalidRequestError(WorkflowGatesError):
    """The caller has to change the request: the message names the field, its value and what it should be."""


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """Who is asked, too, if there is no decision in time.

    Attributes:
        after_seconds: Seconds since the request.
        approvers: Ids of those who may decide from then on.
        channels: Slack channel ids, or `#name`.
    """

    after_seconds: int
    approvers: tuple[str, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A valid request, with the deployment's defaults filled in.

    Attributes:
        title: One line.
        description: Free text, may be empty.
        fields: Names and texts.
        approvers: Slack ids of who may decide; enough of them can.
        quorum: How many distinct people have to approve.
        rejections: How many distinct people have to reject.
        requester: Slack user id of who asks, if known.
        allow_self_approval: Whether the requester may decide.
        channels: Slack channel ids, or `#name`; at least one.
        direct_messages: Whether approvers are asked in direct messages, too.
        timeout_seconds: Seconds that the request waits.
        on_timeout: The decision when they are over.
        reminders: Seconds since the request, increasing, below `timeout_seconds`.
        escalation: Who is asked later, if anybody.
        form: What clicks ask for.
        allow_cancel: Whether the requester may cancel.
        notify_requester: How the requester is told of the decision; without a requester there is nobody to tell.
        fails_task: Whether a Step Functions task fails unless approved; otherwise it succeeds with the decision.
        source: The request as the caller wrote it.
        hash: `shared.records.request_hash` of that.
    """

    title: str
    description: str
    fields: Mapping[str, str]
    approvers: tuple[str, ...]
    quorum: int
    rejections: int
    requester: str | None
    allow_self_approval: bool
    channels: tuple[str, ...]
    direct_messages: bool
    timeout_seconds: int
    on_timeout: Outcome
    reminders: tuple[int, ...]
    escalation: Escalation | None
    form: Form
    allow_cancel: bool
    notify_requester: Literal["thread", "direct_message", "none"]
    fails_task: bool
    source: Mapping[str, Any]
    hash: str


def usable_token(event: object) -> str | None:
    """Return the event's Step Functions task token, or None where it has none that Step Functions could know."""
    token = event.get("task_token") if isinstance(event, dict) else None
    return token if isinstance(token, str) and 0 < len(token) <= _MAX_TOKEN_LENGTH else None


def read(event: object, settings: Settings) -> Request:
    """Read the function's input, `{"request": {...}, "task_token": "..."}`.

    Args:
        event: The input; its task token is optional, and never repeated in an error.
        settings: The deployment, for its defaults and limits.

    Raises:
        InvalidRequestError: If anything is wrong with it.
    """
    if not isinstance(event, dict) or "request" not in event:
        raise InvalidRequestError('the input has no field request; pass {"request": {"title": "..."}}')
    if unknown := sorted(set(event) - {"request", "task_token"}):
        raise InvalidRequestError(f"the input has an unknown field {unknown[0]}; only request and task_token are known")
    if "task_token" in event and usable_token(event) is None:
        raise InvalidRequestError(
            f"task_token is not a text of 1 to {_MAX_TOKEN_LENGTH} characters (its value is never shown); "
            "pass $$.Task.Token of a .waitForTaskToken task, or leave the field out"
        )
    data = event["request"]
    try:
        _check(data)
    except fastjsonschema.JsonSchemaValueException as error:
        raise InvalidRequestError(_explained(error)) from None
    try:
        hash_ = request_hash(data)
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"request holds {error.object[error.start]!r}, half a character; send UTF-8"
        ) from None
    request = Request(
        title=data["title"],
        description=data.get("description", ""),
        fields=data.get("fields", {}),
        approvers=_approvers(data) or settings.approvers,
        quorum=int(data.get("quorum", 1)),
        rejections=int(data.get("rejections", 1)),
        requester=data.get("requester"),
        allow_self_approval=data.get("allow_self_approval", False),
        channels=tuple(data.get("channels", (settings.channel,))),
        direct_messages=data.get("direct_messages", False),
        timeout_seconds=int(data.get("timeout_seconds", settings.default_timeout)),
        on_timeout=data.get("on_timeout", "timed_out"),
        reminders=tuple(map(int, data.get("reminders", ()))),
        escalation=_escalation(data),
        form=_form(data),
        allow_cancel=data.get("allow_cancel", False),
        notify_requester=data.get("notify_requester", "thread" if "requester" in data else "none"),
        fails_task=data.get("on_not_approved", "fail") == "fail",
        source=data,
        hash=hash_,
    )
    _check_requester(request)
    _check_approvers(request)
    _check_timeout(request, settings)
    _check_times(request)
    return request


def _approvers(data: Mapping[str, Any]) -> tuple[str, ...]:
    approvers = data.get("approvers", {})
    return (*approvers.get("users", ()), *approvers.get("groups", ()))


def _escalation(data: Mapping[str, Any]) -> Escalation | None:
    if "escalation" not in data:
        return None
    escalation = data["escalation"]
    return Escalation(
        after_seconds=int(escalation["after_seconds"]),
        approvers=_approvers(escalation),
        channels=tuple(escalation.get("channels", ())),
    )


def _form(data: Mapping[str, Any]) -> Form:
    try:
        form = Form.read(data)
    except FormInvalidError as error:
        raise InvalidRequestError(str(error)) from None
    if (length := len(json.dumps(form.blocks("approve")))) > _MAX_FORM_LENGTH:
        raise InvalidRequestError(
            f"request.inputs makes a form of {length} bytes, more than Slack shows; name fewer or shorter options"
        )
    return form


def _check_requester(request: Request) -> None:
    if request.requester:
        return
    if request.allow_cancel:
        raise InvalidRequestError("request.allow_cancel is true, but only a requester may cancel; add requester")
    if request.notify_requester != "none":
        raise InvalidRequestError(
            f'request.notify_requester is "{request.notify_requester}", but there is nobody to tell; add requester'
        )


def _check_approvers(request: Request) -> None:
    if not request.approvers:
        raise InvalidRequestError(
            "request.approvers is empty and the deployment has no default approvers; "
            'pass {"users": ["U0123ABCD"]} or set default approvers'
        )
    if set(request.approvers) == {request.requester} and not request.allow_self_approval:
        raise InvalidRequestError(
            f"request.approvers is only {request.requester}, the requester, who may not approve the own request; "
            "name another approver or set allow_self_approval to true"
        )
    everybody = {*request.approvers, *(request.escalation.approvers if request.escalation else ())}
    if any(id_.startswith(GROUP) for id_ in everybody):
        return
    able = len(everybody if request.allow_self_approval else everybody - {request.requester})
    for name, needed in (("quorum", request.quorum), ("rejections", request.rejections)):
        if needed > able:
            raise InvalidRequestError(
                f"request.{name} is {needed}, but only {able} may decide, counting neither the requester (unless "
                "allow_self_approval) nor anybody twice; name more approvers, or ask for fewer votes"
            )


def _check_times(request: Request) -> None:
    times = request.reminders
    if any(later <= earlier for earlier, later in itertools.pairwise(times)) or times[-1:] >= (
        request.timeout_seconds,
    ):
        raise InvalidRequestError(
            f"request.reminders is {list(times)}; name seconds since the request, each more than the one before and "
            f"less than the timeout of {request.timeout_seconds}"
        )
    if not (escalation := request.escalation):
        return
    if escalation.after_seconds >= request.timeout_seconds:
        raise InvalidRequestError(
            f"request.escalation.after_seconds is {escalation.after_seconds}; "
            f"it has to be less than the timeout of {request.timeout_seconds}"
        )
    if not (escalation.approvers or escalation.channels):
        raise InvalidRequestError("request.escalation asks nobody; give it approvers or channels, or leave it out")


def _check_timeout(request: Request, settings: Settings) -> None:
    longest = settings.execution_timeout - MARGIN_SECONDS
    if request.timeout_seconds > longest:
        raise InvalidRequestError(
            f"request.timeout_seconds is {request.timeout_seconds}, more than the {longest} that the deployment allows "
            f"(its execution timeout of {settings.execution_timeout} less {MARGIN_SECONDS}); "
            "ask for less time, or deploy a longer execution timeout"
        )


def _explained(error: fastjsonschema.JsonSchemaValueException) -> str:
    """Return what is wrong, in the words of the field's own description."""
    path = str(error.name)
    where = path.replace("data", "request", 1)
    definition: Mapping[str, Any] = error.definition
    properties: Mapping[str, Any] = definition.get("properties", {})
    if error.rule == "required":
        missing = next(name for name in definition["required"] if name not in error.value)
        return f"{where}.{missing} is missing; expected {properties[missing]['description']}"
    if error.rule == "additionalProperties":
        unknown = next(name for name in error.value if name not in properties)
        return f"{where}.{unknown[:_MAX_SHOWN]} is not a known field; the known ones are {', '.join(properties)}"
    problem = error.message.removeprefix(path).strip()
    return f"{where} is {_shown(error.value)} but {problem}; expected {definition['description']}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
