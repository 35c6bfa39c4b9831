"""The local AWS's page: what the gates did and do, and buttons to try them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError
from flask import Blueprint, Flask, Response, render_template, request
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from sandbox.aws import histories
from sandbox.aws.hiding import Hider, readable
from sandbox.aws.maintenance import TAG, TAG_UNTIL, Bucket, Flag, Gate, ParkedTask
from sandbox.aws.shown import Machine, Shown
from sandbox.web.pages import PREFIX, PageError, done, live, web_app

# Of each kind, on a page: what came before is not shown.
_LATEST = 10
_NEWEST = 2
_ENTRIES = 100
_LINES = 200
_PARKED = 10
# Executions started at once: enough to see a drain, and this machine has few cores.
_MOST_STARTED = 50
_BY = "the AWS page"
_TIMEOUTS = {"3600": "in an hour", "60": "in a minute", "10": "in 10 seconds"}
_ENDS = {"": "when somebody ends it", "1": "by itself, in a minute", "15": "by itself, in 15 minutes"}

_ClientOf = Callable[[str], Any]


@dataclass(frozen=True, kw_only=True)
class _ShownGate:
    """A maintenance gate.

    Attributes:
        gate: The gate.
        override: Its flag of a maintenance of all.
        machines: Its state machines.
    """

    gate: Gate
    override: Flag
    machines: list["_Held"]


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A state machine at its gate.

    Attributes:
        name: Its name.
        machine: The state machine; None if it does not exist any more.
        flag: Its flag.
        parked: How many of its tasks are parked.
        tasks: The first of them.
        dead: How many of its tasks were over when they were to be resumed.
        quarantined: How many of its tasks nobody can resume.
    """

    name: str
    machine: Machine | None
    flag: Flag
    parked: int
    tasks: list[ParkedTask]
    dead: int
    quarantined: int


def app(shown: Shown, client: _ClientOf) -> Flask:
    """Return the web application that serves the page.

    Args:
        shown: What there is to be shown.
        client: Returns the boto3 client of a service: the page's buttons do what anybody can do with it.
    """
    application = web_app(__name__, Path(__file__).parent / "templates")
    application.register_blueprint(_views(shown))
    application.register_blueprint(_workflows(client))
    application.register_blueprint(_maintenance(client))
    application.register_error_handler(ClientError, _refused)
    # Whatever a template writes goes through it, so that none can forget to hide something.
    application.jinja_env.finalize = _hidden
    application.jinja_env.filters["readable"] = readable
    application.jinja_env.filters["as_json"] = lambda content: readable(json.dumps(content))
    return application


