"""Promises to peers and clients as flat lists: calls, readable values and events that are never removed or renamed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from services.audit.domain.partitions import LossReason
from shared.catalog import CATALOG
from shared.core.acts.act import AskState, Offering, Subject, Track
from shared.core.acts.states import PAUSED_EVENT, event_type
from shared.core.codes import FAMILIES
from shared.core.protocol.authority import cells
from shared.core.protocol.timers import TimerNotice
from shared.core.routing.clocks import Effect
from shared.formats import referral_table
from tests.architecture.codes import statuses

API: Final = Path(__file__).parents[2] / "docs" / "api"
#: Marks the requirements of a call. All other lines name existing parts.
NEEDS: Final = " needs "
#: Precedes the words of a line that may get further ones.
WORDS: Final = ": "


#: Events without an act: of clocks, of retention, of webhooks.
_OF_NO_ACT: Final = (*TimerNotice, *(f"{subject}.erased" for subject in Subject), PAUSED_EVENT)
#: Codes that are stored unchanged, and that appear in no list of an API.
_STORED: Final[tuple[type[StrEnum], ...]] = (AskState, Effect, LossReason, Offering, Track)
_BOUNDS: Final = (
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "pattern", "format"),
)


@cache
def pledged() -> dict[str, list[str]]:
    """Return the promises by kind.

    The kinds are messages, their senders and recipients, calls and their parts, members and their JSON kinds, types of
    events, error codes and columns. Parts and members include their defaults. Each answer has its status, body and
    headers, and the members that it always has (`!`: and never as null). The lists include the codes of every API or
    table, the bounds of requests, and the statuses of errors.

    The table of (EU) 2024/2835 is not included: its columns are those of the Commission's form, and change with it.
    """
    documents = {
        file.stem.removeprefix("openapi-"): json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(API.glob("openapi-*.json"))
    }
    return {
        "messages": sorted({each.name for each in CATALOG.messages}),
        "says": sorted(
            {f"{cell.message.name} {cell.sender} to {cell.recipient} {cell.relation}" for cell in cells(CATALOG)}
        ),
        "calls": sorted(each for service, api in documents.items() for each in _calls(service, api)),
        "members": sorted(each for service, api in documents.items() for each in _members(service, api)),
        "events": sorted({*(event_type(act.subject, act.name) for act in CATALOG.acts), *_OF_NO_ACT}),
        "errors": sorted(code for whys in FAMILIES.values() for code in whys),
        "columns": sorted(referral_table.KNOWN),
        "answers": sorted(each for service, api in documents.items() for each in _answers(service, api)),
        "always": sorted(each for service, api in documents.items() for each in _always(service, api)),
        "codes": sorted(
            [*(each for service, api in documents.items() for each in _codes(service, api)), *map(_stored, _STORED)]
        ),
        "bounds": sorted(each for service, api in documents.items() for each in _bounds(service, api)),
        "statuses": sorted(f"{code} {' '.join(map(str, sorted(of)))}" for code, of in statuses().items()),
    }


def _calls(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    """Yield each call, its parameters, and its requirements: parameters, and members of its body."""
    for name, call in _operations(service, api):
        yield name
        for each in call.get("parameters", ()):
            yield f"{name} {each['in']} {each['name']}"
            yield from _left_out(f"{name} {each['in']} {each['name']}", each["schema"])
            if each.get("required"):
                yield f"{name}{NEEDS}{each['in']} {each['name']}"
        for body in call.get("requestBody", {}).get("content", {}).values():
            yield from (f"{name}{NEEDS}{each}" for each in sorted(_needed(api, body["schema"], frozenset())))


def _operations(service: str, api: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, operations in api["paths"].items():
        for method, call in operations.items():
            yield f"{service} {method} {path}", call


def _needed(api: Mapping[str, Any], schema: Any, seen: frozenset[str]) -> Iterator[str]:
    """Yield each `Schema.member` that a body of this schema requires."""
    if isinstance(schema, list):
        for each in schema:
            yield from _needed(api, each, seen)
    if not isinstance(schema, dict):
        return
    if (name := _tail(schema)) and name not in seen:
        named = api["components"]["schemas"][name]
        yield from (f"{name}.{each}" for each in named.get("required", ()))
        yield from _needed(api, named, seen | {name})
    for each in schema.values():
        yield from _needed(api, each, seen)


def _members(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in api["components"]["schemas"].items():
        for member, what in schema.get("properties", {}).items():
            yield f"{service} {name}.{member}: {_kind(api, what)}"
            yield from _left_out(f"{service} {name}.{member}", what)


def _answers(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    """Yield each success of a call, and each refusal with additional content: body and headers."""
    for name, call in _operations(service, api):
        for status, answer in call["responses"].items():
            bodies = {kind.partition(";")[0]: body["schema"] for kind, body in answer.get("content", {}).items()}
            named = {_tail(schema) or _kind(api, schema) for schema in bodies.values()}
            if status.startswith("2") or named - {"Problem"}:
                yield _line(f"{name} {status}", {*bodies, *named, *answer.get("headers", ())})


def _always(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    said = [api["components"]["responses"], *(call["responses"] for _, call in _operations(service, api))]
    for name in _reached(api, said, set()):
        schema = api["components"]["schemas"][name]
        there = {each: schema["properties"][each] for each in schema.get("required", ())}
        set_ = {f"{member}!" for member, what in there.items() if not _may_be_null(api, what)}
        if there:
            yield _line(f"{service} {name}", {*there, *set_})


def _codes(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    found: dict[str, set[str]] = {}
    for place, schema in (*_parameters(service, api), *_parts(service, api, api["components"]["schemas"])):
        for name, each in _within(api, place, schema):
            values = {str(value) for value in each.get("enum", [each["const"]] if "const" in each else ())}
            found[name] = found.get(name, set()) | values
    yield from (_line(name, values) for name, values in found.items() if values)


def _stored(codes: type[StrEnum]) -> str:
    return _line(f"stored {codes.__name__}", {each.value for each in codes})


def _bounds(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    """Yield the bounds of each part of a request; for a part with alternatives, those of all."""
    sent = _reached(api, [call.get("requestBody", {}) for _, call in _operations(service, api)], set())
    found: dict[str, dict[str, list[Any]]] = {}
    for place, schema in (*_parameters(service, api), *_parts(service, api, sent)):
        for name, each in _within(api, place, schema):
            bounds = found.setdefault(name, {})
            for bound in _BOUNDS:
                if bound in each and each[bound] not in bounds.get(bound, ()):
                    bounds[bound] = sorted([*bounds.get(bound, ()), each[bound]])
    yield from (f"{name} {json.dumps(bounds, sort_keys=True)}" for name, bounds in found.items())


def _parameters(service: str, api: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, call in _operations(service, api):
        yield from ((f"{name} {each['in']} {each['name']}", each["schema"]) for each in call.get("parameters", ()))


def _parts(service: str, api: Mapping[str, Any], names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield each member of these schemas, or the schema itself if it has none."""
    for name in names:
        schema = api["components"]["schemas"][name]
        members = schema.get("properties", {})
        yield from ((f"{service} {name}.{member}", what) for member, what in members.items())
        if not members:
            yield f"{service} {name}", schema


