"""No form of address makes a server connect to its own network. With the rules off, the same forms do."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.core.errors import Refused
from shared.platform.courier import addresses
from shared.platform.courier.addresses import AddressRules, is_public, read_url, resolve_by_system
from shared.platform.courier.sender import Sender

Record = Callable[[str, object], None]

#: Hosts in an address. All that are not names mean this machine or its network in some library.
HOSTS = (
    "0.0.0.0",  # noqa: S104 - nobody binds to it
    *("127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "0", "2130706433", "0x7f000001", "0x7f.1"),
    *("0x7f.0.0.1", "0x7F.0x0.0x0.0x1", "017700000001", "0177.0.0.1", "0177.1", "00000177.0.0.1", "127.0.0.1."),
    *("127.00.00.01", "0x0", "00", "10.0.0.1", "10.1", "167772161", "192.168.0.1", "192.168.257", "3232235521"),
    *("172.16.0.1", "169.254.169.254", "2852039166", "0xa9fea9fe", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
    *("192.0.0.8", "198.18.0.1", "240.0.0.1", "8.8.8.8", "localhost", "LOCALHOST", "localhost.", "ip6-localhost"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:0]"),
    *(
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fe80::1%25lo]",
    ),
    *("[fc00::1]", "[fd00::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]", "[::1%25lo]"),
    *("①②⑦.0.0.1", "127。0。0。1", "１２７.0.0.1", "loc𝐚lhost", "%31%32%37.0.0.1", "127%2e0.0.1"),
    *("user@127.0.0.1", "hooks.example@127.0.0.1", "hooks.example:443@127.0.0.1", "127.0.0.1#", "127.0.0.1?", ""),
    *("hooks.example\\@127.0.0.1", "127.0.0.1\t", " 127.0.0.1", "127.0.0.1\r\nHost: x", "-a.example", "a..example"),
)
#: Addresses that a name may resolve to. Each has its own name, once alone and once after a public address.
RESOLVED = (
    *("127.0.0.1", "127.8.8.8", "10.2.3.4", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.100.0.1"),
    *("192.0.0.8", "192.0.2.1", "192.88.99.1", "198.19.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1"),
    *(
        "fe80::1%lo",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "ff0e::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
    ),
    *("2001:0:7f00:1::", "2001:db8::1", "2001:20::1", "3fff::1", "100::1", "fec0::1", "5f00::1"),
    "0.0.0.0",  # noqa: S104 - nobody binds to it
)
PUBLIC = (
    "93.184.215.14",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:2800:21f:cb07::1",
    "2a00:1450::1",
    "2001:4860::1",
)


@dataclass
class Listening:
    """Listeners on every address of this machine, and the number of their connections."""

    port: int = 0
    seen: int = 0
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Resolve `N.resolved.example` to the address of that number, after a public one for some names."""
        self.asked.append(host)
        if found := re.fullmatch(r"(\d+)(-second)?\.resolved\.example", host):
            wanted = RESOLVED[int(found[1])]
            return [PUBLIC[0], wanted] if found[2] else [wanted]
        return await addresses.resolve_by_system(host, port)


@asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    found = Listening()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.seen += 1
        writer.transport.abort()

    servers = [await asyncio.start_server(accept, "0.0.0.0", 0)]  # noqa: S104 - to be seen however it is reached
    found.port = servers[0].sockets[0].getsockname()[1]
    with suppress(OSError):  # this machine has no IPv6
        servers.append(await asyncio.start_server(accept, "::1", found.port))
    yield found
    for server in servers:
        server.close()


def forms(port: int) -> list[str]:
    named = [f"{number}{tail}.resolved.example" for number in range(len(RESOLVED)) for tail in ("", "-second")]
    return [f"{scheme}://{host}:{port}/hook" for host in (*HOSTS, *named) for scheme in ("https", "http")]


