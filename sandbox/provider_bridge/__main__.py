"""Command line of the provider bridge; see README.md."""

import argparse
import shlex
import sys

from sandbox.provider_bridge import mirror, selection, validation
from sandbox.provider_bridge.errors import BridgeError


def main() -> None:
    """Runs a command; what is for people goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.provider_bridge", description=mirror.NOTICE)
    parser.add_argument(
        "command",
        nargs="?",
        choices=["environment", "validate"],
        default="environment",
        help="environment (default): print export lines that make Terraform use the bridge; validate: run "
        "`terraform validate` on the root, every module and every example, with the bridge only if it must be",
    )
    command = parser.parse_args().command
    try:
        if command == "validate":
            _validate()
        else:
            _environment()
    except BridgeError as error:
        sys.exit(f"provider bridge: {error}")


def _environment() -> None:
    variables = mirror.environment()
    print(mirror.NOTICE, file=sys.stderr)
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def _validate() -> None:
    selected = selection.select()
    print(f"terraform validate with {selected.description}", file=sys.stderr)
    findings = validation.validate(selected)
    if findings:
        sys.exit("\n".join(findings))
    print(f"{len(validation.folders())} folders are valid", file=sys.stderr)


if __name__ == "__main__":
    main()