def _within(api: Mapping[str, Any], name: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the schema, its alternatives and its elements (`[]`), except schemas with a name and members or codes."""
    yield name, schema
    named = api["components"]["schemas"].get(_tail(schema), {})
    for each in (*([named] if not named.keys() & {"properties", "enum"} else []), *_options(schema)):
        if each:
            yield from _within(api, name, each)
    for each in (schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ())):
        if isinstance(each, dict):
            yield from _within(api, f"{name}[]", each)


def _reached(api: Mapping[str, Any], schema: Any, seen: set[str]) -> set[str]:
    """Return the names of all schemas that are part of this one."""
    for each in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        _reached(api, each, seen)
    if isinstance(schema, dict) and (name := _tail(schema)) in api["components"]["schemas"] and name not in seen:
        seen.add(name)
        _reached(api, api["components"]["schemas"][name], seen)
    return seen


def _may_be_null(api: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    return any(name == "" and each.get("type") == "null" for name, each in _within(api, "", schema))


def _line(name: str, words: Iterable[str]) -> str:
    return f"{name}{WORDS}{' '.join(sorted(words))}"


def _left_out(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the default of a member, if stated, because it is the meaning of a missing one."""
    if schema.get("default") is not None:
        yield f"{name} = {json.dumps(schema['default'])}"


def _kind(api: Mapping[str, Any], schema: Any) -> str:
    """Return the JSON kind of this schema's values, without null."""
    if "$ref" in schema:
        return _kind(api, api["components"]["schemas"][_tail(schema)])
    if options := _options(schema):
        return " or ".join(sorted({_kind(api, each) for each in options} - {"null"}))
    if "const" in schema or "enum" in schema:
        return _JSON[type(schema.get("const", next(iter(schema.get("enum", ("",))))))]
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(api, schema['items'])}"
    return str(schema.get("type", "anything"))


def _options(schema: Mapping[str, Any]) -> list[Any]:
    return list(schema.get("anyOf", schema.get("oneOf", schema.get("allOf", ()))))


def _tail(schema: Mapping[str, Any]) -> str:
    """Return the name that a schema refers to, or ""."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


_JSON: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
