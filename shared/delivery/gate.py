"""The gates of sending: the bounds of a transaction's messages, and the gate before the relay. The days of senders.

A transaction sends no state while too many bytes are kept, and nothing of a party's own accord beyond its day. The
relay appends no state while the clock or the documents here cannot be trusted.

A recipient judges the decision of an edge by the broker's time, and would refuse each of them. An answer that is dated
ahead waits, too: its recipient would refuse it for good (`message_time_off`). The urgent lane waits for the clock
alone: a document never delays a withdrawal that follows a state, because the recipient can wait for the document.
Acknowledgements and the protocol's own messages are always sent.

A recipient does not rely on its senders' meters. It counts what each of them sends to each recipient for each purpose,
by the same costs, and releases apart. A sender may use in a day what its own instance may grant it, and the unused days
of a week before: what waited for the broker, the recipient or midnight comes at once. What is beyond that is deferred.
Nothing that a sender states, neither a time nor an id, gives it more. A message counts when it is first applied.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.clock import parse_rfc3339
from shared.core.contracts.registry import Meter
from shared.core.errors import Unavailable
from shared.core.guard import ADDED, cost
from shared.core.guard.budget import QuotaExceeded, day_of
from shared.core.guard.charge import BYTE
from shared.core.protocol.message import Draft, Received
from shared.core.routing.directory_index import DirectoryIndex
from shared.messaging.exceptions import DAY_SPENT
from shared.messaging.scope import Scope
from shared.messaging.segments import OutgoingMessage, Segment
from shared.messaging.streams import CONTROL_ROLES, Lane, WireRole
from shared.messaging.tracks import role_of
from shared.platform.database.columns import BoundRows, Columns, Statement
from shared.platform.database.transactions import Database, gather_part, write_parts
from shared.platform.observability.logs import log

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
ON CONFLICT (party, is_received, day) DO UPDATE SET bits = d.bits + excluded.bits RETURNING party, bits
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


#: The daily quotas up to which a released p0 record is debited on one day.
RELEASED_QUOTAS_MAX: Final = 10
#: The days of a sender that may arrive in one day.
DAYS_AT_ONCE: Final = 7
#: Bytes of records beyond a sender's days that are stored in a day, and the age in days at which one is refused.
OVER_BYTES_MAX: Final = 1024 * 1024
OVER_DAYS_MAX: Final = 35
DAY_FULL: Final = "sender_day_full"
#: The name of those bytes. All others name a recipient and a purpose, with a slash.
_OVER: Final = "over"


def room_of_day(quota: int, *, is_p0: bool, released: bool = False) -> int:
    """Return what a party may have used at the end of a day, in the unit of `quota`. Half of it is kept for p0 alone.

    A p0 record that a second person has `released` cannot wait: ten quotas.
    """
    if is_p0 and released:
        return RELEASED_QUOTAS_MAX * quota
    return quota + quota // 2 if is_p0 else quota


#: Parts of a day in which its use is counted, so that days of each size are used in whole numbers.
_DAY: Final = 1 << 32
_FIRST_DAY: Final = date(1970, 1, 1)


class _Use(NamedTuple):
    """What a sender uses of its days at one recipient, and until when they may be used up, in parts of days.

    `quota` is what the sender's directory entry gives it for a day, in sixteenths of a bit.
    """

    party: str
    quota: int
    recipient: str
    parts: int
    until: int


_USE: Columns[_Use] = Columns.of(_Use)
# One row for each sender, with the quota that its days were of. What was not used before today is lost, and is not
# stored. A smaller quota, or a person's retry, uses up no more than `most`, so the next day is free. With `checked`,
# days that are used up beyond `until` have no name in the object, which is an error.
_COUNT: Final = Statement(
    """
INSERT INTO daily_quota_usage AS d (party, is_received, day, bits, used)
SELECT use.party, true, {day}, max(use.quota), jsonb_object_agg(
    CASE WHEN NOT {checked} OR {today} + use.parts <= use.until THEN use.recipient END, {today} + use.parts)
