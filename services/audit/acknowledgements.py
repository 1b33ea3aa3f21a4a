"""Audit's acknowledgements: each writer learns how far audit has its streams, so that it can drop its segments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol, Unpack

from services.audit import intake
from services.audit.ports import Entries
from shared.envelope.keys import SigningKey
from shared.exchange.topics import AUDIT
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.messaging.ack_record import build_ack_record
from shared.messaging.acks import find_ack_turn
from shared.messaging.ports import Appended
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane, Pair
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import Fields, log

#: The pause between two queries for acknowledgements that are due.
POLL_S: Final = 1.0
#: Without a turn for this time no writer is acknowledged, and each keeps all messages that it sends.
TURN_S_MAX: Final = 60.0


class AckLog(Protocol):
    """The topics that audit writes."""

    async def append_bytes(self, topic: Pair, lane: Lane, records: Sequence[RecordBytes]) -> Appended:
        """Append records. Raises `Unavailable`."""
        ...

    async def close(self) -> None:
        """Stop all producers; the next append starts another one."""
        ...


class AckWriter:
    """Gives the acknowledgements that are due, while this process holds the reader's lease."""

    def __init__(self, entries: Entries, log: AckLog, *, key: SigningKey, clock: Clock) -> None:
        self._entries = entries
        self._log = log
        self._key = key
        self._clock = clock
        self._untold: set[str] = set()
        #: The last time at which all pairs were checked; None: this process gives no acknowledgements.
        self._last_turn: datetime | None = None

    async def run(self) -> None:
        """Give acknowledgements until cancelled. Raises `Unavailable` if the database is unavailable."""
        self._last_turn = self._clock.now()
        try:
            while True:
                # First: a reader that cannot begin yet ends this again at once, and a connection is not cut off.
                await asyncio.sleep(POLL_S)
                await self.give_due()
                self._last_turn = self._clock.now()
        finally:
            self._last_turn = None
            await self._log.close()

    async def check(self) -> Check:
        """Not ready if the turns stop. An unreachable writer is no failure: it keeps its sent messages."""
        age_s = None if self._last_turn is None else (self._clock.now() - self._last_turn).total_seconds()
        if age_s is not None and age_s > TURN_S_MAX:
            return Check("acks", False, "acks_stand_still", age_s)
        return Check("acks", True, "acks_untold" if self._untold else "")

    async def give_due(self) -> None:
        """Give every acknowledgement that is due, once. An unreachable writer does not delay the others.

        Raises `Unavailable` if the database is unavailable, and a defect if it prevents all acknowledgements.
        """
        now = self._clock.now()
        by_writer: dict[str, list[Pair]] = {}
        for incoming in await self._entries.incoming():
            if find_ack_turn(incoming, None, now) is not None:
                by_writer.setdefault(incoming.pair.writer, []).append(incoming.pair)
        told = await asyncio.gather(*(self._tell(writer, pairs) for writer, pairs in by_writer.items()))
        defects = [each for each in told if each is not None]
        if defects and len(defects) == len(told):
            raise defects[0]

    async def _tell(self, writer: str, pairs: Sequence[Pair]) -> Exception | None:
        """Acknowledge the streams of one writer; return the defect that prevented it.

        An acknowledgement that is lost is asked for again.
        """
        try:
            records = []
            for pair in pairs:
                due = await intake.acknowledge(pair, entries=self._entries, now=self._clock.now())
                if due is not None:
                    records.append(build_ack_record(due, self._key))
            if records:
                await self._log.append_bytes(Pair(AUDIT, writer), Lane.URGENT, records)
            self._untold.discard(writer)
        except Unavailable as error:
            self._not_told(writer, topic=writer, code=error.code)
        except Exception as error:  # a fault in one writer's streams does not stop the others
            self._not_told(writer, topic=writer, code="acks_defect", error=type(error).__name__)
            return error
        return None

    def _not_told(self, writer: str, **why: Unpack[Fields]) -> None:
        if writer not in self._untold:
            log("broker_waits", **why)
        self._untold.add(writer)
