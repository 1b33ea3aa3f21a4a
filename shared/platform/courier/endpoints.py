"""The webhooks of parties, as their own people and machines see and change them.

Each call runs in the caller's transaction, for one party and one action; row-level security enforces that. A replay
ends the lease of the process that sends to the address, and the result of its present batch is discarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.states import TEST_EVENT, Event, WebhookState
from shared.core.clock import seconds_to_midnight
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.envelope.webhooks import new_secret
from shared.core.errors import Refused, not_found
from shared.core.ids import uuid7
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.courier.leases import HookKey
from shared.platform.database.feed import note_acts
from shared.platform.database.journal import AccessEnd
from shared.platform.database.transactions import gather

ENDPOINTS_MAX: Final = 8
#: The guard does not charge addresses, so a party may replace each of them once a day, and no more.
ENDPOINTS_A_DAY: Final = 16
#: The time for which the previous secret also signs after a rotation.
BOTH_SECRETS: Final = timedelta(hours=24)

_COLUMNS: Final = """
webhook_id, state, confirmed_number AS number, wrapped_key, url, failures, failing_since, due_at, previous_secret_until,
created_at AS made_at"""
_LAST: Final = "coalesce((SELECT last_number FROM feed WHERE party = $1), 0)"
_LIST = f"SELECT {_COLUMNS}, {_LAST} AS last FROM webhook WHERE party = $1 AND state <> 'removed' ORDER BY webhook_id"
_ONE = f"SELECT {_COLUMNS}, {_LAST} AS last FROM webhook WHERE party = $1 AND webhook_id = $2 AND state <> 'removed'"
_LOCK = (
    f"SELECT wrapped_key, state, confirmed_number, {_LAST} AS last FROM webhook WHERE party = $1 "
    f"AND webhook_id = $2 FOR UPDATE"
)
#: Registrations of a party run one after the other, so that none exceeds the limit. Each locks the row of the party's
#: feed, which only the service can lock, and creates the row if the party has no event yet.
_IN_TURN = """
INSERT INTO feed AS f (party, last_number) VALUES ($1, 0) ON CONFLICT (party) DO UPDATE SET last_number = f.last_number
"""
_COUNT = f"""
SELECT count(*) FILTER (WHERE state <> 'removed') AS count, {_LAST} AS last,
       count(*) FILTER (WHERE created_at >= date_trunc('day', $2::timestamptz, 'UTC')) AS today
FROM webhook WHERE party = $1
"""
_ADD = """
INSERT INTO webhook (webhook_id, party, state, confirmed_number, wrapped_key, url, secret, due_at, created_at)
VALUES ($1, $2, 'active', $3, $4, $5, $6, now(), $7)
"""
_ROTATE = """
UPDATE webhook SET previous_secret = secret, previous_secret_until = $3, secret = $2 WHERE webhook_id = $1
"""
# The present sender loses its lease. No other sender begins until that lease would have ended, so the order is kept.
_REPLAY = """
UPDATE webhook SET state = 'active', confirmed_number = $2, failures = 0, failing_since = NULL, due_at = now(),
    lease_id = NULL WHERE webhook_id = $1
