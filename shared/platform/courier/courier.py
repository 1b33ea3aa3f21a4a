"""Delivery of each party's events to its webhooks, in order, with retries until they are confirmed.

No queue exists: an address is behind by the events that its receiver has not confirmed. A slow or unreachable receiver
delays no other receiver, and the party's feed shows all events meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Final
from uuid import UUID

from pydantic_core import to_json

from shared.core.acts.states import WebhookState
from shared.core.clock import Clock, rfc3339
from shared.core.envelope.webhooks import signed_headers
from shared.core.errors import CausewayError
from shared.platform.courier.endpoints import ENDPOINTS_MAX
from shared.platform.courier.leases import NOTHING_LEFT, PAUSES, Attempt, DeliveryLeases, DueHook, SendingPlaces
from shared.platform.courier.sender import Sender, SendResult
from shared.platform.database.feed import FeedEvent
from shared.platform.observability import metrics
from shared.platform.observability.logs import log

#: Addresses that one process sends to at once, in all and of one party. If slow receivers use all of them, a party
#: without a place still gets its first one, up to `ADDRESSES_MOST`.
ADDRESSES_MAX: Final = 64
ADDRESSES_OF_ONE: Final = ENDPOINTS_MAX
ADDRESSES_MOST: Final = 128
#: The number of events that a process sends to one address before it stores the result, and the time after which it
#: begins no further one.
BATCH_MAX: Final = 50
BATCH_S_MAX: Final = 30.0
POLL_S: Final = 1.0
#: The number of polls between two counts of the paused addresses.
COUNTED_EVERY: Final = 30
#: The log's code for an address whose party is suspended: no attempt was made.
SUSPENDED: Final = "party_suspended"
#: The status of a receiver that is permanently gone (RFC 9110, section 15.5.11).
_GONE: Final = 410


class WebhookDispatcher:
    """The sender of due events. Several processes may run one, because leases divide the addresses."""

    def __init__(
        self,
        leases: DeliveryLeases,
        sender: Sender,
        *,
        clock: Clock,
        name_of: Callable[[str], str] = lambda _: "",
        suspended: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Set up the courier. `name_of` returns a party's opaque name for the log.

        `suspended` returns whether the directory in force has suspended the party, which then gets no events.
        """
        self._leases = leases
        self._sender = sender
        self._clock = clock
        self._name_of = name_of
        self._suspended = suspended
        #: The present deliveries, with the party of each.
        self._busy: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        """Send until cancelled. Raises `Unavailable` if the database is unavailable."""
        try:
            for look in count():
                for each in await self._claim():
                    task = asyncio.create_task(self._carried(each))
                    self._busy[task] = each.party
                    task.add_done_callback(self._busy.pop)
                if look % COUNTED_EVERY == 0:
                    metrics.WEBHOOKS_PAUSED.set(await self._leases.paused())
                await self._leases.database.changes.pause(POLL_S)
        finally:
            for task in self._busy:
                task.cancel()

    async def carry(self) -> int:
        """Send a batch to each due address and return the number of addresses. Raises the database's errors."""
        claimed = await self._claim()
        await asyncio.gather(*(self._carry(each) for each in claimed))
        return len(claimed)

    @property
    def held(self) -> Counter[str]:
        """The places in use by party. A removed address holds its place until its attempt ends."""
        return Counter(self._busy.values())

    async def _claim(self) -> Sequence[DueHook]:
        busy = len(self._busy)
        if busy >= ADDRESSES_MOST:
            return ()
        places = SendingPlaces(max(0, ADDRESSES_MAX - busy), self.held, ADDRESSES_OF_ONE, ADDRESSES_MOST - busy)
        return await self._leases.claim(places, at=self._clock.now())

    async def _carried(self, one: DueHook) -> None:
        """Deliver to one address and log a failure. A failed address is tried again when its lease ends."""
        try:
            await self._carry(one)
        except Exception as error:  # logged by name only, because its text may quote the event
            code = error.code if isinstance(error, CausewayError) else "courier_defect"
            log("webhook_waits", code=code, party=self._name_of(one.party), error=type(error).__name__)

    async def _carry(self, one: DueHook) -> None:
        """Send the next events in order up to the first unconfirmed one, and store the result."""
        if self._suspended(one.party):
            await self._leave(one)
            return
        read, begun = await self._leases.events(one, BATCH_MAX), asyncio.get_running_loop().time()
        attempts: list[Attempt] = []
        state, pause = WebhookState.ACTIVE, timedelta() if read.events else NOTHING_LEFT
        for event in read.events:
            if self._suspended(one.party):
                break
            attempt = await self._attempt(one, event, read.epoch)
            attempts.append(attempt)
            metrics.WEBHOOK_DELIVERIES.labels("delivered" if attempt.code == "delivered" else "failed").inc()
            if attempt.code != "delivered":
                one = replace(one, failures=one.failures + 1, failing_since=one.failing_since or attempt.at)
                gone = attempt.status == _GONE or one.failures > len(PAUSES)
                state = WebhookState.PAUSED if gone else state
                pause = timedelta() if gone else PAUSES[one.failures - 1]
                break
            one = replace(one, number=event.number, failures=0, failing_since=None)
            if asyncio.get_running_loop().time() - begun > BATCH_S_MAX:
                break
        if await self._leases.note(one, attempts, state=state, pause=pause) and state is WebhookState.PAUSED:
            log("webhook_paused", party=self._name_of(one.party), code=attempts[-1].code)

    async def _leave(self, one: DueHook) -> None:
        """Send nothing to a suspended party, and check again later. The log states it once, at the next event."""
        read, at = await self._leases.events(one, 1), self._clock.now()
        is_suspended = await self._leases.newest_code(one) == SUSPENDED
        waits = [] if is_suspended else read.events
        lines = [
            Attempt(message_id_of(read.epoch, each.number), each.number, 0, at, SUSPENDED, None, 0) for each in waits
        ]
        await self._leases.note(one, lines, state=WebhookState.ACTIVE, pause=NOTHING_LEFT)

    async def _attempt(self, one: DueHook, event: FeedEvent, epoch: UUID) -> Attempt:
        at, begun = self._clock.now(), asyncio.get_running_loop().time()
        message_id, body = message_id_of(epoch, event.number), message_body(event, epoch)
        sent: SendResult = await self._sender.post(one.url, signed_headers(one.secrets, message_id, body, at=at), body)
        took_ms = int((asyncio.get_running_loop().time() - begun) * 1000)
        return Attempt(message_id, event.number, one.failures + 1, at, sent.code, sent.status, took_ms)


def message_id_of(epoch: UUID, number: int) -> str:
    """Return the id of an event of an epoch. It is the same at every attempt and for every address."""
    return f"evt_{epoch.hex}_{number}"


def message_body(event: FeedEvent, epoch: UUID) -> bytes:
    """Return the body `{type, timestamp, data}` of Standard Webhooks. `data` is the event of the feed and its epoch."""
    shown = event._asdict() | {"subject": str(event.subject), "at": rfc3339(event.at)}
    data = {"epoch": str(epoch)} | {name: value for name, value in shown.items() if value is not None}
    return to_json({"type": event.type, "timestamp": data["at"], "data": data})
