"""Programs that start the sandbox as processes of their own, to be found again."""

import re
from pathlib import Path

FOLDER = re.compile(rb"all files in (\S+)")
MARK = "WORKFLOW_GATES_TEST_RUN"


def processes(mark: str) -> list[int]:
    """Return the processes whose environment has the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found
