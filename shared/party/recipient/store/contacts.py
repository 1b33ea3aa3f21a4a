"""Agencies of which origins have told this one, since they have accepted the same, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.contracts.passing import Contact, SuggestedContact
from shared.exchange.act import Subject
from shared.exchange.message import Received
from shared.exchange.states import finished
from shared.party.recipient.domain import Item
from shared.party.recipient.store.views import view
from shared.party.waiting import CONTACT_SUGGESTED, RANK_MAX, Mend, Place, Waiting, Waits
from shared.runtime.database.columns import Columns, insert

_OVER: Final = sorted(finished(Subject.CASE))


class _Told(NamedTuple):
    """A row as it is written: it stands on the list from when it was told."""

    referral_id: UUID
    party: str
    agency: str
    ground: str
    their_referral_id: UUID
    at: datetime
    attention: datetime


_TOLD: Final = Columns.of(_Told)
_ADD: Final = insert("case_contact", _TOLD, end="ON CONFLICT DO NOTHING")
_SEEN: Final = """
UPDATE case_contact AS c SET attention = NULL FROM unnest($1::uuid[], $2::text[]) AS k (referral_id, party)
WHERE (c.referral_id, c.party) = (k.referral_id, k.party) AND c.attention IS NOT NULL
"""
#: By its origin alone: another's word is judged as any.
_KNOWN: Final = """
SELECT k.message_id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS k (message_id, referral_id, party, agency, origin)
JOIN case_contact AS c USING (referral_id, party, agency)
JOIN received AS f ON (f.subject, f.party, f.sender) = (k.referral_id, k.party, k.origin)
"""
_OF: Final = "SELECT agency, ground, their_referral_id, at FROM case_contact WHERE referral_id = $1 ORDER BY at, agency"
#: A case stands there once, however many agencies it was told of; one that is over does not: no act would end it.
_WAIT: Final = """
SELECT referral_id, since, sender, priority FROM (
    SELECT c.referral_id, min(c.attention) AS since FROM case_contact AS c
    WHERE c.party = $1 AND c.attention IS NOT NULL GROUP BY c.referral_id
) AS told JOIN received AS f ON f.subject = told.referral_id
WHERE f.party = $1 AND NOT f.state = ANY($5) AND (since, referral_id) > ($2, $3) ORDER BY since, referral_id LIMIT $4
"""


async def note_contacts(driver: asyncpg.Connection, messages: Sequence[Received]) -> None:
    """Keep of whom these messages tell."""
    if rows := [_told(message, message.sealed) for message in messages if isinstance(message.sealed, Contact)]:
        await driver.execute(*_ADD.bind(rows=_TOLD.rows(rows)))


async def contacts_known(driver: asyncpg.Connection, messages: Sequence[Received]) -> frozenset[UUID]:
    """Those that tell once more of whom their agency knows: they have no effect."""
    told = [(each, each.sealed) for each in messages if isinstance(each.sealed, Contact)]
    if not told:
        return frozenset()
    rows = [(each.message_id, UUID(each.subject), each.recipient, said.agency, each.sender) for each, said in told]
    return frozenset(row["message_id"] for row in await driver.fetch(_KNOWN, *map(list, zip(*rows, strict=True))))


async def contacts_seen(driver: asyncpg.Connection, items: Sequence[Item]) -> None:
    """Whoever acts on a case has seen of whom it was told."""
    if items:
        await driver.execute(_SEEN, [item.subject_id for item in items], [item.party for item in items])


async def contacts_of(driver: asyncpg.Connection, referral_id: UUID) -> list[SuggestedContact]:
    """The agencies that the case may have something in common with, in the order in which it was told of them."""
    return [view(SuggestedContact, row) for row in await driver.fetch(_OF, referral_id)]


async def contacts_waiting(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """Cases of which it was told of another agency, and that nobody has acted on since."""
    if rank_max < RANK_MAX:
        return []
    return [_waits(row) for row in await driver.fetch(_WAIT, party, *above.of_last_rank(), limit, _OVER)]


def _told(message: Received, said: Contact) -> _Told:
    of, at = UUID(message.subject), message.sent_at
    return _Told(of, message.recipient, said.agency, said.ground.value, said.their_referral_id, at, at)


def _waits(row: asyncpg.Record) -> Waits:
    told = {"kind": Subject.CASE, "subject": row["referral_id"], "party": row["sender"], "priority": row["priority"]}
    waiting = Waiting.model_validate(told | {"reasons": (CONTACT_SUGGESTED,), "since": row["since"], "mend": Mend.CALL})
    return Waits(Place(RANK_MAX, row["since"], row["referral_id"]), waiting)
