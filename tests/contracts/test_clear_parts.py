"""Clear parts have no space for free text: every text is a listed code, an id or a time. This test lists the ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.catalog import CATALOG
from shared.core.contracts import base, directory, facts
from shared.core.contracts.registry import MessageType

#: The permitted patterns of a text in a clear part, and the thing that each names.
IDS = {
    base.PartyId: "a party of the directory",
    base.InstanceId: "an instance of the directory",
    base.Digest: "a digest",
    base.ActorId: "an opaque actor",
    base.ErrorCode: "one of our codes",
    directory.MessageName: "one of our messages",
    facts.TopicName: "one of our topics",
}
PATTERNS = {annotation.__metadata__[0].pattern for annotation in IDS}
#: A refused body's field: a pointer that the service writes from names of its contracts.
STILL_OPEN = {"referral_refused /field"}


def free(message: MessageType) -> Iterator[str]:
    """Return the members of a clear part, by their first level, whose text could be more than an id, code or time."""
    schema = message.clear.model_json_schema()
    for name, member in schema.get("properties", {}).items():
        if any(_free(member, schema.get("$defs", {}))):
            yield f"{message.name} /{name}"


def _free(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[bool]:
    if "$ref" in node:
        yield from _free(definitions[node["$ref"].rpartition("/")[2]], definitions)
    for branch in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("prefixItems", ())):
        yield from _free(branch, definitions)
    for child in (*node.get("properties", {}).values(), *([node["items"]] if "items" in node else ())):
        yield from _free(child, definitions)
    if node.get("type") == "string" and "enum" not in node and "const" not in node:
        yield node.get("format") not in ("uuid", "date", "date-time") and node.get("pattern") not in PATTERNS


@pytest.mark.parametrize("message", CATALOG.messages, ids=lambda each: each.name)
def test_no_clear_part_has_a_free_text(message: MessageType) -> None:
    assert set(free(message)) == {each for each in STILL_OPEN if each.startswith(f"{message.name} ")}


def test_a_free_text_would_be_found() -> None:
    (message, *_) = (each for each in CATALOG.messages if each.name == "case_declined")
    grown = type("Grown", (message.clear,), {"__annotations__": {"remark": "base.RuleId"}, "__module__": __name__})
    opened = MessageType(message.name, 1, message.family, message.meter, grown)
    assert list(free(opened)) == ["case_declined /remark"]
