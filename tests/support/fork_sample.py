"""A fork server with one program, which reports the state of its process and then waits.

`python -m tests.support.fork_sample DESCRIPTOR` serves it. With SAMPLE_THREAD in its environment it has a thread.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from deploy.devstack import fork_server
from deploy.site.settings import inherited_environment

NAME = "tests.support.fork_sample"
THREAD = "SAMPLE_THREAD"
_PR_GET_PDEATHSIG = 2


def report() -> None:
    """Print the state of this process as one JSON line, and wait for a signal."""
    death = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(death))
    found = {
        "session": os.getsid(0),
        "death_signal": death.value,
        "title": Path("/proc/self/comm").read_text().strip(),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "files": sorted({str(each.resolve()) for each in Path("/proc/self/fd").iterdir()}),
        "words": sys.argv,
        "environment": inherited_environment(),
        "of_c": os.popen("printenv SAMPLE").read().strip(),  # noqa: S605 - a child sees what C libraries see
        "zone": time.tzname[0],
        "random": random.random(),  # noqa: TID251 - whether two processes draw the same is the question
        "bytes": os.urandom(8).hex(),
    }
    print(json.dumps(found), flush=True)
    signal.pause()


def main() -> None:
    if THREAD in inherited_environment():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    fork_server.main(int(sys.argv[1]))


if __name__ == "__main__":
    vars(fork_server).update(PROGRAMS={NAME: (NAME, "report")}, LATER=())
    main()