"""
_REMOVED = """
state = 'removed', wrapped_key = NULL, url = NULL, secret = NULL, previous_secret = NULL, lease_id = NULL"""
_REMOVE = f"UPDATE webhook SET {_REMOVED} WHERE webhook_id = $1"
#: The kind of a removed address in the erasure journal, and the statement that removes it again after a restore.
WEBHOOK: Final = "webhook"
REMOVE_AGAIN: Final = f"""
UPDATE webhook AS w SET {_REMOVED} FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
WHERE w.webhook_id = e.subject AND w.party = e.party AND w.state <> 'removed'
"""
_LOG = """
SELECT line_number, message_id, event_number, attempt, at, code, status, duration_ms FROM webhook_delivery
WHERE party = $1 AND webhook_id = $2 AND line_number < $3 ORDER BY line_number DESC LIMIT $4
"""


class WebhookEndpoint(NamedTuple):
    """A webhook as its party sees it. `number` is the last confirmed event, and `last` is the last of the feed."""

    webhook_id: UUID
    url: str
    state: WebhookState
    number: int
    last: int
    failures: int
    failing_since: datetime | None
    due_at: datetime
    both_until: datetime | None
    made_at: datetime


class CreatedEndpoint(NamedTuple):
    """A webhook that was registered, or got another secret. The secret can be read until the webhook is removed."""

    webhook_id: UUID
    state: WebhookState
    secret: bytes


class Delivery(NamedTuple):
    """One attempt. `code` is `delivered` or the reason of the failure; `attempt` counts from 1 for each event."""

    entry: int
    message_id: str
    number: int
    attempt: int
    at: datetime
    code: str
    status: int | None
    duration_ms: int


class WebhookEndpoints:
    """One party's webhooks, within a transaction."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey, party: str) -> None:
        self._driver = driver
        self._kek = kek
        self._party = party

    async def list(self) -> Sequence[WebhookEndpoint]:
        return [self._endpoint(row) for row in await self._driver.fetch(_LIST, self._party)]

    async def show(self, webhook_id: UUID) -> WebhookEndpoint:
        """Return one webhook. Raises `not_found` if it is missing, removed or another party's."""
        row = await self._driver.fetchrow(_ONE, self._party, webhook_id)
        if row is None:
            raise not_found()
        return self._endpoint(row)

    async def deliveries(self, webhook_id: UUID, *, before: int, limit: int) -> Sequence[Delivery]:
        """Return the newest attempts before a line of the log. Raises `not_found` as `show` does."""
        await self.show(webhook_id)
        rows = await self._driver.fetch(_LOG, self._party, webhook_id, before, limit)
        return [Delivery(*row.values()) for row in rows]

    async def secret(self, webhook_id: UUID, protected: bytes) -> str:
        """Decrypt the protected secret of `CreatedEndpoint`, for the answer to the request.

        Raises `Refused("webhook_removed")`.
        """
        row = await self._driver.fetchrow(_ONE, self._party, webhook_id)
        if row is None:
            raise Refused("webhook_removed", "its secrets are erased: register it again with another key", status=409)
        return HookKey.opened(webhook_id, self._party, row["wrapped_key"], kek=self._kek).reveal("secret", protected)

    async def register(self, url: str, *, after: int | None, at: datetime) -> CreatedEndpoint:
        """Register a webhook for the events after number `after`, or without it, for future events.

        Raises `Refused`: `webhooks_full`, `budget_exceeded`, `webhook_number_unknown`.
        """
        await self._driver.execute(_IN_TURN, self._party)
        held = await self._driver.fetchrow(_COUNT, self._party, at)
        if held["count"] >= ENDPOINTS_MAX:
            raise Refused("webhooks_full", f"at most {ENDPOINTS_MAX}: remove one first", status=409)
        if held["today"] >= ENDPOINTS_A_DAY:
            raise BudgetExceeded("webhooks", limit=ENDPOINTS_A_DAY, reset_s=seconds_to_midnight(at))
        _check_number(after, held["last"], field="/after")
        webhook_id = uuid7()
        safe = HookKey.made(webhook_id, self._party)
        made = CreatedEndpoint(webhook_id, WebhookState.ACTIVE, safe.protect("secret", new_secret()))
        number = held["last"] if after is None else after
        kept = (safe.wrapped(self._kek), safe.protect("url", url), made.secret)
        await self._driver.execute(_ADD, webhook_id, self._party, number, *kept, at)
        return made

    async def rotate(self, webhook_id: UUID, *, at: datetime) -> CreatedEndpoint:
        """Create another secret. The previous one also signs for `BOTH_SECRETS`."""
        held = await self._locked(webhook_id)
        safe = HookKey.opened(webhook_id, self._party, held["wrapped_key"], kek=self._kek)
        made = CreatedEndpoint(webhook_id, WebhookState(held["state"]), safe.protect("secret", new_secret()))
        await self._driver.execute(_ROTATE, webhook_id, made.secret, at + BOTH_SECRETS)
        return made

    async def replay(self, webhook_id: UUID, number: int | None) -> int:
        """Send again from this event number on, or from the first unconfirmed event. A paused webhook is resumed.

        Returns the number before the next event. Raises `Refused("webhook_number_unknown")`.
        """
        held = await self._locked(webhook_id)
        after = int(held["confirmed_number"]) if number is None else number - 1
        _check_number(after, held["last"], field="/number")
        await self._driver.execute(_REPLAY, webhook_id, after)
        return after

    async def trigger(self, webhook_id: UUID) -> WebhookState:
        """Add a test event to the party's feed. It is delivered as any other event."""
        state = WebhookState((await self._locked(webhook_id))["state"])
        note_acts(self._driver, [Event(self._party, TEST_EVENT, webhook_id, state=state)])
        return state

    async def remove(self, webhook_id: UUID) -> None:
        """Remove a webhook, also in a later restored database, and erase its address and secrets."""
        await self._locked(webhook_id)
        await self._driver.execute(_REMOVE, webhook_id)
        gather(self._driver, [AccessEnd(WEBHOOK, webhook_id, self._party)])

    async def _locked(self, webhook_id: UUID) -> asyncpg.Record:
        row = await self._driver.fetchrow(_LOCK, self._party, webhook_id)
        if row is None:
            raise not_found()
        return row

    def _endpoint(self, row: asyncpg.Record) -> WebhookEndpoint:
        data: dict[str, Any] = dict(row)
        key = HookKey.opened(data["webhook_id"], self._party, data.pop("wrapped_key"), kek=self._kek)
        both_until = data.pop("previous_secret_until")
        named = {"url": key.reveal("url", data["url"]), "state": WebhookState(data["state"]), "both_until": both_until}
        return WebhookEndpoint(**(data | named))


def _check_number(after: int | None, last: int, *, field: str) -> None:
    if after is not None and not 0 <= after <= last:
        raise Refused("webhook_number_unknown", "a number of your feed, as GET /v1/events shows it", field=field)
