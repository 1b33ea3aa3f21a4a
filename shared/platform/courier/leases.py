"""Leases of webhook addresses that are due, and the results of sending to them.

    claim    FOR UPDATE SKIP LOCKED: a due address without a lease · store the lease · commit
    send     the events above its number, in order, with no transaction open
    note     only under that lease: number, log, next time · commit

A process that ends between the last two steps has stored nothing. Its lease expires, and the same events are sent again
under the same ids. So an event may arrive twice but is never skipped. The number moves only over confirmed events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

import asyncpg

from shared.core.acts.states import PAUSED_EVENT, Event, WebhookState
from shared.core.authority import Role
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, protect, reveal, unwrap, wrap
from shared.core.errors import Defect
from shared.core.ids import uuid4
from shared.platform.database.columns import Columns, insert
from shared.platform.database.feed import FeedPage, note_acts, read_feed
from shared.platform.database.transactions import Database, RowScope
from shared.platform.observability.logs import log

#: The time after which a process without a result counts as dead, by the database's clock. It is longer than a batch
#: with its last attempt can take.
LEASE: Final = timedelta(seconds=90)
#: The time to the next check of an address whose only events are past their retention, or whose party is suspended.
NOTHING_LEFT: Final = timedelta(minutes=1)
#: The pauses between the attempts at one event: 72 hours in all. After the last attempt the address is paused.
PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 5_095, 14_400, 28_800, 43_200, 72_000, 93_600)  # to 26 h
)
#: The longest pause of an address, by the number of failed attempts at the event after its number.
_PAUSES_MAX: Final = [NOTHING_LEFT, *(max(each, NOTHING_LEFT) for each in PAUSES)]
#: Lines of the log of one address.
LOG_LINES_MAX: Final = 1000

_UNLEASED: Final = (
    "(w.lease_expires_at IS NULL OR w.lease_expires_at <= now() "
    "OR w.lease_expires_at > clock_timestamp() + 2 * $4::interval)"
)
#: `$2`: free places, places of a party, places in all. `place` is which of its party's places an address would take,
#: and `turn` is its turn among all due addresses: first places before second ones. An address with a pause or lease
#: beyond the longest possible time is due, too: it was stored before the database's clock was set back.
_CLAIM = f"""
WITH ready AS (
    SELECT w.webhook_id, w.due_at, coalesce(b.held, 0)
        + row_number() OVER (PARTITION BY w.party ORDER BY w.due_at, w.webhook_id) AS place
    FROM webhook AS w JOIN feed AS f USING (party)
    LEFT JOIN unnest($5::text[], $6::int[]) AS b (party, held) USING (party)
    WHERE w.state = 'active' AND f.last_number > w.confirmed_number AND {_UNLEASED}
      AND (w.due_at <= now() OR w.due_at > clock_timestamp() + ($7::interval[])[w.failures + 1])
), ranked AS (
    SELECT webhook_id, place, row_number() OVER (ORDER BY place, due_at, webhook_id) AS turn
    FROM ready WHERE place <= ($2::int[])[2]
), due AS MATERIALIZED (
    SELECT w.webhook_id FROM webhook AS w JOIN ranked AS r USING (webhook_id)
    WHERE (r.turn <= ($2::int[])[1] OR r.place = 1) AND {_UNLEASED}
    ORDER BY r.turn LIMIT ($2::int[])[3] FOR UPDATE OF w SKIP LOCKED
)
UPDATE webhook AS w SET lease_id = $3, lease_expires_at = now() + $4 FROM due WHERE w.webhook_id = due.webhook_id
RETURNING w.webhook_id, w.party, w.confirmed_number AS number, w.failures, w.failing_since, w.wrapped_key, w.url,
    w.secret, CASE WHEN w.previous_secret_until > $1 THEN w.previous_secret END AS previous_secret
"""
_NOTE = """
UPDATE webhook SET confirmed_number = $3, failures = $4, failing_since = $5, due_at = now() + $6, state = $7,
                   line_count = line_count + $8, lease_id = NULL, lease_expires_at = NULL
