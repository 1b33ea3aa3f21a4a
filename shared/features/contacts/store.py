"""Contact suggestions to agencies, in PostgreSQL: at their origin, and at the agencies.

Trust: a writer of `contact` can suppress or repeat a suggestion. Its content follows from edges and links: to invent
one, a writer needs those tables, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.acts.states import finished
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import AnswerState
from shared.features.attention.rules import CONTACT_SUGGESTED, RANK_MAX, AttentionRow, ListPlace, Remedy, waits_of
from shared.features.contacts.contract import Contact, SuggestedContact
from shared.features.filing.ports import ActResult
from shared.features.received.rules import HeldItem
from shared.features.received.store.items import PostgresItems
from shared.features.received.store.listing import view
from shared.features.record_access.store import PartyStore
from shared.platform.database.columns import Columns, insert
from shared.platform.database.failure_isolation import ClaimedBatch


class CaseMatch(NamedTuple):
    """An agency's case that is similar to another agency's case, with the reason to suggest contact.

    `other_referral_id` is the referral of the other's case; `revision` is that of the agency's own.
    """

    party: str
    referral_id: UUID
    revision: int
    exercise: bool
    agency: str
    reason: str
    other_referral_id: UUID
    other_agency: str


#: Answers of an agency that has a case of the referral.
_HAS_A_CASE: Final = sorted(each.value for each in (AnswerState.ACCEPTED, AnswerState.ONGOING, AnswerState.CLOSED))
#: Similar cases that are examined for each referral. A location may occur in ten thousand referrals.
LIKE_MAX: Final = 200
_ACCEPTED: Final = """
INSERT INTO contact_suggestion_queue (referral_id, party) SELECT * FROM unnest($1::uuid[], $2::text[])
"""
#: The other agency of a suggestion keeps its row, because it has not lost the suggestion.
_AGAIN: Final = """
WITH forgotten AS (
    DELETE FROM contact AS c USING unnest($1::uuid[], $2::text[]) AS k (referral_id, agency)
    WHERE (c.referral_id, c.agency) = (k.referral_id, k.agency) RETURNING c.referral_id, c.party
)
INSERT INTO contact_suggestion_queue (referral_id, party) SELECT DISTINCT referral_id, party FROM forgotten
"""
# Each entry is a row of its own, so that one added during an examination is examined later.
_DUE: Final = """
DELETE FROM contact_suggestion_queue WHERE id IN (
    SELECT id FROM contact_suggestion_queue WHERE referral_id <> ALL($2::uuid[]) ORDER BY id LIMIT $1)
