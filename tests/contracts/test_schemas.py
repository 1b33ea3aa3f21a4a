"""Schemas and examples: generated, complete, and in agreement with the models with which recipients validate."""

from __future__ import annotations

import copy
import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, RootModel, StringConstraints, ValidationError, create_model

from deploy.artifacts.__main__ import committed, generated
from deploy.artifacts.examples import APPROVERS
from deploy.artifacts.schemas import DOCUMENTS, LENIENT, message_name, models
from deploy.directory.approval import document_body
from deploy.operator.document_checks import check_directory, check_policy
from shared.catalog import CATALOG
from shared.core.contracts.directory import DocumentActivated
from shared.core.errors import InvalidFields, Refused
from shared.core.guard import inspect
from shared.core.guard.envelope_limits import DEPTH_MAX, STRING_CHARACTERS_MAX
from shared.core.protocol.decision_fact import commitment
from shared.core.protocol.record_table import RECORD_TABLE
from shared.core.routing.documents import ApproverKey, derive_edge, read_directory, read_policy, verify_document
from shared.platform.http.edge import read_model
from shared.platform.kafka.documents import read_beat, read_document
from tests.contracts.published import CONTRACTS, example_files, read, schema, schema_accepts
from tests.shared.core.routing.builders import spelt

ACCEPTED, REFUSED = example_files("accepted"), example_files("refused")
MODELS = models()
#: One accepted example of each schema.
FIRST = dict(reversed(ACCEPTED))
#: Values of every kind, to be put where they do not belong.
STRANGERS = (
    *(None, True, False, 0, 1, -1, 1.5, 2**53, 2**70, "", "1", "true", "yes", "x" * 3000, [], {}, [None], {"a": 1}),
    *("2026-05-01", "2026-02-30", "2026-05-01T12:00:00Z", "2026-05-01 12:00:00Z", "2026-05-01T24:00:00Z"),
    *("2026-05-01T12:00:00", "1700000000", 1_700_000_000, "NL", "NL\n", "hotline-nl.example"),
    *("{019b2d3c-4400-7000-8000-000000000001}", "urn:uuid:019b2d3c-4400-7000-8000-000000000001"),
    *("019b2d3c440070008000000000000001", "019B2D3C-4400-7000-8000-000000000001"),
)
#: Records contain content for the guard, which may refuse an address in the schema's form. Parts that only audit opens
#: contain codes, and no record.
GUARDED = {"referral_submission.v1"} | {name for name in MODELS if name.endswith(".sealed")} - {
    "referral_decided.v1.sealed"
}


def model_accepts(model: type[BaseModel], value: Any, *, lenient: bool = False) -> bool:
    try:
        model.model_validate_json(json.dumps(value), extra="ignore" if lenient else None)
    except ValidationError:
        return False
    return True


def ids(found: list[tuple[str, Path]]) -> list[str]:
    return [f"{name}/{path.stem}" for name, path in found]


def test_what_is_committed_is_what_the_code_generates() -> None:
    """`python -m deploy.artifacts` writes it again."""
    wanted, present = generated(), committed()
    assert sorted(wanted) == sorted(present)
    assert [name for name in wanted if wanted[name] != present[name]] == []


def unpublished(names: list[str]) -> list[str]:
    """Return the missing parts of a schema or its examples, for these messages."""
    examples = CONTRACTS / "examples"
    return [
        *(name for name in names if not (CONTRACTS / "schemas" / f"{name}.json").is_file()),
        *(f"{name}: accepted" for name in names if not list((examples / name).glob("accepted-*.json"))),
        *(f"{name}: refused" for name in names if not list((examples / name).glob("refused-*.json"))),
    ]


def test_every_message_and_document_has_a_schema_and_examples_of_both_kinds() -> None:
    assert unpublished([*map(message_name, CATALOG.messages), *DOCUMENTS]) == []
    assert len(unpublished(["brand_new.v1"])) == 3


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$id"] == f"https://schemas.causeway.example/{name}.json"


@pytest.mark.parametrize("name", sorted(LENIENT))
def test_a_member_that_a_lenient_schema_does_not_list_is_for_no_reader_to_refuse(name: str) -> None:
    grown = read(dict(ACCEPTED)[name]) | {"not_known_yet": 1}
    assert schema_accepts(name, grown)
    assert refusal(name, grown) == {}
    assert not model_accepts(MODELS[name], grown), "the publisher makes no such body"