WHERE webhook_id = $1 AND lease_id = $2 AND state = 'active' RETURNING line_count
"""
_NEWEST_CODE = """
SELECT code FROM webhook_delivery WHERE party = $1 AND webhook_id = $2 ORDER BY line_number DESC LIMIT 1
"""
_PAUSED = "SELECT count(*) FROM webhook WHERE state = 'paused'"


class HookKey(NamedTuple):
    """The data key of one address, and the row whose columns it protects: the URL and the signing secrets."""

    place: RowRef
    key: DataKey

    @classmethod
    def made(cls, webhook_id: UUID, party: str) -> Self:
        return cls(RowRef("webhook", str(webhook_id), party), DataKey.generate())

    @classmethod
    def opened(cls, webhook_id: UUID, party: str, wrapped: bytes, *, kek: KeyEncryptionKey) -> Self:
        """Unwrap the key of a row. Raises `Defect` if the row was changed or the key belongs to another row."""
        place = RowRef("webhook", str(webhook_id), party)
        return cls(place, unwrap(wrapped, kek, place.column("wrapped_key")))

    def wrapped(self, kek: KeyEncryptionKey) -> bytes:
        return wrap(self.key, kek, self.place.column("wrapped_key"))

    def protect(self, column: str, text: str) -> bytes:
        return protect(text.encode(), self.key, self.place.column(column))

    def reveal(self, column: str, protected: bytes) -> str:
        return reveal(protected, self.key, self.place.column(column)).decode()


@dataclass(frozen=True, slots=True)
class DueHook:
    """An address with events to send, leased to this process. `secrets` are the newest and the previous one."""

    webhook_id: UUID
    party: str
    lease: UUID
    number: int
    failures: int
    failing_since: datetime | None
    url: str
    secrets: tuple[str, ...]


class SendingPlaces(NamedTuple):
    """The places of one sending process: the number of free ones, and the number that each party holds.

    A party without a place gets its first one even if none is free. `most` is the limit of places to take.
    """

    free: int
    held: Mapping[str, int]
    of_party: int
    most: int


class Attempt(NamedTuple):
    """One line of the log. `attempt` counts from 1 for each event; 0 means no attempt, for a suspended party."""

    message_id: str
    event_number: int
    attempt: int
    at: datetime
    code: str
    status: int | None
    duration_ms: int


_LINE = Columns.of(Attempt, webhook_id="uuid", party="text", line_number="bigint", ring_slot="int")
_WRITE = insert(
    "webhook_delivery",
    _LINE,
    end="ON CONFLICT (webhook_id, ring_slot) DO UPDATE SET line_number = excluded.line_number,"
    " message_id = excluded.message_id, event_number = excluded.event_number, attempt = excluded.attempt,"
    " at = excluded.at, code = excluded.code,"
    " status = excluded.status, duration_ms = excluded.duration_ms",
)


@dataclass(frozen=True, slots=True)
class DeliveryLeases:
    """The addresses of the parties that an instance serves."""

    database: Database
    kek: KeyEncryptionKey
    parties: Callable[[], Sequence[str]]

    async def claim(self, places: SendingPlaces, *, at: datetime) -> Sequence[DueHook]:
        """Lease due addresses within the share of each party, the longest due first. `at` selects the valid secrets.

        An address that cannot be decrypted, because its row was changed or has another key, is tried again when its
        lease ends.
        """
        lease, held = uuid4(), places.held
        most = [places.free, places.of_party, places.most]
        async with self.database.transaction(self._scope()) as session:
            rows = await session.driver.fetch(
                _CLAIM, at, most, lease, LEASE, list(held), list(held.values()), _PAUSES_MAX
            )
        return [leased for row in rows if (leased := self._opened(lease, row)) is not None]

    async def events(self, one: DueHook, limit: int) -> FeedPage:
        """Return the events to send to an address, as the party's own machine would read them."""
        async with self.database.transaction(RowScope([one.party], Role.MACHINE, "read")) as session:
            return await read_feed(session.driver, one.party, above=one.number, limit=limit)

    async def note(self, one: DueHook, attempts: Sequence[Attempt], *, state: WebhookState, pause: timedelta) -> bool:
        """Store the last confirmed number and the log lines. The address is due again after the pause.

        Returns false and stores nothing if another process has the lease.
        """
        async with self.database.transaction(self._scope([one.party])) as session:
            done = (one.webhook_id, one.lease, one.number, one.failures, one.failing_since)
            entries = await session.driver.fetchval(_NOTE, *done, pause, state.value, len(attempts))
            if entries is None:
                return False
            lines = range(entries - len(attempts), entries)
            given: dict[str, Sequence[object]] = {
                "webhook_id": [one.webhook_id] * len(attempts),
                "party": [one.party] * len(attempts),
                "line_number": list(lines),
                "ring_slot": [each % LOG_LINES_MAX for each in lines],
            }
            await session.driver.execute(*_WRITE.bind(rows=_LINE.rows(attempts, **given)))
            if state is WebhookState.PAUSED:
                note_acts(session.driver, [Event(one.party, PAUSED_EVENT, one.webhook_id, state=state)])
        self.database.changes.note()
        return True

    async def newest_code(self, one: DueHook) -> str | None:
        """Return the code of the newest line of an address's log; None before the first."""
        async with self.database.transaction(RowScope([one.party], Role.MACHINE, "read")) as session:
            code: str | None = await session.driver.fetchval(_NEWEST_CODE, one.party, one.webhook_id)
        return code

    async def paused(self) -> int:
        """Return the number of paused addresses, which wait for their party to resume them."""
        async with self.database.transaction(self._scope()) as session:
            return int(await session.driver.fetchval(_PAUSED))

    def _scope(self, parties: Sequence[str] | None = None) -> RowScope:
        return RowScope(self.parties() if parties is None else parties, Role.SERVICE, "apply")

    def _opened(self, lease: UUID, row: asyncpg.Record) -> DueHook | None:
        known: dict[str, Any] = dict(row)
        try:
            safe = HookKey.opened(known["webhook_id"], known["party"], known.pop("wrapped_key"), kek=self.kek)
            sealed = known.pop("secret"), known.pop("previous_secret")
            secrets = tuple(safe.reveal("secret", each) for each in sealed if each is not None)
            return DueHook(**known | {"lease": lease, "url": safe.reveal("url", known["url"]), "secrets": secrets})
        except Defect as error:
            log("webhook_waits", code=error.code)
            return None
