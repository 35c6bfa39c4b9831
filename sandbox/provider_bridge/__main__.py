"""`python -m sandbox.provider_bridge [DIRECTORY]` prints the environment that makes Terraform use the bridge."""

import argparse
import shlex
import sys
from pathlib import Path

from sandbox.provider_bridge import mirror
from sandbox.provider_bridge.errors import BridgeError


def main() -> None:
    """Makes the mirror and prints `export` lines for a shell; the notice goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.provider_bridge", description=mirror.NOTICE)
    parser.add_argument("directory", type=Path, nargs="?", default=mirror.DEFAULT_DIRECTORY)
    try:
        variables = mirror.environment(parser.parse_args().directory)
    except BridgeError as error:
        sys.exit(f"provider bridge: {error}")
    print(mirror.NOTICE, file=sys.stderr)  # noqa: T201
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")  # noqa: T201


if __name__ == "__main__":
    main()
