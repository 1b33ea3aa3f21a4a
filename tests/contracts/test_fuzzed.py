"""Services answer as their OpenAPI documents say, for all requests that schemathesis makes of them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from deploy.artifacts.__main__ import openapi
from tests.contracts.fuzzed import ASKED, Fuzzing, Known, fuzzing, subjects
from tests.support.running import Exchange

SEED = 20


@pytest.fixture(scope="module")
async def known(exchange: Exchange) -> Known:
    return await subjects(exchange)


@pytest.mark.parametrize("service", ASKED)
def test_a_service_answers_as_its_document_says(exchange: Exchange, known: Known, service: str) -> None:
    """Common paths are tested at the first service only; `make acceptance-long` tests all of them."""
    asked, passing = fuzzing(exchange, service, known), asked_before(service)
    asked.ask(examples=1, start=SEED, passing=passing)
    assert asked.wrong == {}
    assert sum(asked.statuses.values()) >= len(asked.document["paths"].keys() - passing)
    assert asked.undeclared() == []


def asked_before(service: str) -> set[str]:
    """Return the paths of the services before it."""
    before = [*ASKED][: [*ASKED].index(service)]
    return {path for each in before for path in openapi(each)["paths"]}


def of_whoami(exchange: Exchange) -> Fuzzing:
    """Return audit's test, with a request to one path."""
    asked = fuzzing(exchange, "audit", {})
    document = copy.deepcopy(dict(asked.document))
    document["paths"] = {"/v1/whoami": document["paths"]["/v1/whoami"]}
    return replace(asked, document=document)


def test_a_field_that_an_answer_does_not_have_is_found(exchange: Exchange) -> None:
    asked = of_whoami(exchange)
    answer = asked.document["paths"]["/v1/whoami"]["get"]["responses"]["200"]["content"]
    answer["application/json"]["schema"] = {"type": "object", "required": ["made_up"]}
    asked.ask(examples=1, start=SEED)
    assert [each.partition(" 200 ")[0] for each in asked.wrong] == ["GET /v1/whoami"]


def test_a_status_that_a_document_does_not_have_is_found(exchange: Exchange) -> None:
    asked = of_whoami(exchange)
    responses = asked.document["paths"]["/v1/whoami"]["get"]["responses"]
    responses["201"] = responses.pop("200")
    del responses["default"]
    asked.ask(examples=1, start=SEED)
    assert [each.partition(" 200 ")[0] for each in asked.wrong] == ["GET /v1/whoami"]


def test_a_method_that_is_not_in_a_document_is_found(exchange: Exchange) -> None:
    asked = of_whoami(exchange)
    del asked.document["paths"]["/v1/whoami"]["get"]
    assert asked.undeclared() == ["get /v1/whoami: 200"]
