"""The sandbox as a process: its file of keys, and how it stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uvicorn

from deploy.sandbox.__main__ import read_parties
from shared.core.errors import Refused
from tests.client.fake_recipients import FakeRecipients, Item
from tests.client.fake_service import BASE_URL, KEY


def parties_file(path: Path, *, mode: int = 0o600, **changes: Any) -> Path:
    party = {"party": "police-nl.example", "kind": "law_enforcement", "url": BASE_URL, "key": KEY}
    path.write_text(json.dumps([party | changes]))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_of_keys_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Refused, match="parties_file_open_to_others"):
        read_parties(parties_file(tmp_path / "p.json", mode=mode))
    assert len(read_parties(parties_file(tmp_path / "p.json"))) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "cw_live_" + "k" * 43}, "/0/key"),
        ({"key": 7}, "/0/key"),
        ({"kind": "auditor"}, "/0/kind"),
        ({"more": 1}, "/0/more"),
    ],
)
def test_a_live_key_and_any_malformed_party_are_refused_without_showing_the_key(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused, match="parties_file_malformed") as raised:
        read_parties(parties_file(tmp_path / "p.json", **changes))
    assert raised.value.field == field
    assert "kkk" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.fixture
def served() -> Iterator[tuple[FakeRecipients, str]]:
    offered = [UUID(int=number) for number in range(1, 41)]
    service = FakeRecipients({KEY: [Item(one, "offered") for one in offered]}, unready=2)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(service.app, log_config=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield service, f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.timing
def test_the_process_answers_and_stops_when_told_with_its_counts(
    served: tuple[FakeRecipients, str], tmp_path: Path
) -> None:
    service, url = served
    command = [sys.executable, "-m", "deploy.sandbox", "--parties", str(parties_file(tmp_path / "p.json", url=url))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"event": "attending", "parties": 1}
        while service.looks["offered"] < 1 or len(service.acts) < 10:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        last = json.loads(process.stdout.read().splitlines()[-1])
    assert process.returncode == 0
    assert last["event"] == "stopped"
    assert last["problems"] == {}
    assert service.unready == 0
    # The end may interrupt the current request, which does all new acts. They are done but not counted.
    assert len(service.acts) - sum(last["acts"].values()) in (0, *service.batches)
