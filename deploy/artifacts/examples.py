"""Examples of every schema: values that are accepted, and values that are refused, each with the code it is refused by.

`examples.json` has them. A refused value is an accepted one with one thing changed, so that it shows one rule. A value
that is `made` comes from `example_world`; `but` replaces some of its members, or of what it has `at` a pointer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.artifacts.example_world import DATA, WORLD
from deploy.artifacts.schemas import LENIENT, models

#: Takes the value away.
GONE: Final = object()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An accepted example with the value at `pointer` replaced, or taken away. `code` and `field` answer it.

    `by` is the published schema; the model, for what no schema can say of several fields together; the guard; or the
    indexes of directory and policy, for what concerns the whole document.
    """

    slug: str
    pointer: str
    value: Any = GONE
    by: Literal["schema", "model", "guard", "index"] = "schema"
    code: str = ""
    field: str | None = None
    of: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One example file: `accepted-….json` is the value alone, `refused-….json` the value and what to expect."""

    schema: str
    file: str
    value: Any
    expected: Mapping[str, Any] | None

    @property
    def content(self) -> Any:
        return self.value if self.expected is None else {"expected": dict(self.expected), "value": self.value}


def examples() -> Iterator[Example]:
    """All examples, in the order of the schemas."""
    accepted = {schema: _accepted(schema) for schema in models()}
    for schema, values in accepted.items():
        for slug, value in values.items():
            yield Example(schema, f"accepted-{slug}.json", value, None)
        for refusal in (*_closed(values, lenient=schema in LENIENT), *_refused(schema)):
            base = values[refusal.of or next(iter(values))]
            yield Example(schema, f"refused-{refusal.slug}.json", _changed(base, refusal), _expected(schema, refusal))


def _accepted(schema: str) -> dict[str, Any]:
    return {slug: _plain(_value(value)) for slug, value in DATA["schemas"][schema]["accepted"].items()}


def _refused(schema: str) -> Iterator[Refusal]:
    for slug, stated in DATA["schemas"][schema].get("refused", {}).items():
        yield Refusal(slug, **{name: _value(value) for name, value in stated.items()})


def _value(stated: Any) -> Any:
    """A value as it is stated, or as the world of the examples makes it."""
    if not isinstance(stated, dict) or "made" not in stated:
        return stated
    made = place = _plain(WORLD[stated["made"]]())
    for part in stated.get("at", "").split("/")[1:]:
        place = place[int(part) if isinstance(place, list) else part]
    if "but" in stated:
        place.update(stated["but"])
    return made


def _closed(values: Mapping[str, Any], *, lenient: bool) -> Iterator[Refusal]:
    """Two rules: no name that the schema does not list, unless it is read leniently, and nothing missing."""
    value = next(iter(values.values()))
    if not lenient:
        yield Refusal("unknown-name", "/comment", "x")
    required = next(iter(value), None)
    if required not in (None, "case_reference"):
        yield Refusal("name-missing", f"/{required}", GONE, field=f"/{required}")


def _expected(schema: str, refusal: Refusal) -> dict[str, Any]:
    """Messages are refused whole, without a field; bodies over HTTP and documents name the field."""
    field = {"field": refusal.pointer if refusal.field is None else refusal.field}
    match schema:
        case "referral_submission.v1" if refusal.slug == "unknown-name":
            return {"by": refusal.by, "code": "fields_invalid", "field": ""}  # the name came from outside
        case "referral_submission.v1":
            return {"by": refusal.by, "code": refusal.code or "fields_invalid"} | field
        case "signed_beat.v1":
            return {"by": refusal.by, "code": "beat_malformed"}
        case "document_activated.v1" | "published_document.v1":
            return {"by": refusal.by, "code": "document_malformed"}
        case "directory.v1" | "policy.v1":
            return {"by": refusal.by, "code": refusal.code or "document_invalid"} | field
        case _:
            return {"by": refusal.by, "code": "guard_refused" if schema.endswith(".sealed") else "body_invalid"}


def _changed(value: Any, refusal: Refusal) -> Any:
    changed = copy.deepcopy(value)
    *above, last = refusal.pointer.split("/")[1:]
    place = changed
    for part in above:
        place = place[int(part) if isinstance(place, list) else part]
    if refusal.value is GONE:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = refusal.value
    return changed


def _plain(value: Any) -> Any:
    """Tuples become lists, enumerations their values: what a JSON parser would give."""
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, str) else value
