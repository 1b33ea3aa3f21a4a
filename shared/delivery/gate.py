"""The gates of sending: the bounds of a transaction's messages, and the gate before the relay.

A transaction sends no state while too many bytes are kept, and nothing of a party's own accord beyond its day. The
relay appends no state while the clock or the documents here cannot be trusted.

A recipient judges the decision of an edge by the broker's time, and would refuse each of them. An answer that is dated
ahead waits, too: its recipient would refuse it for good (`message_time_off`). The urgent lane waits for the clock
alone: a document never delays a withdrawal that follows a state, because the recipient can wait for the document.
Acknowledgements and the protocol's own messages are always sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Final

import asyncpg

from shared.core.clock import parse_rfc3339
from shared.core.contracts.registry import Meter
from shared.core.errors import Unavailable
from shared.core.guard import cost
from shared.core.guard.budget import QuotaExceeded, day_of
from shared.core.guard.charge import BYTE
from shared.core.protocol.message import Draft
from shared.messaging.segments import OutgoingMessage, Segment
from shared.messaging.streams import CONTROL_ROLES, Lane, WireRole
from shared.messaging.tracks import role_of
from shared.platform.database.columns import BoundRows, Columns, Statement
from shared.platform.database.transactions import Database

#: The largest difference between the clock here and the broker's. Beyond it, decisions appear to be in the future.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
#: A message that is dated further ahead is sent, and refused with an alarm: later messages need not wait longer.
AHEAD_WAITS: Final = timedelta(hours=3)

#: The reasons why states wait; the first that applies counts: the clock, or documents that may not be the newest.
REASONS: Final = ("clock_off", "beat_late")


class SendGate:
    """The gate: it measures the clock at each append and checks the documents' age. It is open before the first one."""

    def __init__(self, documents: Callable[[], str] = lambda: "") -> None:
        """`documents` returns the reason why those here cannot be trusted, or ""."""
        self._documents = documents
        self._is_clock_off = self._is_ahead = False

    def measure(self, began_at: datetime, ended_at: datetime, broker_at: datetime | None) -> None:
        """Note an append that lasted from `began_at` to `ended_at`, by the clock here, and the broker's time of it.

        The clock is off only if no moment of the append is near enough to the broker's time.
        """
        if broker_at is not None:
            self._is_ahead = began_at - broker_at > CLOCK_TOLERANCE
            self._is_clock_off = self._is_ahead or broker_at - ended_at > CLOCK_TOLERANCE

    def reason(self) -> str:
        """Return why states wait: `clock_off`, or the reason of the documents; "" while they may be sent."""
        return "clock_off" if self._is_clock_off else self._documents()

    def reason_of(self, segment: Segment, now: datetime) -> str:
        """Return why a segment waits, or "" if it may be appended now."""
        if any(message.role is WireRole.STATE for message in segment.messages):
            reason = self.reason()
            if reason and (self._is_clock_off or segment.lane is not Lane.URGENT):
                return reason
        ahead = (_is_dated_ahead(message, now, is_ahead=self._is_ahead) for message in segment.messages)
        return "clock_off" if any(ahead) else ""


def _is_dated_ahead(message: OutgoingMessage, now: datetime, *, is_ahead: bool) -> bool:
    """Return whether a party's message states a time after the broker's. `is_ahead`: the clock here is."""
    if message.role is WireRole.FACT or message.role in CONTROL_ROLES:
        return False
    try:
        stated_at = parse_rfc3339(dict(message.record.headers)["ce_time"].decode())
    except (KeyError, ValueError):
        return False
    return is_ahead or CLOCK_TOLERANCE < stated_at - now <= AHEAD_WAITS


#: Seconds between two queries of the tables.
LOOK_S: Final = 10.0

#: The code of a state that is refused.
FULL: Final = "streams_full"

_SUM: Final = "SELECT coalesce(sum(octet_length(content) + octet_length(digests)), 0)::bigint AS bytes FROM segment"


class KeptBytesBound:
    """The check that refuses transactions that send states, while the own streams store too many bytes.

    Withdrawals, answers, outcomes and states of a child at risk are always sent.
    """

    def __init__(self, bytes_max: int, *, look_s: float = LOOK_S) -> None:
        self._bytes_max = bytes_max
        self._look_s = look_s
        self._looked_s = -look_s
        self._is_full = False

    async def check(self, driver: asyncpg.Connection, gathered: Iterable[object]) -> None:
        """Raise `Unavailable("streams_full")` if a state is sent and the bound was reached at the last sum.

        The sum is read on another connection, and no transaction waits for it: with all connections in use, it would
        wait without end. So the first transactions of a process are not refused.
        """
        if not any(_is_bounded(each) for each in gathered):
            return
        if monotonic() - self._looked_s >= self._look_s:
            self._looked_s = monotonic()
            self._looking = asyncio.create_task(self._look(driver.database))
        if self._is_full:
            raise Unavailable(FULL)

    async def _look(self, database: Database) -> None:
        with suppress(Unavailable):
            self._is_full = (await database.fetch(_SUM))[0]["bytes"] >= self._bytes_max


def _is_bounded(each: object) -> bool:
    return isinstance(each, Draft) and not each.is_p0 and role_of(each.message) is WireRole.STATE


SPENT: Final = Columns[str]({"party": "text", "bits": "bigint"})

#: Debits `spent` to a day. A caller may insert a condition between the two parts.
DEBIT: Final = """
INSERT INTO daily_quota_usage AS d (party, day, bits)
SELECT spent.party, {day}, spent.bits FROM {spent}
"""

#: All callers lock in the order of parties until the commit, so that two transactions never grant the same quota.
DEBIT_END: Final = """
ORDER BY spent.party
ON CONFLICT (party, day) DO UPDATE SET bits = d.bits + excluded.bits RETURNING party, bits
"""

_DEBIT: Final = Statement(DEBIT + DEBIT_END, day="date", spent=SPENT)


async def debit(driver: asyncpg.Connection, day: date, spent: Mapping[str, int]) -> Mapping[str, int]:
    """Debit costs to a day. Return what these parties have used of it, in sixteenths of a bit."""
    rows = await driver.fetch(*_DEBIT.bind(day=day, spent=bind_spent(spent)))
    return {row["party"]: row["bits"] for row in rows}


def bind_spent(spent: Mapping[str, int]) -> BoundRows[str]:
    """Bind used or available quotas as rows of `SPENT`."""
    return BoundRows(SPENT, [list(spent), list(spent.values())])


async def debit_own(driver: asyncpg.Connection, gathered: Iterable[object], quota: Callable[[str], int]) -> None:
    """Debit the messages that parties of this instance send of their own accord, with the ids in them.

    `quota`: the daily quota of a party in bytes. Raises `QuotaExceeded` if one has no room: nothing is sent then.
    """
    own = [each for each in gathered if isinstance(each, Draft) and each.message.meter is Meter.OWN]
    if not own:
        return
    spent = Counter[str]()
    for each in own:
        spent[each.sender] += _cost_of(each)
    at = own[-1].created_at
    after = await debit(driver, day_of(at), spent)
    if any(bits > quota(party) * BYTE for party, bits in after.items()):
        raise QuotaExceeded(at)


def _cost_of(draft: Draft) -> int:
    spent, sealed = cost(draft.message.clear.model_validate(draft.clear)).whole, draft.message.sealed
    if draft.plaintext is not None and sealed is not None:
        spent += cost(sealed.model_validate_json(draft.plaintext)).whole
    return spent