@pytest.mark.parametrize("name", ["directory.v1", "policy.v1"])
def test_a_member_that_a_document_does_not_list_is_refused_by_whoever_publishes_and_by_no_reader(name: str) -> None:
    value = read(dict(ACCEPTED)[name])
    grown = value | {"not_known_yet": 1}
    assert model_accepts(MODELS[name], grown, lenient=True)
    with pytest.raises(Refused, match="document_invalid: extra_forbidden"):
        (check_directory if name == "directory.v1" else check_policy)(json.dumps(grown).encode())


#: String formats whose length the format itself bounds.
_BOUNDED_FORMATS = frozenset({"uuid", "date", "date-time"})


def audit_schema(model: type[BaseModel]) -> list[str]:
    """Return the unbounded parts of the model's schema, one line per finding; empty if every value is bounded.

    Every string has a length and a pattern, an enumeration or a bounded format; every array a length; every object a
    closed set of names. Integers have both bounds. There are no other numbers and no untyped values.
    """
    schema = model.model_json_schema()
    findings = list(_audit(schema, model.__name__))
    for name, definition in schema.get("$defs", {}).items():
        findings.extend(_audit(definition, name))
    return findings


def audit_body(model: type[BaseModel]) -> list[str]:
    """Return the parts of the model's schema whose values may exceed the limits of `parse_body`: depth and texts."""
    schema = model.model_json_schema()
    return list(_exceeding(schema, schema.get("$defs", {}), 0))


def _exceeding(node: dict[str, Any], definitions: dict[str, Any], depth: int) -> Iterator[str]:
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    if node.get("maxLength", 0) > STRING_CHARACTERS_MAX:
        yield f"text of {node['maxLength']} characters"
    inner = [
        *node.get("properties", {}).values(),
        *node.get("prefixItems", ()),
        *([node["items"]] if "items" in node else []),
    ]
    if inner and depth >= DEPTH_MAX:
        yield f"depth {depth}"
    for branch in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _exceeding(branch, definitions, depth)
    for child in inner:
        yield from _exceeding(child, definitions, depth + 1)


