"""The loops that append to Kafka, under the relay's lease: own streams, copies for audit, and acknowledgements.

Each stream has its own task, order and back-off, so no stream waits for another one. After a crash between an append
and its note, the append is repeated with the same bytes, and readers drop the second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final

from shared.core.clock import Clock
from shared.core.envelope.keys import SigningKey
from shared.core.errors import CausewayError, Unavailable
from shared.core.protocol.authority import AUDIT
from shared.delivery.gate import SendGate
from shared.delivery.sending import ScopeFactory
from shared.delivery.session_check import known_peers
from shared.messaging import relay
from shared.messaging.acks import build_ack_record, find_ack_turn
from shared.messaging.kafka.log import KafkaLog
from shared.messaging.ports import AppendPosition, PlacedRecord
from shared.messaging.relay import AppendWatch, HandedSegments
from shared.messaging.segments import Segment
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import LANES, Incoming, Lane, Outgoing, Pair
from shared.messaging.upkeep import give_ack
from shared.platform.database.changes import IDLE_PAUSES_S
from shared.platform.observability.health import Check, until_turn
from shared.platform.observability.logs import log
from shared.platform.observability.telemetry import span, traceparents

#: Codes of an operator's fault: the topic is missing, forbidden, or too small for a record.
MENDED_BY_HAND: Final = frozenset({"broker_refuses", "broker_record_bound"})


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """The pauses of the relay in seconds. A pause after a failure doubles up to its maximum.

    `look_s`: the time between two queries of the tables, and between two notes of a stream's appends. The first query
    after a pause runs at once. `clock_check_s`: the time between two appends that only measure the clock, while states
    wait for it. While the database is idle, `poll_s` is longer (`Changes.pause`).
    """

    poll_s: float = 1.0
    look_s: float = 1.0
    clock_check_s: float = 10.0
    back_off_s: float = 0.2
    back_off_s_max: float = 5.0
    refused_s: float = 10.0
    refused_s_max: float = 300.0


class _Turn:
    """Work of one task, with its own back-off. `waits_for` is the code of the present failure.

    `is_working`: the running work finds due records itself, except those that another process has committed.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[bool]], options: RelayOptions) -> None:
        """Start the task. `work` returns whether there may be more of it."""
        self._name = name
        self._work = work
        self._options = options
        self._has_news = asyncio.Event()
        self.waits_for = ""
        self.is_working = self._is_ended = False
        self.task = asyncio.create_task(self._run())

    def wake(self) -> None:
        self._has_news.set()

    def end(self) -> asyncio.Task[None]:
        """End the task after its running work, and return it."""
        self._is_ended = True
        if not self.is_working:
            self.task.cancel()
        return self.task

    async def _run(self) -> None:
        options, failed_s, refused_s = self._options, 0.0, 0.0
        while not self._is_ended:
            await self._has_news.wait()
            self._has_news.clear()
            self.is_working = True
            try:
                if await self._work():
                    self._has_news.set()
                self.waits_for, failed_s, refused_s = "", 0.0, 0.0
            except Exception as error:  # a defect stops this stream for a while, and no other
                self.waits_for = error.code if isinstance(error, CausewayError) else "relay_defect"
                log("relay_waits", code=self.waits_for, topic=self._name, error=type(error).__name__)
            finally:
                self.is_working = False
            if not self.waits_for:
                continue
            if self.waits_for in MENDED_BY_HAND:
                refused_s = min(refused_s * 2 or options.refused_s, options.refused_s_max)
            failed_s = min(failed_s * 2 or options.back_off_s, options.back_off_s_max)
            await asyncio.sleep(refused_s if self.waits_for in MENDED_BY_HAND else failed_s)
            self._has_news.set()


