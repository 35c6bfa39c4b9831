"""First code of a function's process; it runs on the function's own interpreter, before AWS's runtime client.

Ends the process as soon as the server is gone, however it went: the server holds the other end of a pipe, and the
operating system closes it even when the server is killed.
"""

import os
import runpy
import sys
import threading
from pathlib import Path


def _end_with_server(pipe: int) -> None:
    os.read(pipe, 1)  # returns at the end of the file only: nobody ever writes
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_server, args=(int(sys.argv[1]),), daemon=True).start()
    sys.argv = ["awslambdaric", sys.argv[2]]
    sys.path[0] = str(
        Path.cwd()
    )  # the function's own folder comes first, as on AWS; this file's folder is no part of it
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