FROM {use} GROUP BY use.party ORDER BY use.party
ON CONFLICT (party) WHERE is_received DO UPDATE SET day = excluded.day, bits = excluded.bits, used = (
    SELECT jsonb_object_agg(CASE WHEN NOT {checked} OR ends IS NULL OR ended <= ends THEN name END, ended) FROM (
        SELECT coalesce(new.recipient, old.key) AS name, new.until AS ends, {today} + coalesce(new.parts, 0)
            + CASE WHEN old.key IS NULL THEN 0
                WHEN old.key = 'over' OR (d.day, d.bits) = (excluded.day, excluded.bits)
                    THEN old.value::bigint - {today}
                ELSE least(floor((old.value::numeric - {today}) * d.bits / excluded.bits), {most})::bigint END AS ended
        FROM (SELECT key, value FROM jsonb_each(d.used) WHERE value::bigint > {today}) AS old
        FULL JOIN (SELECT use.* FROM {use} WHERE use.party = d.party) AS new ON new.recipient = old.key
    ) AS counted
)
RETURNING party, used
""",
    day="date",
    today="bigint",
    checked="bool",
    most="bigint",
    use=_USE,
)
_RESTORED: Final = "SELECT EXISTS (SELECT FROM incarnation WHERE urgent_through IS NULL)"
_BEGIN_ANEW: Final = "DELETE FROM daily_quota_usage WHERE is_received"


async def was_restored(driver: asyncpg.Connection) -> bool:
    """Return whether this database was restored once: an own stream had an earlier incarnation.

    The row of an incarnation of another instance, which was read here, has ends.
    """
    return bool(await driver.fetchval(_RESTORED))


async def forget_senders(driver: asyncpg.Connection) -> None:
    """Begin the days of all senders anew, because a restored database gets messages again."""
    await driver.execute(_BEGIN_ANEW)


class SenderDays:
    """The days of senders in one batch of messages.

    In a careful scope, a message beyond the days is deferred. In another one, an error ends the transaction, which is
    then repeated with care. `stored`: the messages that are exceptions already.
    """

    def __init__(
        self, driver: asyncpg.Connection, directory: DirectoryIndex, scope: Scope, *, stored: Collection[UUID]
    ) -> None:
        self._driver = driver
        self._directory = directory
        self._day = day_of(scope.now)
        self._today = (self._day - _FIRST_DAY).days * _DAY
        self._is_careful, self._is_forced = scope.is_careful, scope.is_forced
        self._stored = stored
        self._uses: dict[UUID, _Use] = {}

    async def admit(self, messages: Iterable[Received]) -> dict[UUID, str]:
        """Note messages before they are applied; return the codes of those that are not to be applied now."""
        new: list[Received] = []
        for each in messages:
            if each.message_id not in self._uses and (use := await self._use_of(each)) is not None:
                self._uses[each.message_id] = use
                new.append(each)
        if not self._is_careful or not new:
            return {}
        used = await self._count(self._uses[each.message_id] for each in new)
        for each in new:
            use = self._uses[each.message_id]
            used[_at(use)] -= use.parts
        over: list[Received] = []
        for each in new:
            use = self._uses[each.message_id]
            if self._is_forced or used[_at(use)] + use.parts <= use.until:
                used[_at(use)] += use.parts
            else:
                over.append(each)
        return await self._defer(over)

    async def close(self, applied: Collection[UUID]) -> None:
        """Count those of the noted messages that were applied, and no others."""
        if self._is_careful:
            undone = [use._replace(parts=-use.parts) for each, use in self._uses.items() if each not in applied]
            await self._count(undone)
        elif uses := _sums(use for each, use in self._uses.items() if each in applied):
            gather_part(self._driver, _COUNT.part(**self._bound(uses, checked=True)))

    def _bound(self, uses: Sequence[_Use], *, checked: bool) -> dict[str, Any]:
        values = {"day": self._day, "today": self._today, "most": DAYS_AT_ONCE * _DAY}
        return values | {"checked": checked, "use": _USE.rows(uses)}

    async def _use_of(self, message: Received) -> _Use | None:
        """Return what a message costs its sender, or None. A record's later additions are free, as at its origin.

        What is sent again is free if the directory or this database says that it was lost.
        """
        meter, again = message.message.meter, message.again
        if meter not in (Meter.RECORD, Meter.OWN):
            return None
        if again is not None and (not again.restored or await was_restored(self._driver)):
            return None
        spent = message.spent - ADDED * BYTE if meter is Meter.RECORD else cost(message.clear).whole + message.spent
        released = message.carried is not None and message.carried.released_by is not None
        to = f"{message.recipient}/{message.edge.purpose.value if message.edge else ''}{'/released' * released}"
        room = room_of_day(self._directory.quota(message.sender) * BYTE, is_p0=True, released=released)
        return self._use(message.sender, to, max(spent, 0), room=room, days=DAYS_AT_ONCE)

    def _use(self, party: str, recipient: str, spent: int, *, room: int, days: int = 1) -> _Use:
        quota = self._directory.quota(party) * BYTE
        return _Use(party, quota, recipient, -(-spent * _DAY // room), self._today + days * _DAY)

    async def _count(self, uses: Iterable[_Use]) -> dict[tuple[str, str], int]:
        """Add uses to the days; return until when they are used up, by sender and recipient."""
        if not (rows := _sums(uses)):
            return {}
        await write_parts(self._driver)
        found = await self._driver.fetch(*_COUNT.bind(**self._bound(rows, checked=False)))
        return {(row["party"], name): until for row in found for name, until in row["used"].items()}

    async def _defer(self, over: Sequence[Received]) -> dict[UUID, str]:
        """Return the code of each message beyond the days, with one alarm for those that are new."""
        codes: dict[UUID, str] = {}
        new = {
            each.message_id: self._use(each.sender, _OVER, len(each.record.value or b""), room=OVER_BYTES_MAX)
            for each in over
            if each.message_id not in self._stored
        }
        used = await self._count(new.values())
        for each in reversed(over):  # the last ones are beyond the bound
            is_old = (self._day - day_of(each.sent_at)).days > OVER_DAYS_MAX
            use = new.get(each.message_id)
            is_full = use is not None and used[_at(use)] > use.until
            codes[each.message_id] = DAY_FULL if is_old or is_full else DAY_SPENT
            if use is not None:
                used[_at(use)] -= use.parts
        if new:
            log("record_alarm", code=DAY_SPENT, count=len(new), peer=over[0].sender_instance)
        return codes


def _at(use: _Use) -> tuple[str, str]:
    return use.party, use.recipient


def _sums(uses: Iterable[_Use]) -> list[_Use]:
    """Return the sum for each sender and recipient."""
    found: dict[tuple[str, str], _Use] = {}
    for each in uses:
        before = found.get(_at(each))
        found[_at(each)] = each if before is None else each._replace(parts=before.parts + each.parts)
    return list(found.values())
