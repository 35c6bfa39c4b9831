"""`make sandbox`: the gates on this machine, in the browser, until Ctrl-C."""

import argparse
import sys
import threading
import time
from typing import TYPE_CHECKING

from sandbox.deployment import EXAMPLE, REGION, Sandbox, SandboxError, running
from sandbox.gates import Gates
from sandbox.kept import kept, stop
from sandbox.provider_bridge import mirror
from sandbox.provider_bridge.errors import BridgeError
from sandbox.slack.client import SlackSandboxError
from sandbox.slack.workspace import REQUESTER
from sandbox.terraform import TerraformError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_SHELL_INTERRUPTED = 130
# Of the durable execution: whoever interrupts a start is not asked twice by the next one.
_FIRST_NAME = "first-request"
# On a busy machine a function's first start takes long.
_FIRST_SECONDS = 60.0
_FIRST_REQUEST = {
    "title": "Ship release 1.4 to production?",
    "description": "Contains the new price calculation. Roll-back takes two minutes.",
    "fields": {"Change": "CHG-1042", "Tests": "passed"},
    "requester": REQUESTER.id,
}


def main(arguments: list[str] | None = None) -> int:
    """Start everything, say what to open, and stay until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="The workflow gates in a local AWS and Slack."
    )
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, for a quick next start")
    parser.add_argument("--stop", action="store_true", help="end the sandbox that was left running")
    options = parser.parse_args(arguments)
    if options.stop:
        print("The kept sandbox is stopped." if stop() else "No kept sandbox is running.")
        return 0
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {line}", flush=True)

    sandbox: AbstractContextManager[Sandbox] = kept(say) if options.keep else running(say)
    ready = False
    try:
        with sandbox as deployed:
            ready = True
            tell(deployed)
            ends = "leaves it running; make sandbox-stop ends it" if options.keep else "ends it"
            say(f"Ready. Ctrl-C {ends}.")
            threading.Event().wait()
    except KeyboardInterrupt:
        if not ready:
            print("\nInterrupted.")
            return _SHELL_INTERRUPTED
        print("\nLeft running." if options.keep else "\nEverything is stopped and removed.")
    except (BridgeError, SandboxError, SlackSandboxError, TerraformError) as error:
        print("\n".join(["", f"The sandbox failed: {error}", *getattr(error, "__notes__", ())]))
        return 1
    return 0


def tell(sandbox: Sandbox) -> None:
    """Ask something where nothing was asked yet, and say what to open.

    Args:
        sandbox: The running sandbox.

    Raises:
        SlackSandboxError: If what is asked does not come to the local Slack.
    """
    waits = "as you left it"
    if not sandbox.slack.messages():
        gates = Gates(sandbox)
        gates.question(gates.ask(_FIRST_REQUEST, _FIRST_NAME), _FIRST_SECONDS)
        waits = "a request waits in #approvals"
    print(
        f"""
  {EXAMPLE} is deployed. Open

    {sandbox.pages["Slack"]}   the local Slack: {waits}
    {sandbox.pages["AWS"]}   the local AWS: gates, executions, logs, and buttons that start something

  For the AWS CLI and SDKs:

    export AWS_ENDPOINT_URL={sandbox.aws_url} AWS_REGION={REGION}
    export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox

  Neither AWS nor Slack: both are emulated on this machine. Terraform ran with
  {mirror.NOTICE}.
""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
