"""The settings of the development stack, and the state directory of one stack: locks, passwords and ports."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from deploy.site.endpoints import write_private
from deploy.site.settings import PROJECT_ROOT, SiteSettings
from shared.core.errors import Refused, Unavailable

# Below the range of Linux' outgoing ports, so a port stays available while its server is down for a moment.
_PORTS_FIRST, _PORTS_COUNT = 20_000, 12_000
_LEFTOVERS_S_MAX = 15.0
# `supervisor_pid` holds the lock for a moment to find out whether it is free.
_PROBE_S_MAX = 0.3
_PARTS = ("postgres", "kafka", "logs", "coming")
#: The last three refer to documents and API keys that a reset deletes: the next start makes new ones.
_FILES = (*("endpoints.json", "passwords.json", "children.lock"), *("parties.json", "directory.json", "policy.json"))


class DevStackSettings(SiteSettings):
    """Frozen; each field is the environment variable of the same name in capitals.

    A given server replaces the one that the stack would start. A given Kafka is reached by SCRAM-SHA-512 as `admin` if
    the admin password is given too; without it the cluster counts as open: topics only, no access rules. With
    `causeway_dev_secure`, Kafka is reached by SASL_SSL only. A given Kafka is then verified by
    `causeway_dev_kafka_ca_file`, or by the system's trust store. `causeway_dev_policy_hour_s` are the seconds of an
    hour of the policy that a new stack publishes.
    """

    prefixes: ClassVar[tuple[str, ...]] = (*SiteSettings.prefixes, "CAUSEWAY_DEV_")

    causeway_cache_dir: Path = PROJECT_ROOT / ".state" / "cache"
    java_home: Path | None = None
    database_url: str | None = Field(default=None, repr=False)
    kafka_bootstrap_servers: str | None = None
    causeway_dev_kafka_ca_file: Path | None = None
    causeway_dev_secure: bool = False
    causeway_dev_policy_hour_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    causeway_dev_kafka_admin_password: str | None = Field(default=None, repr=False)


class StateDirectory:
    """A directory of mode 0700. `acquire` makes this process its only user until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._supervisor_lock: int | None = None
        self._children_lock: int | None = None

    @property
    def children_lock(self) -> int:
        """Return the lock that every child inherits: it is free only when the last process of the stack has ended."""
        if self._children_lock is None:
            raise Unavailable("state_not_acquired", "the state directory is not held by this process")
        return self._children_lock

    def acquire(self) -> None:
        """Take both locks. Raises `Refused` if another supervisor runs here.

        The second lock waits: the kernel tells the children of a killed supervisor to stop, which takes a moment.
        """
        lock = self._open("supervisor.lock")
        if not _lock_within(lock, _PROBE_S_MAX):
            os.close(lock)
            raise Refused(
                "stack_already_running",
                "another supervisor holds this state directory: use it, or stop it with `causeway dev down`",
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._supervisor_lock = lock
        self._children_lock = self._open("children.lock")
        if not _lock_within(self._children_lock, _LEFTOVERS_S_MAX):
            self.release()
            raise Refused("children_still_running", "processes of an earlier stack do not stop: end them first")

    def release(self) -> None:
        """Release both locks."""
        for lock in (self._children_lock, self._supervisor_lock):
            if lock is not None:
                os.close(lock)
        self._children_lock = self._supervisor_lock = None

    def supervisor_pid(self) -> int | None:
        """Return the process that holds this directory, or None. The lock decides, so reused ids do no harm."""
        path = self.path / "supervisor.lock"
        if not path.exists():
            return None
        lock = self._open("supervisor.lock")
        try:
            return None if _lock_within(lock, 0.0) else int(os.pread(lock, 16, 0) or b"0")
        finally:
            os.close(lock)

    def part(self, name: str) -> Path:
        """Return a folder inside the state directory, mode 0700."""
        self._make()
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def log(self, name: str) -> Path:
        """Return the log file of one child."""
        return self.part("logs") / f"{name}.log"

    def begin_log(self, name: str) -> Path:
        """Return an empty log for one child; the log of its last run is kept with another name."""
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def password(self, name: str) -> str:
        """Return the password stored under `name`; it is made at random (192 bits) at its first use."""
        path = self.path / "passwords.json"
        known: dict[str, str] = json.loads(path.read_bytes()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(24)
            write_private(path, json.dumps(known, indent=2))
        return known[name]

    def port(self, name: str, taken: set[int]) -> int:
        """Return a free loopback port and add it to `taken`. It is the same at each start if it is still free."""
        seed = int.from_bytes(hashlib.sha256(f"{self.path}\0{name}".encode()).digest()[:8])
        for step in range(_PORTS_COUNT):
            port = _PORTS_FIRST + (seed + step) % _PORTS_COUNT
            if port not in taken and port_is_free(port):
                taken.add(port)
                return port
        raise Unavailable("no_free_port", "no loopback port from 20000 to 31999 is free")

    def reset(self) -> None:
        """Delete all data, logs and passwords of a stopped stack. Only files with known names are deleted."""
        for part in _PARTS:
            if (self.path / part).exists():
                shutil.rmtree(self.path / part)
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def _open(self, name: str) -> int:
        self._make()
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o600)


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def _lock_within(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