async def tried(found: Listening, urls: Sequence[str]) -> dict[str, str]:
    sender = Sender(AddressRules(ports=frozenset({found.port})), resolve=found.resolve, answer_s_max=150)
    return {url: (await sender.post(url, {}, b"{}")).code for url in urls}


async def test_no_form_makes_a_connection(record_property: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, connect = list[Any](), asyncio.open_connection

    async def watched(*where: Any, **how: Any) -> Any:
        opened.append(where)
        return await connect(*where, **how)

    async with listening() as found:
        monkeypatch.setattr("asyncio.open_connection", watched)
        urls = forms(found.port)
        codes = await tried(found, urls)
        record_property("forms", len(urls))
        assert len(HOSTS) + 2 * len(RESOLVED) >= 60
        assert (found.seen, opened) == (0, [])
        assert set(codes.values()) == {"url_refused", "address_refused"}
        # Only names are looked up.
        assert {host.partition(".")[2] for host in found.asked} == {"resolved.example"}


async def test_with_the_rules_off_the_same_forms_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above.

    It uses only forms that mean this machine, so that no other host is contacted.
    """
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    monkeypatch.setattr(addresses, "_NAME", re.compile(".*"))
    async with listening() as found:
        of_names = [f"{number}.resolved.example" for number in (0, 1, len(RESOLVED) - 1)]
        means_here = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.1", "0", *of_names]
        codes = await tried(found, [f"https://{host}:{found.port}/" for host in means_here])
        assert found.seen >= 8
        assert set(codes.values()) <= {"connection_failed", "tls_failed"}


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not_taken_for_our_own(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.party.example",
        "https://hooks.party.example:8443/a/b?token=1",
        "https://xn--bcher-kva.example/%20",
    ],
)
def test_an_ordinary_address_is_taken(url: str) -> None:
    receiver = read_url(url, AddressRules())
    assert receiver.tls
    assert receiver.target.startswith("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.party.example/",
        "https://hooks.party.example:22/",
        "https://hooks.party.example:0/",
        "https://hooks.party.example:65536/",
        "ftp://hooks.party.example/",
        "//hooks.party.example/",
        "https://hooks.party.example/#part",
        "https://hooks.party.example/a b",
        "https://hooks.party.example/é",
        f"https://hooks.party.example/{'a' * 500}",
        "https:/hooks.party.example/",
    ],
)
def test_any_other_address_is_refused_and_not_said_again(url: str) -> None:
    with pytest.raises(Refused) as found:
        read_url(url, AddressRules())
    assert (found.value.code, found.value.field) == ("webhook_url_refused", "/url")
    assert "hooks.party.example/" not in found.value.detail


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_http_is_for_this_machine_where_a_stack_says_so(host: str) -> None:
    assert read_url(f"http://{host}:8000/hook", AddressRules(loopback_http=True)).port == 8000
    for other in (f"https://{host}:8000/", "http://hooks.party.example/", "http://10.0.0.1/", "http://127.0.0.2/"):
        with pytest.raises(Refused):
            read_url(other, AddressRules(loopback_http=True))
    with pytest.raises(Refused):
        read_url(f"http://{host}:8000/hook", AddressRules())


async def test_names_that_nobody_answers_for_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent resolver delays neither another receiver's name nor other work in the process's threads."""
    resolve, answered = socket.getaddrinfo, threading.Event()

    def looked_up(host: str, *more: Any, **how: Any) -> Any:
        if host.startswith("silent"):
            answered.wait()
        return resolve("127.0.0.1", *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    silent = [asyncio.create_task(resolve_by_system(f"silent{each}.party.example", 443)) for each in range(40)]
    try:
        async with asyncio.timeout(30):
            assert await resolve_by_system("hooks.party.example", 443) == ["127.0.0.1"]
            assert await asyncio.to_thread(lambda: "done") == "done"
        silent[0].cancel()
    finally:
        answered.set()
    assert {*map(type, await asyncio.gather(*silent, return_exceptions=True))} == {asyncio.CancelledError, list}
