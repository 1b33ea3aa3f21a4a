"""A party's key is sent over TLS, or stays on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from client import transport
from client.api import CausewayClient
from client.problem import ApiProblem
from shared.core.errors import Refused
from tests.client.fake_service import KEY

HERE = [
    *("http://127.0.0.1:8080", "http://127.200.0.9", "http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]"),
    *("http://localhost:8080/base", "http://LOCALHOST"),
]
ELSEWHERE = [
    *("http://hotline.example", "http://192.0.2.1:8080", "http://[2001:db8::1]", "http://0.0.0.0", "http://[::]"),
    # Names and spellings that only look like this machine, or that a resolver may treat as another one.
    *("http://localhost.example", "http://localhost.", "http://127.0.0.1.example", "http://127.0.0.1.", "http://127.1"),
    *("http://[::ffff:127.0.0.1]", "http://[::127.0.0.1]"),
]
#: Invalid addresses, even if a library would accept them.
NONE = "|h.example|ftp://h.example|https://|https://user:word@h.example|https://h.example/?a=1|http://[b|https://xn--a"
NONE += "|http://127.0.0.1:99999"


def remembering(seen: list[httpx.Request], **settings: Any) -> httpx.AsyncClient:
    """Return an HTTP client without a network. The first answer redirects to a plain address."""

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        location = {"Location": "http://hotline.example/v1/referrals"}
        return httpx.Response(307, headers=location) if len(seen) == 1 else httpx.Response(200, json={"items": []})

    return httpx.AsyncClient(transport=httpx.MockTransport(handle), **settings)


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(url: str) -> None:
    seen: list[httpx.Request] = []
    async with remembering(seen) as http:
        with pytest.raises(Refused) as raised:
            CausewayClient(url, KEY, http=http)
    refusal = raised.value
    assert (refusal.code, refusal.field, refusal.status) == ("url_not_https", "/url", 400)
    assert "127.0.0.0/8, ::1 and localhost" in refusal.detail
    assert "Give an https address" in refusal.detail
    said = f"{refusal} {refusal.args} {refusal!r}".replace("::1", "")
    assert url not in said
    assert httpx.URL(url).host not in said
    assert seen == []


@pytest.mark.parametrize("url", ELSEWHERE[:1])
async def test_without_the_rule_the_key_would_have_crossed_the_network(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "is_this_machine", lambda host: True)
    seen: list[httpx.Request] = []
    async with remembering(seen) as http:
        with pytest.raises(ApiProblem):
            await anext(CausewayClient(url, KEY, http=http).list())
    assert (seen[0].url.scheme, seen[0].headers["Authorization"]) == ("http", f"Bearer {KEY}")


@pytest.mark.parametrize("url", [*HERE, *(url.replace("http:", "https:") for url in [*HERE, *ELSEWHERE])])
def test_tls_to_anywhere_and_plain_http_to_this_machine_are_taken(url: str) -> None:
    assert transport.service_address(url).scheme == url.partition(":")[0]


@pytest.mark.parametrize(("url", "through_a_proxy"), [(url, False) for url in HERE] + [("https://h.example", True)])
async def test_what_stays_on_this_machine_goes_through_no_proxy(
    url: str, through_a_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:3128")
    made: list[httpx.AsyncClient] = []
    make = httpx.AsyncClient

    def remembered(**settings: Any) -> httpx.AsyncClient:
        made.append(make(**settings))
        return made[-1]

    monkeypatch.setattr(httpx, "AsyncClient", remembered)
    async with CausewayClient(url, KEY):
        assert [bool(http._mounts) for http in made] == [through_a_proxy]


async def test_a_ca_file_is_not_passed_over_because_the_caller_brings_http(tmp_path: Path) -> None:
    async with remembering([]) as http:
        with pytest.raises(Refused, match="ca_file_not_used"):
            CausewayClient("https://hotline.example", KEY, http=http, ca_file=tmp_path / "ca.pem")


async def test_no_redirect_is_followed_also_by_an_http_client_that_would() -> None:
    seen: list[httpx.Request] = []
    async with remembering(seen, follow_redirects=True) as http:
        with pytest.raises(ApiProblem, match="unexpected_answer"):
            await anext(CausewayClient("https://hotline.example", KEY, http=http).list())
        assert [request.url.scheme for request in seen] == ["https"]
        # The same HTTP client without our code does follow the redirect to plain http.
        seen.clear()
        await http.get("https://hotline.example/v1/referrals")
        assert [request.url.scheme for request in seen] == ["https", "http"]


@pytest.mark.parametrize("url", NONE.split("|"))
def test_what_is_no_address_is_refused_by_our_own_word(url: str) -> None:
    with pytest.raises(Refused, match=r"^url_malformed"):
        CausewayClient(url, KEY)
