"""Modals: what Slack sends when one is submitted, and what it makes of the answer.

Payload and answers: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload and
https://docs.slack.dev/surfaces/modals#close_update.
"""

import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from sandbox.slack import web_api
from sandbox.slack.faults import REQUEST_URL, Faults
from sandbox.slack.inputs import filled_in, inputs_of, problems, values
from sandbox.slack.interactivity import send, signed_headers
from sandbox.slack.workspace import Json, Outcome, SlackRefusal, View, Workspace


class SubmitInvalidError(ValueError):
    """A submission that Slack would not let a person make.

    Attributes:
        problems: What Slack shows at the inputs instead of sending anything, by block id.
    """

    def __init__(self, text: str, problems: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.problems = dict(problems or {})


@dataclass(frozen=True, kw_only=True)
class SubmitRequest:
    """What is filled in, and how honestly it is sent.

    Attributes:
        view_id: Which modal.
        answers: By block id, as for `inputs.filled_in`: inputs that are left out keep what they showed at first.
        unchecked: Send also what Slack's own checks would keep back, as another program could.
        forged: Sign with another secret than the app's.
        age: Seconds by which the signed timestamp lies in the past.
    """

    view_id: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    unchecked: bool = False
    forged: bool = False
    age: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a submission.

        Raises:
            SubmitInvalidError: If a field is unknown or missing.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise SubmitInvalidError(f"not a submission: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A submission, and what the person sees of it.

    Attributes:
        view_id: The modal.
        outcome: `accepted`; everything else makes Slack show in the modal that it had some trouble connecting.
        status: HTTP status of the app's answer, if one came.
        body: Body of the app's answer.
        errors: What the modal shows at its inputs, by block id.
        open: Whether the modal is still there.
        seconds: How long the answer took.
    """

    view_id: str
    outcome: Outcome
    status: int | None
    body: str
    errors: Json
    open: bool
    seconds: float


def submit(workspace: Workspace, request: SubmitRequest, faults: Faults) -> Submission:
    """Send a submission to the app, as Slack does, and do with the modal what the app answers.

    Args:
        workspace: Where the modal is.
        request: The submission.
        faults: What goes wrong on the way.

    Raises:
        SubmitInvalidError: If there is no such modal, Slack would not send that, or the app has no request URL.
        AnswersInvalidError: If there is an answer without its input.
    """
    view, url = _open(workspace, request.view_id), workspace.app.request_url
    if not url:
        raise SubmitInvalidError("the app has no request URL for interactivity; set it with POST /_sandbox/app")
    if "submit" not in view.view:
        raise SubmitInvalidError(f"the modal {view.id} has nothing to submit")
    payload = view_submission(workspace, view, _values(view, request))
    secret = secrets.token_hex(16) if request.forged else workspace.app.signing_secret
    body = urlencode({"payload": json.dumps(payload, separators=(",", ":"))}).encode()
    headers = signed_headers(body, secret, int(time.time()) - request.age)
    outcome, status, answer, seconds = send(url, body, headers, faults.take(REQUEST_URL))
    if outcome == "accepted" and not _done(workspace, view, answer):
        outcome = "refused"
    if outcome != "accepted":
        with suppress(SlackRefusal):  # it was closed meanwhile
            workspace.change_view(view.id, errors={}, trouble=True)
    shown = next(v for v in workspace.changes().views if v.id == view.id)
    return Submission(
        view_id=view.id,
        outcome=outcome,
        status=status,
        body=answer,
        errors=shown.errors,
        open=shown.open,
        seconds=seconds,
    )


def close(workspace: Workspace, view_id: str) -> View:
    """Close a modal without submitting it; the app is not told, since it does not ask for that.

    Raises:
        SubmitInvalidError: If there is no such modal.
    """
    return workspace.change_view(_open(workspace, view_id).id, open=False)


def view_submission(workspace: Workspace, view: View, values: Json) -> Json:
    """Return the payload of a submission."""
    user, app = workspace.user(view.user), workspace.app
    return {
        "type": "view_submission",
        "team": {"id": app.team, "domain": app.team_domain},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": app.id,
        "token": "deprecated-verification-token",
        "trigger_id": workspace.issue_trigger(user),
        "view": {**web_api.view_json(workspace, view), "state": {"values": values}},
        "response_urls": [],
        "is_enterprise_install": False,
        "enterprise": None,
    }


def _open(workspace: Workspace, view_id: str) -> View:
    try:
        return workspace.view(view_id)
    except SlackRefusal:
        raise SubmitInvalidError(f"there is no open modal {view_id}") from None


def _done(workspace: Workspace, view: View, answer: str) -> bool:
    """Do with a modal what the app answers; return whether Slack understands that."""
    if not answer:
        workspace.change_view(view.id, open=False, errors={}, trouble=False)
        return True
    try:
        told = json.loads(answer)
        action = told["response_action"]
        if action == "errors":
            if not told["errors"] or not set(inputs_of(view.view["blocks"])) >= set(told["errors"]):
                return False
            workspace.change_view(view.id, errors=dict(told["errors"]), trouble=False)
        elif action == "update":
            workspace.change_view(view.id, view=web_api.view_of(told["view"]), errors={}, trouble=False)
        elif action == "clear":
            workspace.change_view(view.id, open=False, errors={}, trouble=False)
        else:  # `push` is not something that this app does
            return False
    except (ValueError, KeyError, TypeError, SlackRefusal):
        return False
    return True


def _values(view: View, request: SubmitRequest) -> Json:
    inputs = inputs_of(view.view["blocks"])
    answers = filled_in(inputs, request.answers)
    wrong = {} if request.unchecked else problems(inputs, answers)
    if wrong:
        told = ", ".join(f"{block_id} {problem}" for block_id, problem in wrong.items())
        raise SubmitInvalidError(f"Slack would not submit this: {told}", wrong)
    return values(inputs, answers)
