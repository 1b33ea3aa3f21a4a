"""Lists of a party's rows of `received`, case leases and contact suggestions, in PostgreSQL.

A list is one page of all rows or of those that match a filter, each row read from an index. A view of a row has its
columns and the words of its party's acts.

Open rows with a child at risk need a person of the recipient. They are read by one walk along an index.

Case leases are added and never changed: the lease with the highest number counts.

Contact suggestions name other agencies that have accepted the same referral or location, as origins have reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.core.acts.act import Subject
from shared.core.acts.states import finished
from shared.core.authority import Role
from shared.core.clock import EPOCH
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import Contact, SuggestedContact
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.message import Received
from shared.party.attention_item import (
    CONTACT_SUGGESTED,
    P0_OPEN,
    P0_UNCLAIMED,
    RANK_MAX,
    AttentionRow,
    ListPlace,
    Remedy,
    next_act,
    waits_of,
)
from shared.party.recipient.domain import UNCLAIMED, CaseLease, HeldItem, ItemQuery
from shared.platform.database.columns import Columns, Statement, decompress, insert
from shared.platform.database.pages import read_row, row_cursor

#: The place of an open row with a child at risk is this plus its time, so it is above all others.
AT_RISK: Final = 2**62
#: The columns of a list. The names of the parties' own words are those of their views.
SHOWN: Final = """subject, subject AS referral_id, subject AS notice_id, sender AS origin, sender AS notifier, party,
purpose, exercise, state, edge, item_numbers AS numbers, received_at, priority, revision, answers, language, sort_key"""
_TAKEN: Final = {
    "party": "text",
    "state": "text",
    "below": "bigint",
    "beside": "uuid",
    "low": "bigint",
    "high": "bigint",
    "most": "bigint",
    "level": "text",
    "sender": "text",
    "subjects": "uuid[]",
    "claimed_by": "text",
}
_MICROSECOND: Final = timedelta(microseconds=1)


def list_statement(*, more: str = "", claimed: str = "false") -> Statement:
    """Return the statement of a page. `more` are further columns, `claimed` selects rows that a person has claimed."""

    # It names the party, although row-level security does too, so that an index has the rows in their order.
    def band(above: int) -> str:
        return (
            f"(SELECT {SHOWN}{more} FROM received WHERE party = {{party}} "
            # One upper bound, at which the index walk begins for any page.
            f"AND sort_key >= {{low}} + {above} AND sort_key <= least({{high}} - 1 + {above}, {{below}}) "
            "AND (sort_key, subject) < ({below}, {beside}) "
            "AND ({state} IS NULL OR state = {state}) "
            "AND ({level} IS NULL OR priority = {level}) AND ({sender} IS NULL OR sender = {sender}) "
            "AND ({subjects} IS NULL OR subject = ANY({subjects})) "
            f"AND ({{claimed_by}} IS NULL OR {claimed}) ORDER BY sort_key DESC, subject DESC LIMIT {{most}})"
        )

    # Rows with a child at risk are above all others, in the order of their times.
    both = f"{band(AT_RISK)} UNION ALL {band(0)} ORDER BY sort_key DESC, subject DESC LIMIT {{most}}"
    return Statement(both, **_TAKEN)


async def read_page(
    driver: asyncpg.Connection, party: str, page: ItemQuery, *, statement: Statement, named: Sequence[UUID] | None
) -> tuple[list[asyncpg.Record], str | None]:
    """Return the rows of a page and the cursor of the next. `named`: the subjects that match the sought reference.

    Raises `Refused("cursor_invalid")`.
    """
    below, beside = (2**63 - 1, UUID(int=0)) if page.cursor is None else read_row(page.cursor)
    sought = page.sought
    asked = statement.bind(
        party=party,
        state=page.state,
        below=below,
        beside=beside,
        low=0 if sought.since is None else _microseconds(sought.since),
        high=AT_RISK // 2 if sought.until is None else _microseconds(sought.until),
        most=page.limit + 1,
        level=sought.priority,
        sender=sought.party,
        subjects=named,
        claimed_by=page.claimed_by,
    )
    rows: list[asyncpg.Record] = await driver.fetch(*asked)
    shown = rows[: page.limit]
    return shown, None if len(rows) <= page.limit else row_cursor(shown[-1])


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // _MICROSECOND


ViewT = TypeVar("ViewT", bound=Contract)


def words(clear: Contract) -> dict[str, object]:
    """Return the clear words of an act as they are stored: without its names, and without unset fields."""
    return clear.model_dump(mode="json", exclude_none=True, exclude=_NAMING)


#: The fields that name the subject of an act and its place in the track. They are not part of its words.
_NAMING: Final = {"referral_id", "notice_id", "revision", "act", "number"}


def view(kind: type[ViewT], row: asyncpg.Record, **more: object) -> ViewT:
    """Return a view of a row. A field comes from `more`, else its columns, else the party's words; else it is None."""
    said: Mapping[str, object] = row.get("answers") or row.get("details", {})
    known = dict(row) | more
    if "edge" in row:
        known["edge"] = from_json(decompress(row["edge"]))
    return kind.model_validate({name: known[name] if name in known else said.get(name) for name in kind.model_fields})


