"""Places of notices and cases in recipients' stores filled by SQL, and the queries by place.

Three consecutive items have one place, in each of two forms, as when two releases share a store. A hundredth of the
places of notices has a preservation request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.core.protocol.locations import GROUPED_BY
from shared.features.bulk import store as work_items
from shared.features.preservation import store
from shared.features.preservation.rules import MATCHED_MAX
from shared.features.received.store import arriving

TABLES: Final = frozenset({"notice_location", "preservation", "preservation_location", "case_location"})
#: The tokens of the place of row `i`, one per form.
_TOKENS: Final = (
    "(SELECT version, sha256((version || ' ' || {party} || ' ' || i / 3)::bytea) FROM generate_series(1, 2) AS version)"
    " AS lies (version, token)"
)
_NOTICES: Final = """
INSERT INTO notice_location (notice_id, party, n, version, token)
SELECT {{id}}, {party}, 1, version, token FROM generate_series(1, {{rows}}) AS i, LATERAL {tokens}
"""
_WANTED: Final = """
INSERT INTO preservation (preservation_id, party, counterpart, exercise, state, offered, answer, kind, instrument, acts,
                          last_counterpart_act, is_requester, content, asked_at)
SELECT {{id}}, {party}, 'agency.example', false, 'withdrawn', 'withdrawn', 'none', 'preserve', 'eu_2023_1543', 1, 0,
       false, '', now()
FROM generate_series(1, {{rows}}, 100) AS i
"""
_LYING: Final = """
INSERT INTO preservation_location (preservation_id, party, version, token)
SELECT {{id}}, {party}, version, token FROM generate_series(1, {{rows}}, 100) AS i, LATERAL {tokens}
"""
_CASES: Final = """
INSERT INTO case_location (referral_id, party, n, version, token)
SELECT {{id}}, {party}, 1, version, token FROM generate_series(1, {{rows}}) AS i, LATERAL {tokens}
"""
#: At one place: three rows in each form, and their subjects.
_AT_ONE: Final = 100

#: Its name, the statement, its arguments, and the maximum of rows read.
_Asked = tuple[str, str, Sequence[object], int]


def of_notices(*, party: str) -> Sequence[str]:
    """Return the statements that fill places of notices, and preservation requests."""
    return _spelt(party, _NOTICES, _WANTED, _LYING)


def of_cases(*, party: str) -> Sequence[str]:
    """Return the statements that fill places of cases."""
    return _spelt(party, _CASES)


def asked(service: str, parties: Sequence[str], subjects: Sequence[UUID], first: int) -> Iterator[tuple[str, _Asked]]:
    """Yield each query with its party: about a page of subjects, or the second of them. `first` is the first number."""
    for party in parties:
        for name, statement, arguments, rows_max in _of_party(service, party, subjects, first):
            yield party, (f"{name}, of {party}", statement, arguments, rows_max)


def _of_party(service: str, party: str, subjects: Sequence[UUID], first: int) -> Iterator[_Asked]:
    one, limit, page = subjects[1], len(subjects) + 1, 20 * len(subjects)
    lying = [sha256(f"{GROUPED_BY} {party} {n // 3}".encode()).digest() for n in range(first, first + len(subjects))]
    if service == "law_enforcement":
        yield "cases at one place", arriving._ALIKE, (one, arriving.ALIKE_MAX), _AT_ONE
        tokens = arriving._TOKENS.rows([arriving.LocationToken(GROUPED_BY, each) for each in lying])
        stand, *bound = arriving._STAND.bind(places=tokens, party=party)
        yield "whether a place has a hold", stand, bound, page
    if service == "industry":
        yield "notices that lead work items", work_items._LEADING, (party, None, limit, GROUPED_BY, None), page
        yield "work items that notices lead", work_items._LED, (party, subjects, GROUPED_BY), page
        yield "where notices lie", work_items._PLACES, (party, subjects, GROUPED_BY), page
        yield "open notices at a place", work_items._OPEN_ITEMS, (party, lying, [1, 2]), page
        yield "preservation requests for an item", store._UNANSWERED_AT, (one, party, [1]), _AT_ONE
        yield "which notices a request matches", store._MATCHES, (one, party, MATCHED_MAX), _AT_ONE


def _spelt(party: str, *statements: str) -> Sequence[str]:
    return [each.format(party=party, tokens=_TOKENS.format(party=party)) for each in statements]
