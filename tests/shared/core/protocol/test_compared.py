"""The changes of an amendment, field by field."""

from __future__ import annotations

import random
from typing import Any

from shared.core.protocol.revision_diff import FieldChange, changed, compared


def record(**changes: Any) -> dict[str, Any]:
    item = {
        "n": 1,
        "locator": {"kind": "url", "value": "https://files.example/a"},
        "site_type": "imagehost",
        "assessments": [{"scheme": "interpol_baseline", "value": "baseline"}],
    }
    return {"media_kind": "image", "user_jurisdictions": ["NL"], "items": [item]} | changes


def test_each_field_that_is_otherwise_is_shown_with_both_of_its_values() -> None:
    assert changed(record(), record(media_kind="video", user_jurisdictions=["NL", "BE"])) == (
        FieldChange("media kind", "image", "video", closed=False),
        FieldChange("user jurisdictions", "NL", "NL, BE", closed=False),
    )


def test_items_are_told_apart_by_their_numbers_and_where_they_lie_is_closed() -> None:
    (item,) = record()["items"]
    added = {"n": 2, "locator": {"kind": "url", "value": "https://files.example/b"}, "site_type": "forum"}
    found = changed(record(), record(items=[added, item]))
    assert found == (
        FieldChange("item 2 locator kind", None, "url", closed=False),
        FieldChange("item 2 locator value", None, "https://files.example/b", closed=True),
        FieldChange("item 2 site type", None, "forum", closed=False),
    )
    assert [(each.now, each.before) for each in changed(record(items=[added, item]), record())] == [
        (each.before, each.now) for each in found
    ]


def test_of_what_was_erased_nothing_is_compared() -> None:
    first, second = compared([("revision 1", None), ("revision 2", record()), ("revision 3", record())])
    assert (first.before, first.now, first.changes) == ("revision 1", "revision 2", None)
    assert second.changes == ()
    assert compared([("revision 1", record())]) == ()


def test_every_value_of_any_two_records_is_the_same_or_shown() -> None:
    """If the shown changes are reversed, the result is the earlier record."""
    drawn = random.Random(5)
    for _ in range(200):
        one, other = (
            {name: drawn.choice([None, "x", "y", ["x", "y"], {"z": "x"}]) for name in ("a", "b", "c")} for _ in range(2)
        )
        shown = {each.field.split()[0] for each in changed(one, other)}
        assert {name for name in one if one[name] != other[name]} == shown
