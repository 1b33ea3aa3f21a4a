"""Where a provider's notices lie, by keyed tokens in its own database, and which of them agencies want kept.

A token says of two rows of one party that they speak of one place, and not of which. They are written when a notice or
a request comes, and looked up in the provider's own transactions alone: whoever asks or notifies is told nothing of it.
There is one by each version of the form, and a token is compared with those of its own version alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.preserving import PreservationRecord
from shared.contracts.referral import Locator
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.locations import FORMS, in_form
from shared.guard import kept_locator
from shared.party.preservation.domain import MATCHED_MAX, MatchedItem, Preservation
from shared.party.preservation.store.preservations import PostgresPreservations
from shared.runtime.database.columns import Columns, insert


class Token(NamedTuple):
    """What stands for a location by one version of the form, 16 bytes."""

    version: int
    token: bytes


class NoticeLocation(NamedTuple):
    """An item of a notice, and a token of where it lies."""

    notice_id: UUID
    party: str
    n: int
    version: int
    token: bytes


class _AskedLocation(NamedTuple):
    preservation_id: UUID
    party: str
    version: int
    token: bytes


NOTICED: Final = Columns.of(NoticeLocation)
_ASKED: Final = Columns.of(_AskedLocation)
_ADD_ASKED: Final = insert("preservation_location", _ASKED, end="ON CONFLICT DO NOTHING")
_UNANSWERED: Final = """
SELECT DISTINCT p.preservation_id FROM notice_location AS n
JOIN preservation_location AS a ON a.party = n.party AND a.version = n.version AND a.token = n.token
JOIN preservation AS p ON p.preservation_id = a.preservation_id AND p.party = a.party
WHERE n.notice_id = $1 AND n.party = $2 AND n.n = ANY($3::smallint[]) AND p.state = 'requested'
ORDER BY p.preservation_id
"""
_MATCHES: Final = """
SELECT DISTINCT n.notice_id, n.n FROM preservation_location AS a
JOIN notice_location AS n ON n.party = a.party AND n.version = a.version AND n.token = a.token
JOIN received AS t ON t.subject = n.notice_id AND t.party = n.party
WHERE a.preservation_id = $1 AND a.party = $2 AND t.state IN ('issued', 'acknowledged', 'in_part', 'reappeared')
ORDER BY n.notice_id, n.n LIMIT $3
"""
# Whoever asks and whoever removes at the same place follow one another: one sees what the other has done. Removals do
# not exclude each other. Each transaction locks all of its rows first and in their order: so nobody waits in a circle.
# An advisory lock would be anybody's who may connect.
_ASK: Final = "SELECT FROM location_turn WHERE slot = ANY($1::smallint[]) ORDER BY slot FOR UPDATE"
_REMOVE: Final = "SELECT FROM location_turn WHERE slot = ANY($1::smallint[]) ORDER BY slot FOR SHARE"
#: As many rows as the first revision fills in.
_SLOTS: Final = 32_768
_TOKENS: Final = "SELECT token FROM notice_location WHERE notice_id = $1 AND party = $2 AND n = ANY($3::smallint[])"
_ALL_TOKENS: Final = "SELECT token FROM notice_location WHERE notice_id = ANY($1::uuid[]) AND party = $2"


def tokens(locator: Locator, kek: KeyEncryptionKey, party: str) -> Iterator[Token]:
    """What stands for one place of one party, by each form that this release knows."""
    for version, form in FORMS.items():
        kept = kept_locator(locator, form.edition)
        yield Token(version, kek.location_token(party, version, in_form(kept, version)))


class ProviderPreservations(PostgresPreservations):
    """The preservations that a provider was asked for, and which of its notices they match."""

    async def take_turns(self, asked: Iterable[tuple[str, PreservationRecord]]) -> None:
        await self._lock(_ASK, [each.token for party, record in asked for each in self._tokens(party, record)])

    async def add(self, preservation: Preservation, record: PreservationRecord, at: datetime) -> None:
        party = preservation.party
        await super().add(preservation, record, at)
        rows = [_AskedLocation(preservation.preservation_id, party, *each) for each in self._tokens(party, record)]
        await self._driver.execute(*_ADD_ASKED.bind(rows=_ASKED.rows(rows)))

    async def unanswered(self, notice_id: UUID, party: str, items: Collection[int]) -> list[UUID]:
        """The requests that are not answered yet and want something kept at where these items of a notice lie."""
        numbers = sorted(items)
        lying = await self._driver.fetch(_TOKENS, notice_id, party, numbers)
        await self._lock(_REMOVE, [row["token"] for row in lying])
        rows = await self._driver.fetch(_UNANSWERED, notice_id, party, numbers)
        return [row["preservation_id"] for row in rows]

    async def before_removing(self, party: str, notices: Sequence[UUID]) -> None:
        """Wait until nobody asks for what may lie where the items of these lie; who asks waits for this transaction."""
        rows = await self._driver.fetch(_ALL_TOKENS, notices, party)
        await self._lock(_REMOVE, [row["token"] for row in rows])

    def _tokens(self, party: str, record: PreservationRecord) -> list[Token]:
        return list(dict.fromkeys(one for each in record.locations for one in tokens(each, self._kek, party)))

    async def _lock(self, statement: str, lying: Collection[bytes]) -> None:
        if lying:
            await self._driver.execute(statement, list({int.from_bytes(each[:2], "big") % _SLOTS for each in lying}))

    async def _matches(self, preservation_id: UUID, party: str) -> tuple[MatchedItem, ...]:
        rows = await self._driver.fetch(_MATCHES, preservation_id, party, MATCHED_MAX)
        return tuple(MatchedItem(notice_id=row["notice_id"], n=row["n"]) for row in rows)
