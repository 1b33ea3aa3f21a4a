"""The rows of `verbs.json`: each calls an existing operation, by names that the service knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

import pytest

from client.cli.shown import filled
from client.cli.verb_table import OWN, VerbRow, parameters, table
from client.cli.verbs import group
from shared.core.acts.act import Subject
from shared.core.acts.states import collection, row
from tests.architecture.source import ROOT
from tests.client.fake_service import FakeService
from tests.client.prompt import Run
from tests.client.test_client_tls import ID, ROWS

#: Names of words and options that are not fields themselves.
SAID_OTHERWISE = OWN | {"words", "item", "purpose", "kept_class", "kept_basis", "kept_until"}


@cache
def offered() -> Mapping[tuple[str, str], list[Any]]:
    """Return the operations of all services with their documents, by method and path.

    Names of path parameters are masked.
    """
    found: dict[tuple[str, str], list[Any]] = {}
    for path in sorted((ROOT / "docs/api").glob("openapi-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for place, methods in document["paths"].items():
            for method, operation in methods.items():
                found.setdefault((method.upper(), unnamed(place)), []).append((document, operation))
    return found


def unnamed(path: str) -> str:
    return re.sub(r"{[^}]+}", "{}", path)


def calls(verb: VerbRow) -> Iterator[tuple[str, str]]:
    """Return the methods and paths that a verb may call."""
    for call in (verb["call"], *verb.get("instead", {}).values()):
        method, spaced, path = call.partition(" ")
        if spaced:
            yield method, unnamed(path)
        else:
            subject, _, name = call.partition(".")
            yield "POST", f"/v1/{collection(row(Subject(subject), name))}/{{}}:{name.replace('_', '-')}"


def schemas(document: Any, schema: Any) -> Iterator[Any]:
    """Yield a schema and its alternatives."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from schemas(document, each)


def known(document: Any, operation: Any) -> set[str]:
    """Return the members of a body, and the parameters of a query."""
    found = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for schema in schemas(document, content["schema"]):
            found |= schema.get("properties", {}).keys()
    return found


def fields(verb: VerbRow) -> set[str]:
    """Return the fields that a verb may send."""
    listed, named = verb.get("statements"), parameters(verb)
    left_out = SAID_OTHERWISE | set(re.findall(r"{([^}]+)}", verb["call"]))
    left_out |= set() if " " in verb["call"] else {next(iter(named))}
    left_out |= set() if listed is None else {*listed.get("beside", {})}
    said = {word.get("field", name) for name, word in named.items() if name not in left_out}
    return said | {*verb.get("always", {})} | (set() if listed is None else {listed["list"]})


@pytest.mark.parametrize("verb", ROWS)
def test_a_service_offers_what_a_verb_calls(verb: str) -> None:
    assert [call for call in calls(ROWS[verb]) if call not in offered()] == []


@pytest.mark.parametrize("verb", [name for name, each in ROWS.items() if each.get("shows") != "draft"])
def test_a_service_knows_the_fields_that_a_verb_says(verb: str) -> None:
    services = [known(*found) for call in calls(ROWS[verb]) for found in offered()[call]]
    assert fields(ROWS[verb]) - set().union(*services) == set()


def test_a_field_that_no_service_knows_would_be_missed() -> None:
    other = ROWS["case claim"] | {"options": {"minutes": {"type": "integer"}}}
    (call,) = calls(other)
    assert fields(other) - set().union(*(known(*found) for found in offered()[call])) == {"minutes"}


@pytest.mark.parametrize("verb", [name for name, each in ROWS.items() if "columns" in each])
def test_every_column_is_made_of_an_item_that_has_nothing(verb: str) -> None:
    assert all(isinstance(filled(template, {}), str) for template in ROWS[verb]["columns"].values())


CALLS = [
    ("attention", "attention"),
    ("webhook list", "webhooks"),
    ("flow find --purpose complaints", "flows"),
    (f"inbox show {ID}", f"inbox/{ID}"),
    (f"referral show {ID}", f"referrals/{ID}"),
    (f"referral reroute {ID} {ID}", f"referrals/{ID}:reroute"),
    RELEASE := (f"referral release {ID}", f"referrals/{ID}:release"),
    WORK := (f"notice answer-work {ID} removed", f"work-items/{ID}:answer"),
]
NO_ANSWERS = ({}, {"items": 3}, {"items": ["x"]}, [1], {"state": "x"}, {"referral_id": [], "state": "x"})


@pytest.mark.parametrize(
    ("call", "answer"), [*product(CALLS, NO_ANSWERS), (RELEASE, {"referral_id": ID}), (WORK, {"work_item": ID})]
)
def test_what_lacks_rows_is_no_answer(run: Run, service: FakeService, call: tuple[str, str], answer: Any) -> None:
    service.canned[f"/v1/{call[1]}"] = (200, answer)
    assert all("unexpected_answer" in str(run(*call[0].split(), *each)) for each in ((), ("--json",)))


@pytest.mark.parametrize("name", table()["groups"])
def test_help_describes_each_verb_of_a_group(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    group.__wrapped__(name).help_print([])  # a new one, because a call of a verb loads its help
    assert re.findall(r"^│ ([a-z-]+) +│$", capsys.readouterr().out, re.MULTILINE) == []
