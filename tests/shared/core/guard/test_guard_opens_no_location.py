"""No code opens a reported location: it has no means to, and the guard reaches no host."""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT, Module, modules, parse

#: Modules that contact other hosts on purpose: a party's client, the operator's tools, webhooks, and the runtime.
MAY_CONNECT = ("client/api.py", "client/transport.py", "deploy/*", "shared/platform/*")
CLIENTS = frozenset(
    {
        "socket",
        "ssl",
        "httpx",
        "httpcore",
        "requests",
        "aiohttp",
        "urllib3",
        "websockets",
        "http.client",
        "urllib.request",
        "ftplib",
        "smtplib",
        "poplib",
        "imaplib",
        "telnetlib",
        "xmlrpc.client",
        "webbrowser",
        "pycurl",
        "anyio",
        "trio",
    }
)
CALLS = frozenset(
    {"open_connection", "create_connection", "create_datagram_endpoint", "getaddrinfo", "gethostbyname", "urlopen"}
)


def means_to_connect(module: Module) -> Iterator[str]:
    """Yield names in `module` that could open a connection: imports of clients, and calls of asyncio's openers."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [node.attr] if node.attr in CALLS else []
        else:
            continue
        for name in names:
            if name in CALLS or name in CLIENTS or name.split(".")[0] in CLIENTS:
                yield f"{module.path}:{node.lineno} {name}"


def test_only_the_doors_outward_have_the_means_to_connect() -> None:
    others = [m for m in modules() if not any(fnmatch.fnmatch(m.path, allowed) for allowed in MAY_CONNECT)]
    assert len(others) > 50
    assert [means for module in others for means in means_to_connect(module)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "import httpx\n",
        "import urllib.request\n",
        "from urllib import request\n",
        "from http.client import HTTPSConnection\n",
        "def f() -> None:\n    import socket\n",
        "import asyncio\nasync def f() -> None:\n    await asyncio.open_connection('192.0.2.7', 80)\n",
    ],
)
def test_a_planted_client_is_found(planted: str) -> None:
    assert list(means_to_connect(parse(planted, "shared/features/offers/service.py")))


def test_taking_addresses_apart_is_no_means_to_connect() -> None:
    assert list(means_to_connect(parse("from urllib.parse import quote, unquote\nimport ipaddress\n"))) == []


#: A separate network namespace, if this machine permits one. No host can be reached from it.
NAMESPACE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


def namespaces_can_be_made() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*NAMESPACE, "true"], check=False).returncode == 0


ISOLATED = NAMESPACE if namespaces_can_be_made() else []


def watched(*arguments: str) -> list[str]:
    """Return events that `connection_watch` recorded, in a separate network namespace if this machine permits one."""
    command = [*ISOLATED, sys.executable, "-m", "tests.shared.core.guard.connection_watch", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    events: list[str] = json.loads(done.stdout)
    return events


def test_guarding_reaches_no_host_and_needs_no_network() -> None:
    assert watched() == []


def test_the_watch_sees_an_address_that_is_opened() -> None:
    assert "socket.connect" in watched("--connect")
