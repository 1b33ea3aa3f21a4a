"""The last step of every transaction that sends: numbers, signatures and places in the lanes, right before the commit.

All of a transaction's drafts are done together: lanes locked in their order, then pairs in theirs, and nothing after
that but the commit. So positions and numbers commit in order, no two transactions wait for each other, and what the
relay reads is final. Rows of the outbox that a transaction changes it has locked before, in the order of their ids.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.registry import BETWEEN_PARTIES, STATED_BY_INSTANCES
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.post.epochs import count_on
from shared.runtime.post.ports import Signed
from shared.runtime.post.segments import pack
from shared.runtime.post.stamping import Counter as PairCounter
from shared.runtime.post.stamping import Pair, counts_by_pair, sign
from shared.runtime.watch.metrics import MESSAGES


@dataclass(frozen=True, slots=True)
class SentAgain:
    """A message that gets a new position in its lane, with the bytes it has. Its row is locked."""

    lane: str
    message_id: UUID


@dataclass(frozen=True, slots=True)
class SignedAgain:
    """A message whose number had been given before, in `epoch`: it gets another, for the `times`-th time."""

    draft: Draft
    epoch: UUID
    times: int


#: Drafts of a transaction from which others have their turn while they are signed.
MANY: Final = 100
#: Messages between parties; what instances state themselves is on no account.
_COUNTED: Final = BETWEEN_PARTIES
#: What a transaction gathers for its last step.
Gathered = Draft | SignedAgain | SentAgain


@dataclass(frozen=True, slots=True)
class _Row:
    message_id: UUID
    lane: str
    position: int
    index: int
    type: str
    subject: str
    sender: str
    recipient: str
    epoch: UUID
    sequence: int
    digest: str
    created_at: datetime
    signed: int
    done: bool


@dataclass(frozen=True, slots=True)
class _Segment:
    lane: str
    open: int
    packed: bytes


_POSITIONS: Final = """
INSERT INTO lane_end AS l (lane, last) SELECT wanted.lane, wanted.count
FROM unnest($1::text[], $2::bigint[]) AS wanted (lane, count) ORDER BY wanted.lane
ON CONFLICT (lane) DO UPDATE SET last = l.last + excluded.last RETURNING lane, last
"""
_BEGIN: Final = "INSERT INTO lane (lane) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
_ROW = Columns.of(_Row)
_SEGMENT = Columns.of(_Segment)
_STORE = Statement(
    """
WITH made AS (INSERT INTO segment ({segments.names}) SELECT {segments.values} FROM {segments} RETURNING id, lane)
INSERT INTO outbox ({rows.names}, segment) SELECT {rows.values}, made.id FROM {rows} JOIN made USING (lane)
""",
    segments=_SEGMENT,
    rows=_ROW,
)
_MOVE: Final = """
UPDATE outbox AS o SET position = moved.position, aside = NULL
FROM unnest($1::uuid[], $2::bigint[]) AS moved (message_id, position) WHERE o.message_id = moved.message_id
"""


class Numbering:
    """What a `Database` does last for an instance (`Database.last_step`)."""

    def __init__(self, instance: str, key: SigningKey) -> None:
        self._instance = instance
        self._key = key
        #: Its own: while lanes are locked nobody waits for a thread behind bodies that are read.
        self._signing = ThreadPoolExecutor(1, thread_name_prefix="numbering")

    async def __call__(self, driver: asyncpg.Connection, gathered: Sequence[Gathered]) -> None:
        moved = [each for each in gathered if isinstance(each, SentAgain)]
        again = {each.draft.message_id: each for each in gathered if isinstance(each, SignedAgain)}
        # What is signed again goes first: it was there before.
        drafts = [each.draft for each in again.values()] + [each for each in gathered if isinstance(each, Draft)]
        lanes = Counter([each.lane for each in moved] + [draft.recipient_instance for draft in drafts])
        rows = await driver.fetch(_POSITIONS, sorted(lanes), [lanes[lane] for lane in sorted(lanes)])
        if begun := [row["lane"] for row in rows if row["last"] == lanes[row["lane"]]]:
            await driver.execute(_BEGIN, begun)
        free = {row["lane"]: iter(range(row["last"] - lanes[row["lane"]] + 1, row["last"] + 1)) for row in rows}
        if moved:
            positions = [next(free[each.lane]) for each in moved]
            await driver.execute(_MOVE, [each.message_id for each in moved], positions)
        if drafts:
            await self._store(driver, drafts, free=free, again=again)

    async def _store(
        self,
        driver: asyncpg.Connection,
        drafts: Sequence[Draft],
        *,
        free: Mapping[str, Iterator[int]],
        again: Mapping[UUID, SignedAgain],
    ) -> None:
        ended = sorted({each.epoch for each in again.values()})
        at = max(draft.created_at for draft in drafts)
        counters = await count_on(driver, counts_by_pair(drafts), at=at, ended=ended)
        making = partial(self._made, drafts, counters, free=free, again=again)
        if len(drafts) > MANY:
            segments, rows = await asyncio.get_running_loop().run_in_executor(self._signing, making)
        else:
            segments, rows = making()
        await driver.execute(*_STORE.bind(segments=_SEGMENT.rows(segments), rows=_ROW.rows(rows)))
        MESSAGES.labels("emitted").inc(sum(draft.message.family in _COUNTED for draft in drafts))

    def _made(
        self,
        drafts: Sequence[Draft],
        counters: Mapping[Pair, PairCounter],
        *,
        free: Mapping[str, Iterator[int]],
        again: Mapping[UUID, SignedAgain],
    ) -> tuple[list[_Segment], list[_Row]]:
        by_lane: dict[str, list[Signed]] = {}
        for each in sign(drafts, counters, instance=self._instance, key=self._key):
            by_lane.setdefault(each.draft.recipient_instance, []).append(each)
        segments = [
            _Segment(lane, len(each), pack([message.record for message in each])) for lane, each in by_lane.items()
        ]
        rows = [
            _row(each, index, next(free[lane]), again=again.get(each.draft.message_id))
            for lane, together in by_lane.items()
            for index, each in enumerate(together)
        ]
        return segments, rows


def _row(signed: Signed, index: int, position: int, *, again: SignedAgain | None) -> _Row:
    draft = signed.draft
    return _Row(
        message_id=draft.message_id,
        lane=draft.recipient_instance,
        position=position,
        index=index,
        type=draft.message.type,
        subject=draft.subject,
        sender=draft.sender,
        recipient=draft.recipient,
        epoch=signed.epoch,
        sequence=signed.sequence,
        digest=signed.digest,
        created_at=draft.created_at,
        signed=again.times if again else 0,
        done=draft.message.family in STATED_BY_INSTANCES,
    )
