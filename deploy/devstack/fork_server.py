"""The fork server: a process that imports the servers' modules once and forks each of them from itself.

`python -m deploy.devstack.fork_server DESCRIPTOR` reads one job per message from a socket. It answers each with the new
process's id and a descriptor of that process. It has one thread and opens nothing else, so a fork copies only modules.
A forked process gets SIGTERM when this one ends, and this one ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from deploy.site.settings import KINDS, adopt_environment
from shared.core.errors import Defect

#: By the module that `python -m` would run: its function, and the module of that function.
PROGRAMS: Final[Mapping[str, tuple[str, str]]] = {
    "deploy.cli": ("deploy.cli", "main"),
    "deploy.sandbox": ("deploy.sandbox.__main__", "app"),
}
#: The modules that the programs import only while they run, and those that libraries import at their first use.
LATER: Final = (
    *("deploy.serve", *(f"services.{kind}.app" for kind in KINDS), "anyio._backends._asyncio"),
    *("cryptography.hazmat.backends.openssl.backend", "pydantic.v1", "uvicorn.lifespan.off"),
)
#: More than the kernel accepts as one message.
_JOB_BYTES_MAX: Final = 1_000_000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15


class Job(NamedTuple):
    """A process to fork: its title, the arguments after `python -m`, its environment and its log file."""

    name: str
    words: list[str]
    env: Mapping[str, str]
    log: str


def main(descriptor: int) -> None:
    """Import everything, then fork a process for each job until the other end of the socket is closed."""
    for module in (*LATER, *(module for module, _ in PROGRAMS.values())):
        import_module(module)
    # The collector skips frozen objects, so forked processes share their pages.
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=descriptor)
    job = _fork_jobs(control)
    if job is not None:
        module, function = PROGRAMS[job.words[0]]
        getattr(import_module(module), function)()


def _fork_jobs(control: socket.socket) -> Job | None:
    """Fork a process for each job.

    It returns the job in each new process, and None at the end in this one.
    """
    server = os.getpid()
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), *running], [], [])
        for pidfd in running.keys() & set(ready):
            os.waitpid(running.pop(pidfd), 0)
            os.close(pidfd)
        if control.fileno() not in ready:
            continue
        message = control.recv(_JOB_BYTES_MAX)
        if not message:
            return None
        job = Job(*json.loads(message))
        if len(list(Path("/proc/self/task").iterdir())) > 1:
            # An imported module has started a thread: a forked process would have its locks without the thread.
            raise Defect("fork_server_has_threads")
        pid = os.fork()
        if pid == 0:
            control.close()
            for pidfd in running:
                os.close(pidfd)
            _become(job, server)
            return job
        # Only this process waits for its children, and only above: so the id cannot belong to another process yet.
        pidfd = os.pidfd_open(pid)
        running[pidfd] = pid
        socket.send_fds(control, [str(pid).encode()], [pidfd])


def _become(job: Job, server: int) -> None:
    """Give this forked process its own session, signals, streams, environment and title."""
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM)) != 0 or os.getppid() != server:
        os._exit(1)  # the server has ended, so nothing would end this process
    libc.prctl(_PR_SET_NAME, job.name.encode()[:15])
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    adopt_environment(job.env)
    time.tzset()
    sys.argv = job.words


if __name__ == "__main__":
    main(int(sys.argv[1]))