def _audit(node: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in node or "enum" in node or "const" in node:
        return
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in node:
            for branch in node[keyword]:
                yield from _audit(branch, where)
            return
    match node.get("type"):
        case "object":
            if node.get("additionalProperties") is not False:
                yield f"{where}: object with free names"
            for name, child in node.get("properties", {}).items():
                yield from _audit(child, f"{where}.{name}")
        case "array":
            if "maxItems" not in node:
                yield f"{where}: array without maxItems"
            if "prefixItems" in node:
                for number, child in enumerate(node["prefixItems"]):
                    yield from _audit(child, f"{where}[{number}]")
            elif "items" not in node:
                yield f"{where}: array of anything"
            else:
                yield from _audit(node["items"], f"{where}[]")
        case "string":
            if node.get("format") not in _BOUNDED_FORMATS and not ("maxLength" in node and "pattern" in node):
                yield f"{where}: string without maxLength and pattern"
        case "integer":
            if not ("minimum" in node and "maximum" in node):
                yield f"{where}: integer without bounds"
        case "boolean" | "null":
            return
        case "number":
            yield f"{where}: number that is not an integer"
        case _:
            yield f"{where}: untyped value"


@pytest.mark.parametrize("name", MODELS)
def test_nothing_in_a_contract_has_room_that_nobody_counted(name: str) -> None:
    assert audit_schema(MODELS[name]) == []
    if name in GUARDED:
        assert audit_body(MODELS[name]) == []


def test_an_open_contract_is_found() -> None:
    class Open(BaseModel):
        text: str
        numbers: list[float]

    assert len(audit_schema(Open)) == 4


def test_a_part_that_no_body_may_have_is_found() -> None:
    class Long(BaseModel):
        text: Annotated[str, StringConstraints(max_length=STRING_CHARACTERS_MAX + 1)]

    deep: type[BaseModel] = Long
    for _ in range(DEPTH_MAX):
        deep = create_model("Deep", inner=(deep, ...))
    assert len(audit_body(deep)) == 2


@pytest.mark.parametrize(("name", "path"), ACCEPTED, ids=ids(ACCEPTED))
def test_an_accepted_example_is_accepted_by_schema_model_and_guard(name: str, path: Path) -> None:
    value = read(path)
    assert schema_accepts(name, value)
    extra: Any = "ignore" if name in LENIENT else None
    model = MODELS[name].model_validate_json(json.dumps(value), strict=True, extra=extra)
    if name in GUARDED:
        inspect(getattr(model, "record", model))


@pytest.mark.parametrize(("name", "path"), REFUSED, ids=ids(REFUSED))
def test_a_refused_example_is_refused_by_what_it_names(name: str, path: Path) -> None:
    example = read(path)
    by, value = example["expected"]["by"], example["value"]
    assert schema_accepts(name, value) == (by != "schema")
    assert model_accepts(MODELS[name], value) == (by in ("guard", "index"))


@pytest.mark.parametrize(("name", "path"), REFUSED, ids=ids(REFUSED))
def test_a_refused_example_is_answered_with_the_code_it_states(name: str, path: Path) -> None:
    example = read(path)
    expected = {key: example["expected"][key] for key in ("code", "field") if key in example["expected"]}
    if name in DOCUMENTS:
        assert refusal(name, example["value"]) == expected
    else:
        assert expected["code"] in RECORD_TABLE


def refusal(name: str, value: Any) -> dict[str, Any]:
    """Return code and field with which the code answers this body."""
    body = json.dumps(value).encode()
    try:
        match name:
            case "directory.v1":
                read_directory(body)
            case "policy.v1":
                read_policy(body)
            case "document_activated.v1":
                read_document(json.dumps({"activated": value, "body": ""}).encode())
            case "published_document.v1":
                read_document(body)
            case "signed_beat.v1":
                read_beat(body)
            case _:
                model = read_model(MODELS[name], value)
                inspect(getattr(model, "record", model))
    except InvalidFields as error:
        return {"code": error.code, "field": error.errors[0]["field"]}
    except Refused as error:
        return {"code": error.code} | ({"field": error.field} if error.field is not None else {})
    return {}


@pytest.mark.parametrize("kind", ["directory", "policy"])
def test_the_example_documents_are_approved_as_they_say(kind: str) -> None:
    stated = DocumentActivated.model_validate(read(CONTRACTS / f"examples/document_activated.v1/accepted-{kind}.json"))
    document: Any = MODELS[f"{kind}.v1"].model_validate(read(FIRST[f"{kind}.v1"]))
    published = json.dumps(read(CONTRACTS / f"examples/published_document.v1/accepted-{kind}.json")).encode()
    assert read_document(published) == (stated, document_body(document))
    keys = {key.key_id: ApproverKey(party, b64decode(key.verify_key.text())) for party, key in APPROVERS.items()}
    verify_document(stated, document_body(document), keys)


@pytest.mark.parametrize("name", ["referral_offered.v1", "notice_issued.v1"])
def test_the_edge_of_an_example_can_be_derived_from_the_example_documents(name: str) -> None:
    clear: Any = MODELS[name].model_validate(read(FIRST[name]))
    sealed: Any = MODELS[f"{name}.sealed"].model_validate(read(FIRST[f"{name}.sealed"]))
    directory, policy = (
        reader(document_body(MODELS[f"{kind}.v1"].model_validate(read(FIRST[f"{kind}.v1"]))))  # type: ignore[arg-type]
        for kind, reader in (("directory", read_directory), ("policy", read_policy))
    )
    derive_edge(spelt(sealed.edge), sealed.decision, directory=directory, policy=policy, exercise=True)
    assert clear.commitment == commitment(sealed.salt, sealed.edge.digest)
    with pytest.raises(Refused, match="edge_not_reproducible"):
        derive_edge(spelt(sealed.edge), sealed.decision, directory=directory, policy=policy, exercise=False)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*path, name))


def put(value: Any, path: tuple[str | int, ...], stranger: Any) -> Any:
    if not path:
        return stranger
    changed = copy.deepcopy(value)
    place = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = stranger
    return changed


def disagreements(name: str, model: type[BaseModel], value: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    """Yield places of the value where the model accepts a wrong value that the schema refuses."""
    return [
        (path, stranger)
        for path in places(value)
        for stranger in STRANGERS
        if model_accepts(model, changed := put(value, path, stranger)) and not schema_accepts(name, changed)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_takes_nothing_that_its_schema_refuses(name: str) -> None:
    assert disagreements(name, MODELS[name], read(FIRST[name])) == []


def test_a_model_that_guesses_is_found() -> None:
    value = read(FIRST["withdrawal_acknowledged.v1"])
    assert disagreements("withdrawal_acknowledged.v1", RootModel[dict[str, str | int]], value)
