"""The work of one line in a batch: each statement about an item counts, under any name of the act."""

from __future__ import annotations

import pytest

from shared.catalog import CATALOG
from shared.core.acts.act import Act, Subject
from shared.core.ids import uuid7
from shared.features.bulk.store import BatchedAct

#: Statements about two items, for each act with statements about items.
OF_TWO = {
    "answer": {"items": [{"n": 1, "action": "removed"}, {"n": 2, "rejection": "not_found"}]},
    "not_ours": {"disowned": [{"n": 1}, {"n": 2}]},
    "reinstate": {"reinstated": [{"n": 1, "reason": "court_order"}, {"n": 2, "reason": "court_order"}]},
    "assess": {"assessed": [{"n": 1, "action": "removed"}, {"n": 2, "action": "removed"}]},
    "dispute": {"disputed": [{"n": 1, "reason": "duplicate"}, {"n": 2, "reason": "false_positive"}]},
    "ask": {"about": [1, 2], "needs": ["location"]},
}
ACTS = [row for subject in (Subject.OFFER, Subject.CASE, Subject.NOTICE) for row in CATALOG.personal(subject)]


@pytest.mark.parametrize(
    "row", [row for row in ACTS if row.name in OF_TWO], ids=lambda row: f"{row.subject}-{row.name}"
)
def test_each_statement_costs_one(row: Act) -> None:
    assert row.takes is not None
    said = row.takes.model_validate(OF_TWO[row.name])
    assert BatchedAct(0, row, uuid7(), said).items == 2


def test_what_says_nothing_of_items_costs_its_line_alone() -> None:
    for row in ACTS:
        if row.takes is None:
            assert BatchedAct(0, row, uuid7(), None).items == 0
