"""What others go by, as flat lists: what they may call, read and act on, which is never taken away or renamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from shared.contracts.registry import ALL
from shared.exchange.act import Subject
from shared.exchange.acts import ACTS
from shared.exchange.authority import cells
from shared.exchange.events import event_type
from shared.exchange.timers import Telling
from shared.exchange.webhooks import PAUSED_EVENT
from shared.formats import referral_table
from shared.kernel.codes import FAMILIES

API: Final = Path(__file__).parents[2] / "docs" / "api"
#: Of a call: what it needs. Of all else in the lists: what is there.
NEEDS: Final = " needs "


#: Events that no act tells: of clocks, of retention, of what tells them.
_OF_NO_ACT: Final = (*Telling, *(f"{subject}.erased" for subject in Subject), PAUSED_EVENT)


def pledged() -> dict[str, list[str]]:
    """By kind: messages, who says them to whom, calls and their parts, members and what they are, types of events,
    codes of errors, columns.

    Of parts and members also what they are where they are left out.

    The table of (EU) 2024/2835 is not among them: its columns are those of the Commission's form, and go with it.
    """
    documents = {
        file.stem.removeprefix("openapi-"): json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(API.glob("openapi-*.json"))
    }
    return {
        "messages": sorted({each.name for each in ALL}),
        "says": sorted({f"{cell.message.name} {cell.sender} to {cell.recipient} {cell.relation}" for cell in cells()}),
        "calls": sorted(each for service, api in documents.items() for each in _calls(service, api)),
        "members": sorted(each for service, api in documents.items() for each in _members(service, api)),
        "events": sorted({*(event_type(act.subject, act.name) for act in ACTS), *_OF_NO_ACT}),
        "errors": sorted(code for whys in FAMILIES.values() for code in whys),
        "columns": sorted(referral_table.KNOWN),
    }


def _calls(service: str, api: Mapping[str, Any]) -> Iterator[str]:
    """Each call, the parameters that it takes, and what it needs: parameters, and members of its body."""
    for path, operations in api["paths"].items():
        for method, call in operations.items():
            name = f"{service} {method} {path}"
            yield name
            for each in call.get("parameters", ()):
                yield f"{name} {each['in']} {each['name']}"
                yield from _left_out(f"{name} {each['in']} {each['name']}", each["schema"])
                if each.get("required"):
                    yield f"{name}{NEEDS}{each['in']} {each['name']}"
            for body in call.get("requestBody", {}).get("content", {}).values():
                yield from (f"{name}{NEEDS}{each}" for each in sorted(_needed(api, body["schema"], frozenset())))


def _needed(api: Mapping[str, Any], schema: Any, seen: frozenset[str]) -> Iterator[str]:
    """Each `Schema.member` that a body of this schema cannot be without."""
    if isinstance(schema, list):
        for each in schema:
            yield from _needed(api, each, seen)
    if not isinstance(schema, dict):
        return
    if (name := str(schema.get("$ref", "")).rpartition("/")[2]) and name not in seen:
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


def _left_out(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """What it is where it is left out, if that is said: whoever leaves it out means that."""
    if schema.get("default") is not None:
        yield f"{name} = {json.dumps(schema['default'])}"


def _kind(api: Mapping[str, Any], schema: Any) -> str:
    """What a value of this schema is in JSON; whether it may be null besides is not said."""
    if "$ref" in schema:
        return _kind(api, api["components"]["schemas"][str(schema["$ref"]).rpartition("/")[2]])
    if options := schema.get("anyOf", schema.get("oneOf", schema.get("allOf"))):
        return " or ".join(sorted({_kind(api, each) for each in options} - {"null"}))
    if "const" in schema or "enum" in schema:
        return _JSON[type(schema.get("const", next(iter(schema.get("enum", ("",))))))]
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(api, schema['items'])}"
    return str(schema.get("type", "anything"))


_JSON: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
