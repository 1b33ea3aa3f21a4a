"""`causeway dev` as a person uses it, in separate processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.devstack.state import StateDirectory
from deploy.site.endpoints import load
from deploy.site.settings import inherited_environment
from tests.deploy.devstack.test_process import eventually
from tests.deploy.devstack.test_stack import query

SERVICE = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Door(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
print("sample service speaks", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""
PROGRAM = f"""
import sys
from deploy.devstack.cli import dev_app
def children(endpoints):
    from deploy.devstack.supervisor import Child
    url = endpoints.http["hotline"]
    service = [sys.executable, "-c", {SERVICE!r}, url.rpartition(":")[2]]
    return [Child("hotline", service, {{}}, url + "/readyz")]
def broken(endpoints):
    from deploy.devstack.supervisor import Child
    return [Child("hotline", [sys.executable, "-c", "raise SystemExit('cannot go on')"], {{}}, "http://127.0.0.1:9/")]
app = dev_app(broken if sys.argv[1] == "broken" else children)
app(sys.argv[2:])
"""


class Dev:
    """Runs the commands on one state directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        given = ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")
        kept = {key: value for key, value in inherited_environment().items() if not key.endswith(given)}
        self._environment = kept | {"CAUSEWAY_DEV_STATE_DIR": str(path)}

    def start(self, *words: str, children: str = "children") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, children, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self._environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def run(self, *words: str, children: str = "children") -> tuple[int, str]:
        with self.start(*words, children=children) as process:
            output = process.communicate(timeout=300)[0]
        return process.returncode, output

    def processes(self) -> list[int]:
        """Return every process of this stack that still runs, identified by the lock that all inherit."""
        lock, found = self.path / "children.lock", []
        for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError):
                if descriptor.readlink() == lock:
                    found.append(int(descriptor.parts[2]))
        return sorted(set(found))


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    one = Dev(tmp_path / "state")
    yield one
    one.run("down")


def test_a_killed_supervisor_leaves_no_process_and_the_next_start_has_the_data(dev: Dev) -> None:
    with dev.start("up") as supervisor:
        assert supervisor.stdout is not None
        assert any(line.startswith("ready") for line in supervisor.stdout)
        owner = load(dev.path).databases["hotline"].owner_url
        query(owner, "CREATE TABLE survivor AS SELECT 42 AS id")
        assert len(dev.processes()) > 3
        supervisor.kill()
    assert eventually(lambda: not dev.processes(), seconds=60.0)
    assert load(dev.path).kafka.security_protocol == "SASL_PLAINTEXT"
    assert dev.run("up", "--detach")[0] == 0
    assert query(load(dev.path).databases["hotline"].owner_url, "SELECT id FROM survivor") == 42


def test_a_detached_stack_is_guarded_and_ends_with_its_kafka(dev: Dev) -> None:
    assert dev.run("up", "--detach", "--secure") == (0, "starting hotline\nready\n")
    assert load(dev.path).kafka.security_protocol == "SASL_SSL"
    for words in (["up"], ["up", "--detach"]):
        code, output = dev.run(*words)
        assert code == 1
        assert "stack_already_running" in output
    assert "stack_already_running" in dev.run("reset")[1]
    assert "sample service speaks" in dev.run("logs", "hotline")[1]
    assert "no_such_log" in dev.run("logs", "nobody")[1]

    service = load(dev.path).pids["hotline"]
    os.kill(service, signal.SIGKILL)
    assert eventually(lambda: load(dev.path).pids["hotline"] != service, seconds=60.0)

    os.kill(load(dev.path).pids["kafka"], signal.SIGKILL)
    assert eventually(lambda: StateDirectory(dev.path).supervisor_pid() is None, seconds=60.0)
    assert dev.processes() == []
    assert "kafka ended by itself" in dev.run("logs", "supervisor")[1]

    assert dev.run("reset") == (0, "emptied\n")
    assert {path.name for path in dev.path.iterdir()} == {"supervisor.lock"}


def test_a_service_that_cannot_start_ends_the_start_and_leaves_nothing(dev: Dev) -> None:
    code, output = dev.run("up", "--detach", children="broken")
    assert code == 1
    assert "process_ended: hotline" in output
    assert "cannot go on" in output
    assert eventually(lambda: not dev.processes(), seconds=60.0)
