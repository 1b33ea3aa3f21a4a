"""No code path opens a reported location, because servers have no means to open one.

`services` and `shared` reach PostgreSQL, Kafka and the telemetry collector through their drivers, at addresses from
settings. They cannot connect to a location, with two exceptions. The courier connects to the addresses that parties
have registered for their own events; `tests/shared/platform/courier` restricts it to the public network. The sign-in
contacts the providers in the operator's file. This test cannot detect a library that connects.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, modules, parse

REACHING_OUT = {
    *("httpx", "requests", "aiohttp", "urllib3", "urllib.request", "http.client", "websockets", "websocket"),
    *("authlib.integrations.httpx_client", "authlib.integrations.requests_client"),
    *("ftplib", "smtplib", "imaplib", "telnetlib", "socket", "socketserver", "webbrowser", "subprocess"),
}
REACHING_OUT_CALLS = {"open_connection", "create_connection", "open_unix_connection", "create_subprocess_exec"}
#: Listens; connects to no host.
LISTENING = {"shared/platform/http/server.py": {"socket"}, "shared/platform/http/probes.py": {"socket"}}
#: Starts this interpreter with one of our modules and no environment; connects to no host.
STARTING = {"shared/platform/http/worker_process.py": {"create_subprocess_exec"}}
#: Sends a party's events to the address that this party has registered.
CARRYING = {"shared/platform/courier/sender.py": {"open_connection"}}
#: Contacts the sign-in provider of a party's people.
SIGNING_IN = {"shared/platform/sign_in/wire.py": {"httpx"}}
#: Resolves a name; connects to no host.
LOOKING_UP = {"shared/platform/courier/addresses.py": {"socket"}}


def ways_out(module: Module) -> Iterator[str]:
    """Yield names in the module that could open a connection."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in REACHING_OUT)
        elif isinstance(node, ast.ImportFrom):
            imported = {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
            yield from sorted(imported & REACHING_OUT)
        elif isinstance(node, ast.Attribute) and node.attr in REACHING_OUT_CALLS:
            yield node.attr


def test_servers_have_nothing_to_open_a_location_with() -> None:
    found = {module.path: set(ways_out(module)) for module in modules("services", "shared")}
    known = LISTENING | STARTING | CARRYING | SIGNING_IN | LOOKING_UP
    assert {path: names for path, names in found.items() if names} == known


@pytest.mark.parametrize(
    "line",
    [
        "import httpx",
        "from urllib.request import urlopen",
        "from urllib import request",
        "asyncio.open_connection(h, 80)",
    ],
)
def test_a_way_out_is_found(line: str) -> None:
    assert list(ways_out(parse(line)))


def test_the_listening_modules_never_connect() -> None:
    listening = [module for module in modules("shared") if module.path in LISTENING]
    attributes = {node.attr for each in listening for node in ast.walk(each.tree) if isinstance(node, ast.Attribute)}
    assert {"create_server", "handle_request"} <= attributes
    assert not attributes & {"connect", "connect_ex", "create_connection", "sendto"}


def test_who_looks_names_up_never_connects() -> None:
    [looks_up] = [module for module in modules("shared") if module.path in LOOKING_UP]
    used = {ast.unparse(node) for node in ast.walk(looks_up.tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("socket.")} == {"socket.getaddrinfo", "socket.IPPROTO_TCP"}


def test_the_courier_is_handed_no_record() -> None:
    """The courier imports no message, no referral and no guard, so it can receive no location."""
    imported = {
        name
        for module in modules("shared")
        if module.path.startswith("shared/platform/courier/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        for name in [str(node.module)]
    }
    assert imported
    assert not {
        name for name in imported if name.startswith(("shared.core.contracts", "shared.features", "shared.core.guard"))
    }
