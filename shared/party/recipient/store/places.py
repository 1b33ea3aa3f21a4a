"""Where an agency's cases lie, by keyed tokens in its own database: which others lie there, and whether one is held.

A token says of two rows of one party that they speak of one place, and not of which. They are written when a case
comes, known places and new ones alike, and looked up when somebody of the agency looks or asks. There is one by each
version of the form, and a token is compared with those of its own version alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.contracts.preserving import PreservationRecord
from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Received
from shared.party.preservation.store.locations import Token, tokens
from shared.party.recipient.records import AlikeCase
from shared.party.recipient.store.arriving import insert_locations
from shared.runtime.database.columns import Bound, Columns, Statement

#: So many others are shown of a case, the newest: as many as one request acts on, beside the case itself.
ALIKE_MAX: Final = 99


class CaseLocation(NamedTuple):
    """An item of a case, and a token of where it lies."""

    referral_id: UUID
    party: str
    n: int
    version: int
    token: bytes


_TOKENS: Final = Columns.of(Token)
LOCATION: Final = Columns.of(CaseLocation)
_ADD: Final = insert_locations("case_location", LOCATION)
_ALIKE: Final = """
SELECT c.subject AS referral_id, c.sender AS origin, c.state, EXISTS (
    SELECT FROM hold AS h
    WHERE h.referral_id = c.subject AND h.party = c.party AND h.state IN ('asked', 'active')) AS held
FROM received AS c WHERE c.state IN ('offered', 'accepted', 'ongoing') AND (c.subject, c.party) IN (
    SELECT other.referral_id, other.party
    FROM case_location AS mine JOIN case_location AS other USING (party, version, token)
    WHERE mine.referral_id = $1 AND other.referral_id <> $1)
ORDER BY c.received_at DESC, c.subject LIMIT $2
"""
_STAND: Final = Statement(
    """
SELECT EXISTS (SELECT FROM {places} JOIN case_location AS l USING (version, token)
               JOIN hold AS h USING (referral_id, party)
               WHERE l.party = {party} AND h.state IN ('asked', 'active'))
""",
    places=_TOKENS,
    party="text",
)


def bind_places(messages: Sequence[Received], kek: KeyEncryptionKey) -> Bound[CaseLocation]:
    """Bind the places where the items of these cases lie."""
    return LOCATION.rows([row for message in messages for row in _placed(message, kek)])


async def note_places(driver: asyncpg.Connection, messages: Sequence[Received], kek: KeyEncryptionKey) -> None:
    """Store the places where the items of these cases lie. A place that is stored stays as it is."""
    await driver.execute(*_ADD.bind(places=bind_places(messages, kek)))


async def alike(driver: asyncpg.Connection, referral_id: UUID) -> list[AlikeCase]:
    """The agency's other open cases at the places of this one, the newest first."""
    return [AlikeCase.model_validate(dict(row)) for row in await driver.fetch(_ALIKE, referral_id, ALIKE_MAX)]


@dataclass(frozen=True, slots=True)
class HeldPlaces:
    """What an agency has had held, by the places of its cases."""

    driver: asyncpg.Connection
    kek: KeyEncryptionKey

    async def stand(self, party: str, record: PreservationRecord) -> bool:
        """Whether a hold of the party's is asked or in force at any of these places."""
        places = _TOKENS.rows([one for each in record.locations for one in tokens(each, self.kek, party)])
        return bool(await self.driver.fetchval(*_STAND.bind(places=places, party=party)))


def _placed(message: Received, kek: KeyEncryptionKey) -> Iterator[CaseLocation]:
    if isinstance(message.sealed, ReferralRecord):
        for item in message.sealed.items:
            for each in tokens(item.locator, kek, message.recipient):
                yield CaseLocation(UUID(message.subject), message.recipient, item.n, *each)
