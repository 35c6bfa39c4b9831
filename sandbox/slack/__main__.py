"""Run the local Slack as a process: prints `{"url": ...}` once it listens, stops on SIGTERM or SIGINT."""

import argparse
import json
import signal
import sys
import threading

from sandbox.slack.server import SlackServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.slack", description="A local Slack on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    port = parser.parse_args(arguments).port
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with SlackServer(port=port) as server:
        print(json.dumps({"url": server.url}), flush=True)  # noqa: T201 - how the parent process learns the address
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
