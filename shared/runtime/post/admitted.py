"""The inbox table: which messages are new, what became of each, and what of a subject its sender has taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.message import Copy
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.post.arrivals import FINAL, Admission, Arrival, Held, Outcome, Stored
from shared.vocabulary.answers import ReceiptOutcome

_ARRIVAL = Columns.of(Arrival)
_OUTCOME = Columns.of(Outcome)
_KEY = Columns.of(
    Arrival, without=[name for name in Arrival.__slots__ if name not in ("sender", "recipient", "subject")]
)
_SAID = Columns.of(
    Arrival, without=[name for name in Arrival.__slots__ if name not in ("sender", "recipient", "said", "digest")]
)
_ADMIT = Statement(
    """
INSERT INTO inbox ({arrivals.names}) SELECT {arrivals.values} FROM {arrivals.ordered}
WHERE (SELECT arrivals.sequence <@ c.numbers FROM compacted AS c WHERE c.book = 'inbox'
       AND (c.sender, c.recipient, c.epoch) = (arrivals.sender, arrivals.recipient, arrivals.epoch)) IS NOT TRUE
ORDER BY arrivals.position
ON CONFLICT DO NOTHING RETURNING digest
""",
    arrivals=_ARRIVAL,
)
#: Locked, so that of two processes that judge one of them again the second finds the first's word.
_STORED: Final = """
SELECT message_id, digest, sender, recipient, content, outcome, code, "offset", broker_time, topic_id FROM inbox
WHERE message_id = ANY($1::uuid[]) ORDER BY message_id FOR UPDATE
"""
#: Those that were applied so long ago that their rows are gone. What was signed since under such a number is another.
_COMPACTED: Final = """
SELECT t.digest FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[])
    AS t (sender, recipient, epoch, sequence, message_id, digest)
JOIN compacted AS c ON c.book = 'inbox' AND (c.sender, c.recipient, c.epoch) = (t.sender, t.recipient, t.epoch)
WHERE t.sequence <@ c.numbers AND t.message_id <= c.newest
"""
_REOPEN = Statement(
    """
UPDATE inbox AS i SET outcome = 'applied', code = NULL, need = NULL, asked = false, topic = arrivals.topic,
       partition = arrivals.partition, "offset" = arrivals."offset", broker_time = arrivals.broker_time,
       topic_id = arrivals.topic_id, said = arrivals.said, content = arrivals.content, revision = arrivals.revision
FROM {arrivals} WHERE i.message_id = arrivals.message_id
""",
    arrivals=_ARRIVAL,
)
_WAIT_NO_MORE: Final = "DELETE FROM awaiting WHERE message_id = ANY($1::uuid[])"
_OUTCOMES = Statement(
    """
UPDATE inbox AS i SET outcome = outcomes.outcome, code = outcomes.code, need = outcomes.need
FROM {outcomes} WHERE i.message_id = outcomes.message_id
""",
    outcomes=_OUTCOME,
)
# `OFFSET 0` has each subject looked up: the planner, who knows nothing of a young inbox, would read all of it.
#: As the index `inbox_withdrawn` names them; they have no other version (`registry.WITHDRAWALS`).
_WITHDRAWN = Statement(
    """
SELECT DISTINCT i.sender, i.recipient, i.subject FROM {subjects} CROSS JOIN LATERAL (
    SELECT sender, recipient, subject FROM inbox AS i WHERE i.subject = subjects.subject AND i.outcome = 'applied'
      AND i.type IN ('causeway.referral_withdrawn.v1', 'causeway.notice_withdrawn.v1') OFFSET 0
) AS i WHERE (i.sender, i.recipient) = (subjects.sender, subjects.recipient)
""",
    subjects=_KEY,
)
_HELD = Statement(
    """
SELECT DISTINCT ON (told.digest) told.digest, i.revision, i.content
FROM {told} CROSS JOIN LATERAL (
    SELECT sender, recipient, digest, revision, content FROM inbox
    WHERE said = told.said AND outcome = 'applied' OFFSET 0
) AS i WHERE (i.sender, i.recipient) = (told.sender, told.recipient) AND i.digest <> told.digest
ORDER BY told.digest, i.revision DESC NULLS LAST
""",
    told=_SAID,
)
_END = Statement(
    """