RETURNING referral_id, party
"""
# A suggestion never concerns a location that the agency was not sent.
_MET: Final = """
WITH due AS (
    SELECT r.referral_id, r.party, r.revision, r.exercise FROM referral AS r
    WHERE r.referral_id = ANY($1::uuid[]) AND r.state <> 'withdrawn'
), likes AS (
    SELECT d.*, n.reason, n.other_referral_id, n.other_revision FROM due AS d CROSS JOIN LATERAL (
        SELECT 'same_referral' AS reason, d.referral_id AS other_referral_id, d.revision AS other_revision
        UNION ALL
        SELECT 'same_location', o.referral_id, o.revision FROM (
            SELECT DISTINCT t.referral_id
            FROM location_token AS m JOIN location_token AS t USING (party, version, token)
            WHERE m.party = d.party AND m.referral_id = d.referral_id AND t.referral_id <> d.referral_id
        ) AS named JOIN referral AS o USING (referral_id)
        WHERE o.party = d.party AND o.exercise = d.exercise AND o.state <> 'withdrawn' AND EXISTS (
            SELECT FROM edge AS e WHERE e.referral_id = o.referral_id AND e.notice_id IS NULL AND NOT e.is_retracted
              AND e.state IN ('emitted', 'referred') AND e.answer = ANY($3) AND e.recipient = ANY($2))
        ORDER BY reason DESC, other_referral_id LIMIT $4
    ) AS n
), cases AS (
    SELECT DISTINCT referral_id, recipient, items FROM edge
    WHERE referral_id IN (SELECT referral_id FROM likes UNION SELECT other_referral_id FROM likes) AND notice_id IS NULL
      AND state IN ('emitted', 'referred') AND NOT is_retracted AND answer = ANY($3) AND recipient = ANY($2)
), pairs AS (
    SELECT l.*, mine.recipient AS agency, other.recipient AS other_agency FROM likes AS l
    JOIN cases AS mine USING (referral_id) JOIN cases AS other ON other.referral_id = l.other_referral_id
    WHERE mine.recipient <> other.recipient AND (l.reason = 'same_referral' OR EXISTS (
        SELECT FROM location_token AS m JOIN location_token AS t USING (party, version, token)
        WHERE m.party = l.party AND m.referral_id = l.referral_id AND m.n = ANY(mine.items)
          AND t.referral_id = l.other_referral_id AND t.n = ANY(other.items)))
), told AS (
    SELECT party, referral_id, revision, exercise, agency, reason, other_referral_id, other_agency FROM pairs
    UNION ALL
    SELECT party, other_referral_id, other_revision, exercise, other_agency, reason, referral_id, agency FROM pairs
    WHERE reason = 'same_location'
), first AS (
    SELECT DISTINCT ON (referral_id, agency, other_agency) * FROM told
    ORDER BY referral_id, agency, other_agency, reason DESC, other_referral_id
), kept AS (
    INSERT INTO contact (party, referral_id, agency, other_agency, reason, other_referral_id)
    SELECT party, referral_id, agency, other_agency, reason, other_referral_id FROM first
    ORDER BY referral_id, agency, other_agency ON CONFLICT DO NOTHING RETURNING referral_id, agency, other_agency
)
SELECT f.party, f.referral_id, f.revision, f.exercise, f.agency, f.reason, f.other_referral_id, f.other_agency
FROM first AS f JOIN kept USING (referral_id, agency, other_agency)
"""


class PostgresContacts(PartyStore):
    """The contact suggestions that are due or were made."""

    async def note_accepted(self, judged: Collection[ActResult]) -> None:
        """Record the referrals that these acts have accepted."""
        states = [(each.referral_id, each.party, each.answered.state) for each in judged if each.answered is not None]
        found = sorted({(referral_id, party) for referral_id, party, state in states if state is AnswerState.ACCEPTED})
        if found:
            await self._driver.execute(_ACCEPTED, *map(list, zip(*found, strict=True)))

    async def meet_again(self, cases: Collection[tuple[UUID, str]]) -> None:
        """Record that these agencies get their suggestions again, because their edges are sent again."""
        if cases:
            await self._driver.execute(_AGAIN, *map(list, zip(*sorted(cases), strict=True)))

    async def due(self, taking: ClaimedBatch) -> Sequence[UUID]:
        """Take referrals that an agency has accepted since, or that were found to name a known location."""
        rows = await self._driver.fetch(_DUE, taking.limit, taking.passed_over)
        return list({row["referral_id"] for row in taking.take(rows)})

    async def met(self, referral_ids: Collection[UUID], among: Collection[str]) -> Sequence[CaseMatch]:
        """Store and return the new suggestions among these agencies. Each case gets each other agency once."""
        rows = await self._driver.fetch(_MET, list(referral_ids), sorted(among), _HAS_A_CASE, LIKE_MAX)
        return [CaseMatch(*row) for row in rows]


_OVER: Final = sorted(finished(Subject.CASE))


class _ContactRow(NamedTuple):
    """A row to write. It is on the attention list from the time of the suggestion."""

    referral_id: UUID
    party: str
    agency: str
    reason: str
    other_referral_id: UUID
    at: datetime
    attention_since: datetime


_TOLD: Final = Columns.of(_ContactRow)
_ADD_CONTACT: Final = insert("case_contact", _TOLD, end="ON CONFLICT DO NOTHING")
_SEEN: Final = """
UPDATE case_contact AS c SET attention_since = NULL FROM unnest($1::uuid[], $2::text[]) AS k (referral_id, party)
WHERE (c.referral_id, c.party) = (k.referral_id, k.party) AND c.attention_since IS NOT NULL
"""
#: Suggestions that the case's own origin repeats. A suggestion by another party is judged as any message.
_KNOWN: Final = """
SELECT k.message_id FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS k (message_id, referral_id, party, agency, origin)
JOIN case_contact AS c USING (referral_id, party, agency)
JOIN received AS f ON (f.subject, f.party, f.sender) = (k.referral_id, k.party, k.origin)
"""
_OF: Final = """
SELECT agency, reason AS ground, other_referral_id AS their_referral_id, at FROM case_contact
WHERE referral_id = $1 ORDER BY at, agency
"""
#: A case is listed once for all its suggestions. A finished case is not listed, because no act could clear the entry.
_WAIT: Final = """
SELECT referral_id, since, sender, priority FROM (
    SELECT c.referral_id, min(c.attention_since) AS since FROM case_contact AS c
    WHERE c.party = $1 AND c.attention_since IS NOT NULL GROUP BY c.referral_id
) AS told JOIN received AS f ON f.subject = told.referral_id
WHERE f.party = $1 AND NOT f.state = ANY($5) AND (since, referral_id) > ($2, $3) ORDER BY since, referral_id LIMIT $4
"""


async def note_contacts(items: PostgresItems, messages: Sequence[Received]) -> None:
    """Store the contact suggestions of these messages."""
    if rows := [_told(message, message.sealed) for message in messages if isinstance(message.sealed, Contact)]:
        await items.driver.execute(*_ADD_CONTACT.bind(rows=_TOLD.rows(rows)))


async def contacts_known(driver: asyncpg.Connection, messages: Sequence[Received]) -> frozenset[UUID]:
    """Return the ids of messages that repeat a known contact suggestion: they have no effect."""
    told = [(each, each.sealed) for each in messages if isinstance(each.sealed, Contact)]
    if not told:
        return frozenset()
    rows = [(each.message_id, each.subject_id, each.recipient, said.agency, each.sender) for each, said in told]
    return frozenset(row["message_id"] for row in await driver.fetch(_KNOWN, *map(list, zip(*rows, strict=True))))


async def contacts_seen(driver: asyncpg.Connection, items: Sequence[HeldItem]) -> None:
    """Mark the contact suggestions of these cases as seen, because the agency has acted on the cases."""
    if items:
        await driver.execute(_SEEN, [item.subject_id for item in items], [item.party for item in items])


async def contacts_of(driver: asyncpg.Connection, referral_id: UUID) -> list[SuggestedContact]:
    """Return the agencies that may share the case or its location, in the order of the suggestions."""
    return [view(SuggestedContact, row) for row in await driver.fetch(_OF, referral_id)]


async def contacts_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return cases with a contact suggestion on which the party has not acted since."""
    if rank_max < RANK_MAX:
        return []
    return [_contact_waits(row) for row in await driver.fetch(_WAIT, party, *above.of_last_rank(), limit, _OVER)]


def _told(message: Received, said: Contact) -> _ContactRow:
    of, at = message.subject_id, message.sent_at
    return _ContactRow(of, message.recipient, said.agency, said.ground.value, said.their_referral_id, at, at)


def _contact_waits(row: asyncpg.Record) -> AttentionRow:
    told = dict(row) | {"id": row["referral_id"], "subject": row["referral_id"], "party": row["sender"]}
    return waits_of(told, CONTACT_SUGGESTED, kind=Subject.CASE, mend=Remedy.CALL)