class StreamRelay:
    """The relay, which appends due records. One is active per instance.

    `hand_over` is called with the segments of each commit of this process. A query of the tables is the fallback.
    """

    def __init__(
        self,
        scopes: ScopeFactory,
        kafka_log: KafkaLog,
        *,
        key: SigningKey,
        peers: Callable[[], Sequence[str]],
        clock: Clock,
        gate: SendGate | None = None,
        options: RelayOptions = RelayOptions(),
        is_idle: Callable[[], bool] = lambda: False,
    ) -> None:
        """Set up the relay.

        `peers` returns the instances that may be probed; it raises `Unavailable` before there is a directory.
        """
        self._scopes = scopes
        self._kafka_log = kafka_log
        self._key = key
        self._peers = peers
        self._clock = clock
        self._gate = gate or SendGate()
        self._options = options
        self._is_idle = is_idle
        self._watch = AppendWatch()
        self._handed = HandedSegments()
        #: By stream, the appends since the last note, and the time of that note.
        self._unnoted: dict[tuple[str, Lane], relay.Append] = {}
        self._noted_s: dict[tuple[str, Lane], float] = {}
        self._is_running = False
        self._has_news = asyncio.Event()
        self._turns: dict[tuple[str, str, int], _Turn] = {}
        self._waiting_streams: dict[tuple[str, Lane], str] = {}
        self._clock_checks: dict[str, bool] = {}
        self._clock_checked_s = -options.clock_check_s
        self._acks_looked_s = -options.poll_s
        self._waits_for = ""
        self.last_progress: datetime | None = None

    def wake(self) -> None:
        """Query the tables for due records soon, instead of at the next poll."""
        self._has_news.set()

    def hand_over(self, segments: Sequence[Segment]) -> None:
        """Append segments that this process has committed, without a query of the tables."""
        if self._is_running:
            for each in segments:
                for lane in self._handed.add(each):
                    self._wake_turn("stream", each.pair.addressee, lane)

    def check(self) -> Check:
        """Return ready, also in an outage, which `reason` names. Messages stay in the database meanwhile."""
        waits = sorted(turn.waits_for for turn in self._turns.values() if turn.waits_for)
        gated = sorted(self._waiting_streams.values())
        return Check("relay", True, next(filter(None, (self._waits_for, *gated, self.states_wait(), *waits)), ""))

    def states_wait(self) -> str:
        """Return why states wait, one of `gate.REASONS`, or ""."""
        return self._gate.reason()

    async def run(self) -> None:
        """Append until cancelled."""
        self._is_running = True
        try:
            while True:
                self._has_news.clear()
                await self._look()
                await asyncio.sleep(self._options.look_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s()):
                        await self._has_news.wait()
        finally:
            self._is_running = False
            # Noted appends are not repeated after a restart. A second cancellation ends running ones, too.
            await asyncio.gather(*(turn.end() for turn in self._turns.values()), return_exceptions=True)
            for peer, lane in [*self._unnoted]:
                with suppress(CausewayError):
                    await self._note(peer, lane)

    def _poll_s(self) -> float:
        is_idle = self._is_idle() and not self._waiting_streams
        return until_turn(IDLE_PAUSES_S[0]) if is_idle else self._options.poll_s

    async def _look(self) -> None:
        """Wake the tasks that have due work."""
        try:
            async with self._scopes.read() as tx:
                outgoing_by_peer = await tx.load_outgoing(None, lock=False)
                await self._look_at_acks(tx, outgoing_by_peer)
            self._waits_for = ""
        except Unavailable as error:
            self._waits_for = error.code
            log("relay_waits", code=error.code)
            return
        for peer, outgoing in outgoing_by_peer.items():
            for lane in LANES:
                own = outgoing.lanes[lane]
                if own.sent < own.last:
                    turn = self._turns.get(("stream", peer, lane))
                    if turn is None or not turn.is_working:
                        self._wake_turn("stream", peer, lane)
                else:
                    self._waiting_streams.pop((peer, lane), None)
                if own.copy_above is not None:
                    self._wake_turn("copy", peer, lane)

    async def _look_at_acks(self, tx: PostgresMessagingTx, outgoing: Mapping[str, Outgoing]) -> None:
        """Wake the acknowledgements that are due, once in `poll_s`."""
        if monotonic() - self._acks_looked_s < self._options.poll_s:
            return
        self._acks_looked_s = monotonic()
        own, now = self._scopes.instance, self._clock.now()
        incoming = {each.pair.writer: each for each in await tx.list_incoming() if each.pair.addressee == own}
        for peer in {*outgoing, *incoming, *known_peers(self._peers)}:
            read = incoming.get(peer) or Incoming(Pair(peer, own))
            if find_ack_turn(read, outgoing.get(peer), now) is not None:
                self._wake_turn("ack", peer, Lane.URGENT)
        self._check_clock()

    def _check_clock(self) -> None:
        """Append an acknowledgement to a peer at intervals while its stream waits for the clock."""
        waiting = [peer for (peer, _), reason in self._waiting_streams.items() if reason == "clock_off"]
        if waiting and monotonic() - self._clock_checked_s >= self._options.clock_check_s:
            self._clock_checked_s = monotonic()
            self._clock_checks[waiting[0]] = True
            self._wake_turn("ack", waiting[0], Lane.URGENT)

    def _wake_turn(self, kind: str, peer: str, lane: Lane) -> None:
        turn = self._turns.get((kind, peer, lane))
        if turn is None:
            works: dict[str, Callable[[], Awaitable[bool]]] = {
                "stream": lambda: self.append_next(peer, lane),
                "copy": lambda: self.copy_next(peer, lane),
                "ack": lambda: self.append_ack(peer),
            }
            turn = self._turns[kind, peer, lane] = _Turn(peer, works[kind], self._options)
        turn.wake()

    async def append_next(self, peer: str, lane: Lane) -> bool:
        """Append the next records of a stream and move its pointer; return whether there may be more.

        Raises `Unavailable`. The next records are then read from the tables, because the database may be restored.
        """
        try:
            self._scopes.check_session()
        except Exception:
            self._forget(peer, lane)
            raise
        try:
            return await self._append_next(peer, lane)
        except Exception:
            self._handed.forget(peer, lane)
            raise

    async def _append_next(self, peer: str, lane: Lane) -> bool:
        batch = self._handed.take(peer, lane, self._clock.now())
        is_handed = batch is not None
        if batch is None:
            if not await self._note(peer, lane):
                return True
            async with self._scopes.read() as tx:
                batch = await relay.load_next(tx, peer, lane)
        if batch is None:
            self._waiting_streams.pop((peer, lane), None)
            return False
        records, reason = self._open_part(batch.records)
        if reason:
            self._waiting_streams[peer, lane] = reason
        else:
            self._waiting_streams.pop((peer, lane), None)
        if records:
            batch = batch._replace(records=records)
            try:
                has_lost = await relay.append(self, self._watch, batch)
            except Exception:
                await self._note(peer, lane)  # earlier appends are not repeated
                raise
            if has_lost:
                log("topic_lost_its_end", peer=peer, partition=int(lane))
            before = self._unnoted.get((peer, lane), batch)
            self._unnoted[peer, lane] = batch._replace(sent_before=before.sent_before, since=before.since)
            self._handed.appended[peer, lane] = records[-1].place
            self.last_progress = self._clock.now()
            is_due = monotonic() - self._noted_s.get((peer, lane), -self._options.look_s) >= self._options.look_s
            self.wake()  # an append that is not noted here is noted after the next query
            if (is_due or reason or has_lost or not is_handed) and not await self._note(peer, lane, has_lost=has_lost):
                return True
        return not reason and (self._handed.has_more(peer, lane) or not is_handed)

    async def _note(self, peer: str, lane: Lane, *, has_lost: bool = False) -> bool:
        """Move the pointer of a stream to its last append; return False if the tables contradict it.

        Handed records that could not be noted are noted later, and not appended again.
        """
        batch = self._unnoted.get((peer, lane))
        if batch is None:
            return True
        if has_lost or batch.since is None:
            del self._unnoted[peer, lane]  # if this note fails, these records are appended again
        self._noted_s[peer, lane] = monotonic()
        if has_lost:
            async with self._scopes.open() as scope:
                is_moved = await relay.note_appended(scope.tx, batch, has_lost=True, now=self._clock.now())
        else:
            async with self._scopes.read() as tx:
                is_moved = await relay.note_appended(tx, batch, has_lost=False, now=self._clock.now())
        self._unnoted.pop((peer, lane), None)
        if not is_moved:
            self._forget(peer, lane)
        return is_moved

    def _forget(self, peer: str, lane: Lane) -> None:
        """Forget a stream's appends, so that its next records are read from the tables."""
        self._handed.forget(peer, lane)
        self._unnoted.pop((peer, lane), None)

    def _open_part(self, records: list[PlacedRecord]) -> tuple[list[PlacedRecord], str]:
        """Return the records before the first segment that waits, and why that one waits."""
        now = self._clock.now()
        checked = None
        for index, record in enumerate(records):
            if record.segment is not checked:
                checked = record.segment
                if reason := self._gate.reason_of(checked, now):
                    return records[:index], reason
        return records, ""

    async def copy_next(self, peer: str, lane: Lane) -> bool:
        """Append copies that audit lacks to its own topic; return whether there may be more. Raises `Unavailable`."""
        async with self._scopes.read() as tx:
            batch = await relay.load_copies(tx, peer, lane, audit=AUDIT)
        if batch is None:
            return False
        has_lost = await relay.append(self, self._watch, batch)
        async with self._scopes.open() as scope:
            await relay.note_copied(scope.tx, peer, lane, batch=batch)
        if has_lost:
            await self._go_back(AUDIT, batch.lane)
        return bool(batch.records)

    async def append_ack(self, peer: str) -> bool:
        """Append the acknowledgement that is due to a peer. Raises `Unavailable`.

        The peer asks again for a lost one. While states wait for the clock, one is sent even if none is due, because
        each append measures the clock.
        """
        pair, topic = Pair(peer, self._scopes.instance), Pair(self._scopes.instance, peer)
        is_measuring = self._clock_checks.pop(peer, False)
        async with self._scopes.open() as scope:
            ack = await give_ack(scope, pair, is_wanted=is_measuring)
        if ack is None:
            return False
        record = build_ack_record(ack, self._key)
        appended = await self._measure(self._kafka_log.append_bytes(topic, Lane.URGENT, [record]))
        if self._watch.note(topic, Lane.URGENT, appended):
            await self._go_back(peer, Lane.URGENT)
        self.wake()
        return False

    async def _go_back(self, peer: str, lane: Lane) -> None:
        """Append the last segments of a stream again, because the partition has lost its end."""
        log("topic_lost_its_end", peer=peer, partition=int(lane))
        self._forget(peer, lane)  # appends that are not noted may be lost, too
        async with self._scopes.open() as scope:
            await relay.note_lost_end(scope.tx, peer, lane)

    async def append(self, topic: Pair, lane: Lane, records: Sequence[PlacedRecord]) -> AppendPosition:
        """Append records to the log, as `relay.append` asks."""
        links = traceparents(each.record.headers for each in records)
        with span("batch.publish", links=links, attributes={"batch_records": len(records)}):
            return await self._measure(self._kafka_log.append(topic, lane, records))

    async def _measure(self, appending: Awaitable[AppendPosition]) -> AppendPosition:
        """Await an append, and pass the broker's time to the gate."""
        began_at = self._clock.now()
        appended = await appending
        self._gate.measure(began_at, self._clock.now(), appended.broker_at)
        return appended