@pass_context
def _hidden(context: Context, value: Any) -> Any:
    """Return what a template is to write. Markup comes from macros, which have hidden what they wrote."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    hider: Hider = context["hider"]
    return hider.hide(value)


def _views(shown: Shown) -> Blueprint:
    routes = Blueprint("views", __name__)

    def view(template: str, content: Callable[[], dict[str, Any] | None]) -> Response:
        """Answer with a page whose content is there, or that says that it is not."""

        def render(version: str) -> str:
            found = content()
            return render_template(
                "gone.html" if found is None else template,
                page="AWS",
                version=version,
                here=request.full_path.rstrip("?"),
                hider=shown.hider(),
                functions=shown.functions(),
                machines=shown.machines(),
                **(found or {}),
            )

        return live(shown.wait_for_change, render)

    @routes.get(f"{PREFIX}/")
    def overview() -> Response:
        return view("overview.html", lambda: _overview(shown))

    @routes.get(f"{PREFIX}/machines/<name>")
    def machine(name: str) -> Response:
        return view("machine.html", lambda: _machine(shown, name))

    @routes.get(f"{PREFIX}/functions/<name>")
    def function(name: str) -> Response:
        return view("function.html", lambda: _function(shown, name))

    @routes.get(f"{PREFIX}/execution")
    def execution() -> Response:
        return view("execution.html", lambda: _execution(shown, request.args.get("arn", "")))

    @routes.get(f"{PREFIX}/durable")
    def durable() -> Response:
        return view("durable.html", lambda: _durable(shown, request.args.get("arn", "")))

    @routes.get(f"{PREFIX}/events")
    def events() -> Response:
        return view("events.html", lambda: {"events": shown.events(_ENTRIES)})

    return routes


def _refused(error: ClientError) -> Response:
    """Show a person what AWS answers."""
    return Response(str(error), status=HTTPStatus.BAD_REQUEST, content_type="text/plain; charset=utf-8")


def _workflows(client: _ClientOf) -> Blueprint:
    routes = Blueprint("workflows", __name__)

    @routes.post(f"{PREFIX}/ask")
    def ask() -> Response:
        form = request.form
        asked = {
            "title": form["title"],
            "quorum": _whole(form["quorum"], "approvals"),
            "timeout_seconds": _whole(form["timeout"], "seconds"),
        }
        client("lambda").invoke(
            FunctionName=form["function"],
            InvocationType="Event",
            DurableExecutionName=_name(),
            Payload=json.dumps({"request": asked}),
        )
        return done()

    @routes.post(f"{PREFIX}/start")
    def start() -> Response:
        number = _whole(request.form["number"], "executions", _MOST_STARTED)
        title = request.form.get("title", "").strip()
        given = {"approval": {"title": title}} if title else {}
        for _ in range(number):
            client("stepfunctions").start_execution(
                stateMachineArn=request.form["machine"], name=_name(), input=json.dumps(given)
            )
        return done()

    @routes.post(f"{PREFIX}/stop")
    def stop() -> Response:
        arn = request.form["arn"]
        if ":states:" in arn:
            client("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause=f"by {_BY}")
        else:
            client("lambda").stop_durable_execution(DurableExecutionArn=arn)
        return done()

    return routes


def _maintenance(client: _ClientOf) -> Blueprint:
    routes = Blueprint("maintenance", __name__)

    @routes.post(f"{PREFIX}/tag")
    def tag() -> Response:
        arn = request.form["machine"]
        if request.form["on"] == "true":
            client("stepfunctions").tag_resource(resourceArn=arn, tags=[{"key": TAG, "value": "true"}])
        else:
            client("stepfunctions").untag_resource(resourceArn=arn, tagKeys=[TAG, TAG_UNTIL])
        return done()

    @routes.post(f"{PREFIX}/begin")
    def begin() -> Response:
        event = {"action": "begin", **_scope(), **_notes()}
        if request.form["minutes"]:
            until = datetime.now(UTC) + timedelta(minutes=_whole(request.form["minutes"], "minutes"))
            event["until"] = until.isoformat(timespec="seconds")
        _operate(client, event)
        return done()

    @routes.post(f"{PREFIX}/end")
    def end() -> Response:
        _operate(client, {"action": "end", **_scope(), **_notes()})
        return done()

    return routes


def _operate(client: _ClientOf, event: dict[str, str]) -> None:
    """Let the maintenance function do what a button asks for.

    Raises:
        PageError: If it fails, with its own words.
    """
    answer = client("lambda").invoke(FunctionName=request.form["function"], Payload=json.dumps(event))
    content = json.load(answer["Payload"])
    if "FunctionError" in answer:
        raise PageError(f"{event['action']} failed: {content.get('errorMessage')}")


def _name() -> str:
    return f"try-{uuid4().hex[:8]}"


def _scope() -> dict[str, str]:
    machine = request.form.get("machine")
    return {"stateMachineArn": machine} if machine else {"scope": "all"}


def _notes() -> dict[str, str]:
    reason = request.form.get("reason", "").strip()
    return {"by": _BY, **({"reason": reason} if reason else {})}


def _whole(text: str, what: str, most: int = 1_000_000) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= most):
        raise PageError(f"{text!r} {what}: give a whole number from 1 to {most}")
    return int(text)


def _overview(shown: Shown) -> dict[str, Any]:
    return {
        "durable_runs": list(islice(shown.durable_runs(), _LATEST)),
        "ends": _ENDS,
        "events": shown.events(_LATEST),
        "gates": _gates(shown),
        "most_started": _MOST_STARTED,
        "newest_of_function": {f.name: list(islice(shown.durable_runs(f.name), _NEWEST)) for f in shown.functions()},
        "newest_of_machine": {m.name: list(islice(shown.runs(m.name), _NEWEST)) for m in shown.machines()},
        "runs": list(islice(shown.runs(), _LATEST)),
        "timeouts": _TIMEOUTS,
    }


def _gates(shown: Shown) -> list[_ShownGate]:
    machines = {machine.name: machine for machine in shown.machines()}
    return [_gate(function.gate, machines) for function in shown.functions() if function.gate]


def _gate(gate: Gate, machines: dict[str, Machine]) -> _ShownGate:
    bucket = Bucket(gate)
    names = sorted({name for name in machines if gate.serves(name)} | bucket.names())
    return _ShownGate(gate=gate, override=bucket.override(), machines=[_held(bucket, n, machines) for n in names])


def _held(bucket: Bucket, name: str, machines: dict[str, Machine]) -> _Held:
    parked, tasks = bucket.parked(name, _PARKED)
    return _Held(
        name=name,
        machine=machines.get(name),
        flag=bucket.flag(name),
        parked=parked,
        tasks=tasks,
        dead=bucket.dead(name),
        quarantined=bucket.quarantined(name),
    )


def _machine(shown: Shown, name: str) -> dict[str, Any] | None:
    found = next((machine for machine in shown.machines() if machine.name == name), None)
    return None if found is None else {"machine": found, "runs": list(islice(shown.runs(name), _ENTRIES))}


def _function(shown: Shown, name: str) -> dict[str, Any] | None:
    found = next((function for function in shown.functions() if function.name == name), None)
    if found is None:
        return None
    return {
        "function": found,
        "lines": shown.lines(found.log_group, _LINES),
        "runs": list(islice(shown.durable_runs(name), _ENTRIES)),
    }


def _execution(shown: Shown, arn: str) -> dict[str, Any] | None:
    found = shown.run(arn)
    if found is None:
        return None
    run, events = found
    return {"run": run, "states": histories.states(events, run.status), "asked": shown.asked(arn)}


def _durable(shown: Shown, arn: str) -> dict[str, Any] | None:
    found = shown.durable_run(arn)
    if found is None:
        return None
    run, execution = found
    return {
        "asker": shown.asker(run),
        "invocations": len(execution.invocation_completions),
        "messages": shown.messages(arn),
        "operations": histories.operations(list(execution.operations)),
        "run": run,
    }
