"""Audit of a model's JSON schema: no part of a contract may have uncounted space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from shared.core.guard.envelope_limits import DEPTH_MAX, STRING_CHARACTERS_MAX

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