WITH ended AS (
    UPDATE inbox AS i SET outcome = 'refused', code = 'subject_withdrawn', need = NULL FROM {subjects}
    WHERE i.sender = subjects.sender AND i.recipient = subjects.recipient AND i.subject = subjects.subject
      AND i.outcome IN ('deferred', 'waiting')
    RETURNING i.*
), gone AS (DELETE FROM awaiting WHERE message_id IN (SELECT message_id FROM ended))
SELECT * FROM ended ORDER BY sender, recipient, epoch, sequence
""",
    subjects=_KEY,
)


async def admit(driver: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Admission:
    """See `Unit.admit`. What is judged again does not wait any more, unless it is kept waiting again."""
    arrivals = _first_of_each(arrivals)
    if not arrivals:
        return Admission(frozenset(), {}, {})
    admitted = await driver.fetch(*_ADMIT.bind(arrivals=_ARRIVAL.rows(arrivals)))
    fresh = {row["digest"] for row in admitted}
    others = [arrival for arrival in arrivals if arrival.digest not in fresh]
    if not others:
        return Admission(frozenset(fresh), {}, {})
    stored = {row["digest"]: row for row in await driver.fetch(_STORED, [each.message_id for each in others])}
    open_ = [each for each in others if each.digest in stored and not _is_final(stored[each.digest])]
    if open_:
        await driver.execute(*_REOPEN.bind(arrivals=_ARRIVAL.rows(open_)))
        await driver.execute(_WAIT_NO_MORE, [each.message_id for each in open_])
    unknown = [each for each in others if each.digest not in stored]
    before = await _applied_before(driver, unknown)
    before |= _signed_again(unknown, [row for digest, row in stored.items() if digest not in fresh])
    taken = {row["message_id"] for row in stored.values()} | {
        each.message_id for each in arrivals if each.digest in fresh
    }
    opened = {each.digest for each in open_}
    return Admission(
        frozenset(fresh | opened),
        {each.digest: _word(stored[each.digest]) for each in others if each.digest in stored.keys() - opened} | before,
        {each.digest: _reused(each, taken) for each in unknown if each.digest not in before},
    )


async def record_outcomes(driver: asyncpg.Connection, outcomes: Sequence[Outcome]) -> None:
    if outcomes:
        await driver.execute(*_OUTCOMES.bind(outcomes=_OUTCOME.rows(outcomes)))


async def withdrawn(driver: asyncpg.Connection, arrivals: Sequence[Arrival]) -> frozenset[str]:
    if not arrivals:
        return frozenset()
    found = {tuple(row) for row in await driver.fetch(*_WITHDRAWN.bind(subjects=_KEY.rows(arrivals)))}
    return frozenset(each.digest for each in arrivals if (each.sender, each.recipient, each.subject) in found)


async def held(driver: asyncpg.Connection, arrivals: Sequence[Arrival]) -> dict[str, Held]:
    if not arrivals:
        return {}
    found = await driver.fetch(*_HELD.bind(told=_SAID.rows(arrivals)))
    return {row["digest"]: Held(row["revision"], row["content"]) for row in found}


async def end_open(driver: asyncpg.Connection, withdrawals: Sequence[Arrival]) -> list[Arrival]:
    if not withdrawals:
        return []
    ended = await driver.fetch(*_END.bind(subjects=_KEY.rows(withdrawals)))
    return [Arrival(**{name: row[name] for name in Arrival.__slots__}) for row in ended]


async def _applied_before(driver: asyncpg.Connection, unknown: Sequence[Arrival]) -> dict[str, Stored]:
    """Of messages without a row those that had one: the copy that has come now stands for the one that was judged."""
    if not unknown:
        return {}
    columns = [(a.sender, a.recipient, a.epoch, a.sequence, a.message_id, a.digest) for a in unknown]
    found = {row["digest"] for row in await driver.fetch(_COMPACTED, *map(list, zip(*columns, strict=True)))}
    return {
        a.digest: Stored(ReceiptOutcome.APPLIED, None, Copy(a.offset, a.broker_time, a.topic_id))
        for a in unknown
        if a.digest in found
    }


def _signed_again(unknown: Sequence[Arrival], stored: Iterable[asyncpg.Record]) -> dict[str, Stored]:
    """Of messages with other bytes than those under their id, what became of these, where they told the same.

    Their sender had signed it again, and was restored to before it did.
    """
    final = {_same(row): _word(row) for row in stored if row["content"] is not None and _is_final(row)}
    told = {a.digest: (a.message_id, a.sender, a.recipient, a.content) for a in unknown}
    return {digest: final[same] for digest, same in told.items() if same in final}


def _same(row: asyncpg.Record) -> tuple[UUID, str, str, str]:
    return row["message_id"], row["sender"], row["recipient"], row["content"]


def _is_final(row: asyncpg.Record) -> bool:
    return ReceiptOutcome(row["outcome"]) in FINAL


def _word(row: asyncpg.Record) -> Stored:
    return Stored(ReceiptOutcome(row["outcome"]), row["code"], Copy(row["offset"], row["broker_time"], row["topic_id"]))


def _first_of_each(arrivals: Sequence[Arrival]) -> list[Arrival]:
    firsts: dict[str, Arrival] = {}
    for arrival in arrivals:
        firsts.setdefault(arrival.digest, arrival)
    return list(firsts.values())


def _reused(arrival: Arrival, ids_taken: set[UUID]) -> str:
    return "message_id_reused" if arrival.message_id in ids_taken else "sequence_reused"
