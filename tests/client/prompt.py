"""A prompt in this process, and local services for its verbs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from cyclopts import App

from client.cli.output import hide_values
from client.cli.verb_table import table
from client.cli.verbs import group
from tests.client.fake_service import FakeService


@dataclass(frozen=True)
class Ended:
    """The result of a verb."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


def program() -> App:
    """Return `causeway` with the verbs of a party."""
    app = App(name="causeway", error_formatter=hide_values)
    for name in table()["groups"]:
        app.command(group(name))
    return app


@contextmanager
def serving(service: FakeService, *, identity: Path | None = None) -> Iterator[int]:
    """Serve on a port of 127.0.0.1, over TLS if `identity` (PEM) has its key and certificate."""
    listening = socket.create_server(("127.0.0.1", 0))
    tls = {} if identity is None else {"ssl_certfile": str(identity), "ssl_keyfile": str(identity)}
    server = uvicorn.Server(uvicorn.Config(service.app, log_config=None, ws="none", lifespan="off", **tls))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
