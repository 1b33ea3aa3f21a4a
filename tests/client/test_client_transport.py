from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.api import CausewayClient
from client.problem import ApiProblem
from client.transport import Transport
from shared.core.errors import Refused, Unavailable
from tests.client.fake_service import BASE_URL, KEY

Handler = Callable[[httpx.Request], httpx.Response]


class Waits(list[float]):
    """A substitute for `asyncio.sleep` that records its arguments."""

    async def __call__(self, delay_s: float) -> None:
        self.append(delay_s)


def transport(handler: Handler, *, waits: Waits | None = None, attempts_max: int = 4) -> Transport:
    http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return Transport(BASE_URL, KEY, http=http, attempts_max=attempts_max, sleep=waits if waits is not None else Waits())


def answering(*answers: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Return the answers in turn, and then repeat the last one."""
    left, seen = list(answers), list[httpx.Request]()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle, seen


@pytest.mark.parametrize(
    "first", [httpx.Response(429), httpx.Response(503), httpx.ReadError("cut"), httpx.ConnectError("no")]
)
async def test_a_busy_or_broken_service_is_asked_again_under_the_same_key(first: httpx.Response | Exception) -> None:
    handle, seen = answering(first, httpx.Response(202, json={"done": True}))
    assert await transport(handle).call("POST", "/v1/referrals", body={"a": 1}, key="k-1") == {"done": True}
    assert [request.headers["Idempotency-Key"] for request in seen] == ["k-1", "k-1"]
    assert seen[0].content == seen[1].content


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
async def test_a_refusal_is_not_asked_again(status: int) -> None:
    handle, seen = answering(httpx.Response(status, json={"code": "refused_so"}))
    with pytest.raises(ApiProblem, match="refused_so") as raised:
        await transport(handle).call("GET", "/v1/referrals")
    assert (raised.value.status, len(seen)) == (status, 1)


async def test_a_service_that_never_answers_is_unavailable_and_not_a_refusal() -> None:
    handle, seen = answering(httpx.ConnectError("no"))
    with pytest.raises(Unavailable, match="server_unreachable"):
        await transport(handle, attempts_max=3).call("GET", "/v1/referrals")
    assert len(seen) == 3


async def test_waits_double_within_half_of_their_size_and_never_pass_the_limit() -> None:
    handle, _ = answering(httpx.Response(429, json={"code": "budget_exceeded"}))
    waits = Waits()
    with pytest.raises(ApiProblem, match="budget_exceeded"):
        await transport(handle, waits=waits, attempts_max=10).call("GET", "/v1/referrals")
    assert len(waits) == 9
    for doubled, wait in enumerate(waits):
        full = min(0.25 * 2**doubled, 8.0)
        assert full / 2 <= wait <= full


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("3", 3.0, 3.0),
        ("999", 30.0, 30.0),
        *((asked, 0.125, 0.25) for asked in ("soon", "-5", "Wed, 25 Nov 2026 07:28:00 GMT", "²")),
    ],
)
async def test_a_number_of_seconds_is_waited_up_to_thirty_and_nothing_else_is_read(
    asked: str, least: float, most: float
) -> None:
    headers = [(b"Retry-After", asked.encode("latin-1"))]
    handle, _ = answering(httpx.Response(503, headers=headers), httpx.Response(200, json={}))
    waits = Waits()
    await transport(handle, waits=waits).call("GET", "/v1/referrals")
    assert [least <= wait <= most for wait in waits] == [True]


@pytest.mark.parametrize("asked", ["1000", "99999999999999999999"])
async def test_whoever_calls_is_told_of_a_pause_of_hours_instead(asked: str) -> None:
    handle, _ = answering(httpx.Response(429, headers={"Retry-After": asked}, json={"code": "day_spent"}))
    waits = Waits()
    with pytest.raises(ApiProblem, match="day_spent"):
        await transport(handle, waits=waits).call("POST", "/v1/referrals", body={}, key="k")
    assert waits == []


@pytest.mark.parametrize("key", ["", "cw_test_short", KEY + "\n", "cw_test_" + "k" * 42 + "\r", "Bearer " + KEY])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(Refused, match=r"^api_key_malformed") as raised:
        CausewayClient(BASE_URL, key)
    assert key.strip() not in str(raised.value) or not key


REDIRECT = httpx.Response(302, headers={"Location": "https://elsewhere.example"})


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(200, json=[1]), REDIRECT])
async def test_an_answer_that_is_none_is_named_so_and_not_followed(answer: httpx.Response) -> None:
    handle, seen = answering(answer)
    with pytest.raises(ApiProblem, match="unexpected_answer"):
        await transport(handle).call("GET", "/v1/referrals")
    assert len(seen) == 1


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["code", "field", "errors", "referral", "title", "detail"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.text(),
            st.lists(st.dictionaries(st.sampled_from(["field", "rule"]), st.text())),
        ),
    )
)
def test_nothing_but_codes_pointers_and_rules_is_taken_from_a_problem(body: dict[str, Any]) -> None:
    problem = ApiProblem.from_body(422, body)
    assert problem.code == body.get("code") or problem.code == "unexpected_answer"
    assert problem.code.isascii()
    assert problem.code.replace("_", "a").isalnum()
    assert problem.field is None or problem.field.startswith("/") or problem.field == ""
    assert all(rule.isascii() and rule.isprintable() for _, rule in problem.errors)


async def test_a_title_that_repeats_a_value_goes_nowhere() -> None:
    canary = "https://canary.example/never"
    told = dict.fromkeys(("title", "detail", "field"), canary)
    body = {"code": "schema", **told, "errors": [{"field": canary, "rule": canary}]}
    problem = ApiProblem.from_body(422, body)
    assert "canary" not in f"{problem} {problem.field} {problem.errors} {problem.args} {problem.detail}"


async def test_two_calls_do_not_wait_alike() -> None:
    drawn: set[tuple[float, ...]] = set()
    for key in ("one", "two"):
        handle, _ = answering(httpx.Response(503))
        waits = Waits()
        with pytest.raises(ApiProblem):
            await transport(handle, waits=waits).call("POST", "/v1/referrals", body={}, key=key)
        drawn.add(tuple(waits))
    assert len(drawn) == 2