#: With a child at risk, the place is `AT_RISK` plus the microseconds of `received_at`. The walk begins at one bound.
_WAITING: Final = f"""
SELECT subject, sender, state, priority, received_at AS since FROM received WHERE party = $1 AND (sort_key, subject) > (
    {AT_RISK} + greatest((extract(epoch FROM $2::timestamptz) * 1000000)::bigint, 0), $3)
ORDER BY sort_key, subject LIMIT $4
"""


async def items_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, subject: Subject, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return open rows with a child at risk, the oldest first: the first `limit` after `above`."""
    if above.rank > 0:
        return []
    rows = await driver.fetch(_WAITING, party, above.since, above.id, limit)
    return [_waits(subject, row) for row in rows]


def _waits(subject: Subject, row: asyncpg.Record) -> AttentionRow:
    told = dict(row) | {"id": row["subject"], "party": row["sender"], "rank": 0}
    return waits_of(told, P0_OPEN, kind=subject, mend=next_act(subject, row["state"]))


Now = Callable[[], datetime]

_NEWEST: Final = """
SELECT number, actor, expires_at FROM case_lease WHERE referral_id = $1 AND party = $2 ORDER BY number DESC LIMIT 1
"""
_ADD: Final = """
INSERT INTO case_lease (referral_id, party, number, actor, expires_at, assigned_by, at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
#: The keys from which actor ids are derived, of the people and API keys of a party that still have one of these roles.
_OFFICERS: Final = """
SELECT decode(actor, 'hex') AS whose FROM console_account WHERE party = $1 AND role = ANY($2) AND ended_at IS NULL
UNION SELECT coalesce(decode(person, 'hex'), key_hash) FROM api_key
WHERE party = $1 AND role = ANY($2) AND revoked_at IS NULL
"""


#: Cases that an officer holds at the time $3.
_STANDING: Final = """
SELECT referral_id FROM (
    SELECT DISTINCT ON (referral_id) referral_id, actor, expires_at FROM case_lease
    WHERE referral_id = ANY($1::uuid[]) AND party = $2 ORDER BY referral_id, number DESC
) AS newest WHERE actor IS NOT NULL AND expires_at > $3
"""
#: The holder of a row of `received` by the newest lease, and the end of that lease.
CLAIMED: Final = """,
(SELECT l.actor FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_by,
(SELECT l.expires_at FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_until
"""

#: The cases that the person {claimed_by} of the party {party} holds by the newest lease.
MINE: Final = """subject IN (
    SELECT l.referral_id FROM case_lease AS l
    WHERE l.party = {party} AND l.actor = {claimed_by} AND l.expires_at > now() AND NOT EXISTS (
        SELECT FROM case_lease AS m WHERE m.referral_id = l.referral_id AND m.party = l.party AND m.number > l.number)
)"""


async def cases_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int, now: Now
) -> list[AttentionRow]:
    """Return open cases with a child at risk, as `items_waiting`. Unanswered cases without a lease are marked so."""
    found = await items_waiting(driver, party, above, subject=Subject.CASE, rank_max=rank_max, limit=limit)
    offered = [waits.row.subject for waits in found if waits.row.mend is Remedy.ACCEPT]
    held = {row["referral_id"] for row in await driver.fetch(_STANDING, offered, party, now())} if offered else set()
    nobodys = {each for each in offered if each not in held}
    return [_woken(waits) if waits.row.subject in nobodys else waits for waits in found]


def _woken(waits: AttentionRow) -> AttentionRow:
    update = {"reasons": (P0_UNCLAIMED, *waits.row.reasons), "mend": Remedy.CLAIM}
    return waits._replace(row=waits.row.model_copy(update=update))


@dataclass(frozen=True, slots=True)
class PostgresLeases:
    """`DeliveryLeases` within one transaction."""

    driver: asyncpg.Connection
    kek: KeyEncryptionKey

    async def newest(self, referral_id: UUID, party: str) -> CaseLease:
        row = await self.driver.fetchrow(_NEWEST, referral_id, party)
        return UNCLAIMED if row is None else CaseLease(*row)

    async def add(self, referral_id: UUID, party: str, lease: CaseLease, *, by: str, at: datetime) -> bool:
        values = lease.number, lease.actor, lease.until, by, at
        done: str = await self.driver.execute(_ADD, referral_id, party, *values)
        return done.endswith(" 1")

    async def is_officer(self, party: str, actor: str, roles: Collection[Role]) -> bool:
        rows = await self.driver.fetch(_OFFICERS, party, [role.value for role in roles])
        return any(self.kek.actor_id(party, row["whose"]) == actor for row in rows)


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


async def note_contacts(driver: asyncpg.Connection, messages: Sequence[Received]) -> None:
    """Store the contact suggestions of these messages."""
    if rows := [_told(message, message.sealed) for message in messages if isinstance(message.sealed, Contact)]:
        await driver.execute(*_ADD_CONTACT.bind(rows=_TOLD.rows(rows)))


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
