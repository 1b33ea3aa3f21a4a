"""A released schema only grows: each is compared with what it was (`shared/contracts/golden/schemas`).

What a version says never changes but for the values of its codes, which a newer edition of the vocabulary adds to; the
directory and the policy may get members that may be left out. Anything else is a new version.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.artifacts.schemas import LENIENT
from tests.contracts.golden import GOLDEN, shape
from tests.contracts.published import read, schema

RELEASED = sorted((GOLDEN / "schemas").glob("*.json"))


def changed(released: Any, now: Any, *, lenient: bool = False, at: str = "") -> Iterator[str]:
    """Where a schema is no longer what was released, as a path of its members."""
    if not isinstance(released, dict) or not isinstance(now, dict):
        yield from () if released == now else (at,)
        return
    for name in sorted(released.keys() | now.keys()):
        where, before, after = f"{at}/{name}", released.get(name), now.get(name)
        if before is None and (at == "/$defs" or (lenient and at.endswith("/properties"))):
            continue
        if name == "enum" and before is not None and after is not None:
            yield from () if set(before) <= set(after) else (where,)
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, pair in enumerate(zip(before, after, strict=True)):
                yield from changed(*pair, lenient=lenient, at=f"{where}/{number}")
        else:
            yield from changed(before, after, lenient=lenient, at=where)


def test_each_schema_is_kept_as_it_was_released() -> None:
    assert {each.stem for each in RELEASED} == {each.stem for each in (GOLDEN.parent / "schemas").glob("*.json")}


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.stem)
def test_a_released_schema_has_only_grown(file: Path) -> None:
    assert list(changed(read(file), shape(schema(file.stem)), lenient=file.stem in LENIENT)) == []


def without_a_code(declined: dict[str, Any]) -> None:
    declined["$defs"]["CaseDeclineReason"]["enum"].remove("no_crime")


def without_a_member(declined: dict[str, Any]) -> None:
    del declined["$defs"]["CaseDeclinedClear"]["properties"]["due"]


def with_a_member(declined: dict[str, Any]) -> None:
    declined["$defs"]["CaseDeclinedClear"]["properties"]["since"] = {"type": "string"}


def with_a_lower_bound(declined: dict[str, Any]) -> None:
    declined["$defs"]["CaseDeclinedClear"]["properties"]["number"]["maximum"] = 1000


def with_more_required(declined: dict[str, Any]) -> None:
    declined["$defs"]["CaseDeclinedClear"]["required"].append("due")


@pytest.mark.parametrize(
    "change", [without_a_code, without_a_member, with_a_member, with_a_lower_bound, with_more_required]
)
def test_what_is_no_growth_is_found(change: Callable[[dict[str, Any]], None]) -> None:
    released = shape(schema("case_declined.v1"))
    now = copy.deepcopy(released)
    change(now)
    assert len(list(changed(released, now))) == 1


def test_what_is_growth_is_let_through() -> None:
    released = shape(schema("case_declined.v1"))
    now = copy.deepcopy(released)
    now["$defs"]["CaseDeclineReason"]["enum"].append("of_a_newer_edition")
    now["$defs"]["OfANewerEdition"] = {"type": "string"}
    assert list(changed(released, now)) == []
    directory = shape(schema("directory.v1"))
    now = copy.deepcopy(directory)
    now["properties"]["since"] = {"type": "string"}
    assert list(changed(directory, now)) == ["/properties/since"]
    assert list(changed(directory, now, lenient=True)) == []
