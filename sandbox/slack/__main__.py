"""Run the local Slack as a process: prints `{"address": ..., "pid": ...}` once it listens, stops on a signal."""

import argparse
import json
import os
import signal
import sys
import threading

from sandbox.slack.server import SlackServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.slack", description="A local Slack on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input ends, with the parent")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if options.exit_with_stdin:
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    with SlackServer(port=options.port) as server:
        sys.stdout.write(json.dumps({"address": server.url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
