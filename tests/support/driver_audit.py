"""Observations of audit's log and of its stream accounts that no API gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shared.messaging.streams import Lane
from tests.support.driver_delivery import read_rows, read_value
from tests.support.running import Exchange


class StreamKey(NamedTuple):
    """One stream in one incarnation."""

    writer: str
    addressee: str
    incarnation: UUID
    lane: Lane


#: First and last of numbers that follow each other.
Span = tuple[int, int]


async def count_audited_messages(exchange: Exchange, messages: Sequence[UUID], *, topic: str | None = None) -> int:
    """Count the messages that audit has, if `topic` is given only those read in this topic."""
    query = """
    SELECT count(DISTINCT message_id) FROM entry
    WHERE message_id = ANY($1::uuid[]) AND ($2::text IS NULL OR topic = $2)
    """
    return int(await read_value(exchange, "audit", query, list(messages), topic))


async def list_audit_problems(exchange: Exchange, topic: str) -> list[str | None]:
    """List the problem, or None, of each entry and each decision of a topic at audit."""
    query = "SELECT problem FROM statement WHERE topic = $1"
    return [row["problem"] for row in await read_rows(exchange, "audit", query, topic)]


async def count_audited_unreadable_records(exchange: Exchange, topic: str) -> asyncpg.Record:
    """Return `rows`, audit's rows of unreadable records, and `records`, the records that these rows count."""
    query = """
    SELECT (SELECT count(*) FROM entry WHERE topic = $1 AND kind IN ('unreadable', 'unproven')) + count(*) AS rows,
           coalesce(sum(count), 0)::bigint AS records
    FROM folded_record WHERE topic = $1
    """
    [row] = await read_rows(exchange, "audit", query, topic)
    return row


async def count_audited_outcomes(exchange: Exchange, reported_by: str, outcome: str) -> int:
    """Count the messages whose latest outcome, as this instance reported it, is this one."""
    query = """
    SELECT count(*) FROM (SELECT DISTINCT ON (message_id) outcome FROM outcome WHERE reported_by = $1
                          ORDER BY message_id, reported_at DESC, number DESC, position DESC) AS latest
    WHERE outcome = $2
    """
    return int(await read_value(exchange, "audit", query, reported_by, outcome))


async def count_reused_numbers(exchange: Exchange) -> int:
    """Count the places under which audit read two different messages."""
    query = """
    SELECT count(*) FROM (SELECT writer, addressee, incarnation, lane, number FROM entry WHERE number > 0
                          GROUP BY 1, 2, 3, 4, 5 HAVING count(DISTINCT digest) > 1) AS twice
    """
    return int(await read_value(exchange, "audit", query))


async def list_unaudited_numbers(
    exchange: Exchange, instance: str, *, to: str | None = None
) -> dict[StreamKey, list[Span]]:
    """Map each own stream to the numbers that audit has neither read nor named lost."""
    seen: dict[StreamKey, set[int]] = {}
    query = "SELECT writer, addressee, incarnation, lane, number FROM entry WHERE writer = $1 AND number > 0"
    for row in await read_rows(exchange, "audit", query, instance):
        key = StreamKey(row["writer"], row["addressee"], row["incarnation"], Lane(row["lane"]))
        seen.setdefault(key, set()).add(row["number"])
    for key, spans in (await list_losses(exchange, instance)).items():
        for first, last in spans:
            seen.setdefault(key, set()).update(range(first, last + 1))
    lacking: dict[StreamKey, list[Span]] = {}
    query = "SELECT peer, incarnation, lane, last FROM stream WHERE $1::text IS NULL OR peer = $1"
    for row in await read_rows(exchange, instance, query, to):
        key = StreamKey(instance, row["peer"], row["incarnation"], Lane(row["lane"]))
        if missing := set(range(1, row["last"] + 1)) - seen.get(key, set()):
            lacking[key] = _spans(missing)
    return lacking


async def list_losses(exchange: Exchange, writer: str) -> dict[StreamKey, list[Span]]:
    """Map each stream of a writer to the numbers that audit named as lost."""
    query = "SELECT writer, addressee, incarnation, lane, first, last FROM loss WHERE writer = $1"
    found: dict[StreamKey, list[Span]] = {}
    for row in await read_rows(exchange, "audit", query, writer):
        key = StreamKey(row["writer"], row["addressee"], row["incarnation"], Lane(row["lane"]))
        found.setdefault(key, []).append((row["first"], row["last"]))
    return found


def _spans(numbers: Iterable[int]) -> list[Span]:
    spans: list[Span] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number, number))
    return spans
