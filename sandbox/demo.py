"""`make demo`: both gates at work on this machine, told step by step.

The exit code is 0 only if every step was seen to happen; 1 if one was not; 130 after Ctrl-C.
"""

import json
import sys
import time
from collections.abc import Sequence

from sandbox.deployment import EXAMPLE, NAME, Sandbox, SandboxError, running
from sandbox.gates import Gates
from sandbox.provider_bridge import mirror
from sandbox.provider_bridge.errors import BridgeError
from sandbox.slack import text_view
from sandbox.slack.client import SlackSandboxError
from sandbox.slack.workspace import ALICE, REQUESTER, STRANGER, Click
from sandbox.terraform import TerraformError

ORDERS = 3
_SHELL_INTERRUPTED = 130
_REQUEST = {
    "title": "Ship release 1.4 to production?",
    "description": "Contains the new price calculation. Roll-back takes two minutes.",
    "fields": {"Change": "CHG-1042", "Tests": "passed"},
    "requester": REQUESTER.id,
}


class StepFailedError(Exception):
    """Something that the demo is there to show did not happen."""


class Teller:
    """Tells what happens, with the time since the start, in seconds."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        """Begin a new part."""
        _write(f"\n== {title}")

    def say(self, line: str) -> None:
        """Tell one thing."""
        _write(f"[{time.monotonic() - self._started:6.1f} s] {line}")

    def show(self, text: str) -> None:
        """Show something as it looks, set in."""
        _write("\n".join(f"             {line}" for line in text.splitlines()))


def main() -> int:
    """Run the demo and return the exit code."""
    teller = Teller()
    try:
        teller.step(f"Deploy {EXAMPLE} into a local AWS")
        with running(teller.say) as sandbox:
            show_approval(sandbox, teller)
            show_maintenance(sandbox, teller)
            teller.step("What was real, and what was not")
            for line in _honestly():
                teller.say(line)
            teller.say("Stopping the local AWS and the local Slack; nothing of them stays")
    except KeyboardInterrupt:
        _write("\nInterrupted; everything is stopped and removed.")
        return _SHELL_INTERRUPTED
    except (BridgeError, SandboxError, SlackSandboxError, StepFailedError, TerraformError) as error:
        _write("\n".join(["", f"The demo failed: {error}", *getattr(error, "__notes__", ())]))
        return 1
    teller.say("Done: every step above was checked")
    return 0


def show_approval(sandbox: Sandbox, teller: Teller) -> None:
    """Ask for approval, let a stranger try, approve.

    Raises:
        StepFailedError: If something that is told did not happen.
    """
    gates, slack, names = Gates(sandbox), sandbox.slack, sandbox.names()
    teller.step("Approval gate: a durable function asks people in Slack, and waits at no cost")
    teller.say(f"A program asks: invoke {NAME}-approval:live (a durable execution, asynchronously) with")
    teller.show(json.dumps({"request": _REQUEST}, indent=2))
    execution = gates.ask(_REQUEST)
    question = gates.question(execution)
    teller.say("The local Slack shows in #approvals:")
    teller.show(text_view.message(question, names))

    click = slack.click(question, "approve", STRANGER.id)
    note = slack.wait_for_note(lambda n: n.user == STRANGER.id)
    teller.say(
        f"{STRANGER.real_name} is no approver and clicks Approve: a POST signed as Slack signs it; {_answer(click)}"
    )
    teller.say(f"Only {STRANGER.real_name} sees: {text_view.readable(note.text, names)}")
    _check(gates.status(execution) == "RUNNING", "the execution still runs after the stranger's click")
    _check(gates.question(execution).content == question.content, "the message is the same after the stranger's click")

    click = slack.click(question, "approve", ALICE.id)
    locked = gates.locked(question)
    teller.say(f"{ALICE.real_name} is an approver and clicks Approve; {_answer(click)}")
    teller.say("The same message now, without buttons:")
    teller.show(text_view.message(locked, names))
    ended = gates.decision(execution)
    _check(ended.status == "SUCCEEDED", f"the durable execution succeeds (it is {ended.status}: {ended.cause})")
    _check(ended.output["decision"] == "approved", "the decision is approved")
    _check([by["id"] for by in ended.output["decided_by"]] == [ALICE.id], f"{ALICE.real_name} decided")
    teller.say("The durable function goes on and returns the decision to whoever asked:")
    teller.show(json.dumps(ended.output, indent=2, ensure_ascii=False))


def show_maintenance(sandbox: Sandbox, teller: Teller) -> None:
    """Park executions during maintenance, and see them resumed when it ends.

    Raises:
        StepFailedError: If something that is told did not happen.
    """
    gates = Gates(sandbox)
    machine = gates.state_machine.rpartition(":")[2]
    teller.step(f"Maintenance gate: executions of {machine} hold, and go on by themselves")
    gates.begin_maintenance()
    teller.say(f"The state machine {machine} gets the tag Maintenance=true; EventBridge tells the gate")
    gates.wait_for_gate("closed")
    notice = gates.notice()
    teller.say("The local Slack shows in #operations:")
    teller.show(text_view.message(notice, sandbox.names()))
    executions = [gates.start() for _ in range(ORDERS)]
    parked = gates.wait_for_parked(ORDERS)
    _check(all(gates.running(executions)), "all executions are running")
    teller.say(f"{ORDERS} executions start and check in. All are RUNNING, their task tokens are parked in S3:")
    teller.show("\n".join(f"s3://{sandbox.outputs['bucket_name']}/{key}" for key in parked))

    gates.end_maintenance()
    teller.say("The tag is removed; nobody does anything else")
    ended = [gates.ended(execution) for execution in executions]
    statuses = [one.status for one in ended]
    _check(statuses == ["SUCCEEDED"] * ORDERS, f"all executions succeed (they are {', '.join(statuses)})")
    gates.wait_for_parked(0)
    teller.say(f"All {ORDERS} executions were resumed and SUCCEEDED; each got: {json.dumps(ended[0].output)}")
    teller.say("Nothing is parked any more, and the message, with no button to end it, says so:")
    teller.show(text_view.message(gates.locked(notice), sandbox.names()))


def _honestly() -> Sequence[str]:
    return (
        "Real: the Terraform module, planned and applied; the packages as uploaded, each function in its own process;",
        "      every step above was checked, not assumed.",
        "Stand-ins: AWS (moto, with corrections), durable executions (AWS's testing SDK), and Slack, which signs,",
        "      sends and limits as Slack documents it.",
        f"      {mirror.NOTICE}.",
        "Nothing here proves that it works on AWS or with Slack itself.",
    )


def _answer(click: Click) -> str:
    if click.outcome == "timed out":
        return "no answer within 3 s (a cold start on a busy machine): Slack shows a warning, the work goes on"
    return f"answered {click.status} after {click.seconds * 1000:.0f} ms"


def _check(seen: bool, what: str) -> None:
    if not seen:
        raise StepFailedError(f"this was expected and not seen: {what}")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
