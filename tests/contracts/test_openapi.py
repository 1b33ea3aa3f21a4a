"""The OpenAPI documents: valid, and every operation requires authentication."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import FormatChecker
from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from deploy.artifacts.__main__ import ASSEMBLE, offline, openapi
from shared.core.errors import Refused, Unavailable
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.http.edge import read_key
from shared.platform.http.identity import ApiKeys, unauthenticated
from shared.platform.http.openapi import IDEMPOTENCY_KEY
from tests.contracts.described import Described
from tests.contracts.published import EcmaValidator

OPEN_TO_ALL = {"/problems/{code}", "/livez", "/readyz", "/openapi.json"}
#: Pages without data about parties, and paths that do not exist.
OPEN_PAGES = {"/console/in/{link}", "/console/static/{digest}/{name}", "/console/blank", "/console/left"}
OPEN_PAGES |= {"/console/{rest:path}", "/console/sign-in/{party}", "/console/signed-in", "/console/enter"}
ANY_ID = "019b2d3c-4400-7000-8000-000000000001"
#: The headers with which refusals state the next step.
OF_REFUSALS = {"www-authenticate", "ratelimit-limit", "ratelimit-reset", "ratelimit-remaining", "retry-after"}
BODIES = (b"", b"{}", b"not json")


def operations(instance: str) -> Iterator[tuple[str, str]]:
    """Yield (method, path with ids filled in) of every operation in the document."""
    for path, methods in openapi(instance)["paths"].items():
        for method in methods:
            yield method.upper(), re.sub(r"\{[a-z_]+\}", ANY_ID, path)


def client_of(http: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(http, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://service.example")


@pytest.mark.parametrize("instance", ASSEMBLE)
def test_the_document_is_valid(instance: str) -> None:
    validate(openapi(instance))


@pytest.mark.parametrize("instance", sorted(ASSEMBLE.keys() - {"audit"}))
def test_the_example_of_a_feed_is_as_described(instance: str) -> None:
    document = openapi(instance)
    page = document["components"]["schemas"]["EventPage"]
    assert page["examples"]
    for example in page["examples"]:
        described = EcmaValidator(page | {"components": document["components"]}, format_checker=FormatChecker())
        assert [error.message for error in described.iter_errors(example)] == []
        wrong = example | {"items": [example["items"][0] | {"state": "Not a code"}]}
        assert not described.is_valid(wrong)


@pytest.mark.parametrize("instance", sorted(ASSEMBLE.keys() - {"audit"}))
@pytest.mark.parametrize("name", ["Registration", "WebhookList", "Deliveries"])
def test_the_examples_of_webhooks_are_as_described(instance: str, name: str) -> None:
    document = openapi(instance)
    model = document["components"]["schemas"][name]
    (example,) = model["examples"]
    described = EcmaValidator(model | {"components": document["components"]}, format_checker=FormatChecker())
    assert [error.message for error in described.iter_errors(example)] == []
    assert not described.is_valid(example | {"other": 1})


def test_a_document_with_a_broken_operation_is_found() -> None:
    document = copy.deepcopy(openapi("audit"))
    del next(iter(document["paths"].values()))["get"]["responses"]
    document["paths"]["/v1/other/{id}"] = {"get": {"parameters": "none"}}
    with pytest.raises(OpenAPIValidationError):
        validate(document)


@pytest.mark.parametrize("instance", ASSEMBLE)
async def test_nothing_answers_without_credentials(instance: str) -> None:
    """The credentials are checked before the body. There is no database that a mistake could query."""
    async with client_of(offline(instance)) as client:
        for method, path in operations(instance):
            for body in BODIES:
                answer = await client.request(method, path, content=body)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("instance", ASSEMBLE)
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (unauthenticated(), 401),
        (BudgetExceeded("requests", limit=10, reset_s=3), 429),
        (Unavailable("database_unavailable"), 503),
    ],
    ids=["401", "429", "503"],
)
async def test_who_is_not_let_in_is_answered_as_described(
    instance: str, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_keys: ApiKeys, _authorization: str | None) -> None:
        raise error

    monkeypatch.setattr(ApiKeys, "identify", refuse)
    described = Described(instance)
    async with client_of(offline(instance)) as client:
        for method, path in operations(instance):
            answer = await client.request(method, path)
            assert answer.status_code == status
            assert described.differences(answer) == [], (method, path)
            stripped = {name: each for name, each in answer.headers.items() if name not in OF_REFUSALS}
            without = httpx.Response(status, headers=stripped, content=answer.content, request=answer.request)
            assert described.differences(without) != [], (method, path)


@pytest.mark.parametrize("instance", ASSEMBLE)
def test_every_act_asks_for_an_idempotency_key_and_no_look_does(instance: str) -> None:
    for path, methods in openapi(instance)["paths"].items():
        for method, operation in methods.items():
            asks = IDEMPOTENCY_KEY in operation.get("parameters", [])
            assert asks == (method == "post" and path != "/v1/referrals:check"), path


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9._-]{1,66}", fullmatch=True))
def test_the_described_idempotency_key_is_the_one_that_is_taken(key: str) -> None:
    described = bool(EcmaValidator(IDEMPOTENCY_KEY["schema"]).is_valid(key))
    try:
        read_key(key)
    except Refused:
        assert not described
    else:
        assert described


@pytest.mark.parametrize("instance", ASSEMBLE)
def test_every_route_is_in_the_document_or_open_to_all(instance: str) -> None:
    routed = set(every_route(offline(instance)))
    described = {(method.upper(), path) for path, found in openapi(instance)["paths"].items() for method in found}
    beside = {path for _, path in routed - described}
    assert {path for path in beside if not path.startswith("/console")} == OPEN_TO_ALL
    assert described <= routed


@pytest.mark.parametrize("instance", ASSEMBLE)
async def test_every_page_but_the_open_ones_asks_who_is_there(instance: str) -> None:
    http = offline(instance)
    pages = {each for each in every_route(http) if each[1].startswith("/console") and each[1] not in OPEN_PAGES}
    pages -= {(method, "/console") for method in ("POST", "PUT", "PATCH", "DELETE")}  # none of these exists
    assert len(pages) > 5
    async with client_of(http) as client:
        for method, path in sorted(pages):
            answer = await client.request(method, re.sub(r"\{[a-z]+\}", ANY_ID, path))
            assert (answer.status_code, "You are not signed in" in answer.text) == (401, True), (method, path)


def every_route(router: Any) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of every route; FastAPI keeps included routers whole."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from every_route(route.original_router)
        else:
            yield from ((method, route.path) for method in route.methods - {"HEAD"})


async def test_a_route_that_forgets_to_ask_is_found() -> None:
    http = offline("audit")

    @http.get("/v1/forgotten")
    async def forgotten() -> dict[str, str]:
        return {}

    async with client_of(http) as client:
        assert (await client.get("/v1/forgotten")).status_code == 200


@pytest.mark.parametrize("instance", ASSEMBLE)
async def test_a_service_answers_with_the_committed_document(instance: str) -> None:
    async with client_of(offline(instance)) as client:
        assert (await client.get("/openapi.json")).json() == openapi(instance)
