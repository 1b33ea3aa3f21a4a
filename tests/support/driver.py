"""Observations of a running exchange that no API gives: subjects, deadlines and documents in its databases.

Tests of journeys and failures see the product's inside through this module, `driver_delivery` and `driver_audit` alone.
Each database is read past its row policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from deploy.operator.documents import signed_beat
from deploy.operator.keys import key_id, revoke
from deploy.site.access import access_to
from shared.core.clock import SystemClock
from shared.core.contracts.directory import SignedBeat
from shared.core.envelope.keys import SigningKey
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.core.routing.documents import TOLERANCE as DOCUMENT_TOLERANCE
from shared.platform.admission.budgets import BURST_S
from shared.platform.http.identity import key_hash
from shared.platform.kafka.documents import DIRECTORY_TOPIC, publish_beats
from tests.support.driver_delivery import Rows, edge_track, read_rows, read_value
from tests.support.running import Exchange

__all__ = ["BODY_BYTES_MAX", "BURST_S", "DIRECTORY_TOPIC", "DOCUMENT_TOLERANCE"]

_EFFECTS: Final = """
SELECT subject::text, party, purpose, state = 'withdrawn' FROM received
UNION SELECT subject::text, party, e.purpose, r.state = 'withdrawn'
FROM received_edge AS e JOIN received AS r USING (subject, party)
"""


# -- subjects of the sender ---------------------------------------------------------------------------------


async def list_referrals(exchange: Exchange, instance: str) -> Rows:
    """List `party`, `external_ref`, `id` and `withdrawn` of each referral that the instance filed."""
    query = "SELECT party, external_ref, referral_id::text AS id, state = 'withdrawn' AS withdrawn FROM referral"
    return await read_rows(exchange, instance, query)


async def list_expected_effects(exchange: Exchange, instance: str) -> Rows:
    """List (subject, recipient, purpose, withdrawn) of each edge that was sent.

    An edge has no effect if its recipient refused its message because the referral was withdrawn.
    """
    query = """
    SELECT coalesce(e.notice_id, e.referral_id)::text, e.recipient, e.purpose, r.state = 'withdrawn'
    FROM edge AS e JOIN referral AS r USING (referral_id)
    WHERE e.state = 'emitted' AND NOT (r.state = 'withdrawn' AND coalesce(e.receipt_code, '') = 'subject_withdrawn')
    """
    return await read_rows(exchange, instance, query)


async def list_sent_edges(exchange: Exchange, referrals: Sequence[UUID]) -> Rows:
    """List `message_id` and recipient `instance` of the edges of these referrals that were sent."""
    query = "SELECT message_id, instance FROM edge WHERE referral_id = ANY($1::uuid[]) AND state = 'emitted'"
    return await read_rows(exchange, "hotline", query, list(referrals))


async def list_sent_edges_since(exchange: Exchange, since: datetime) -> Rows:
    """List `message_id`, `instance` and `accepted_at` of the edges sent for referrals accepted from then on."""
    query = """
    SELECT e.message_id, e.instance, r.accepted_at FROM edge AS e JOIN referral AS r USING (referral_id)
    WHERE r.accepted_at >= $1 AND e.state = 'emitted'
    """
    return await read_rows(exchange, "hotline", query, since)


async def list_edges_to_party(exchange: Exchange, party: str) -> Rows:
    """List `notice_id`, `answer`, `instance` and `state` of each edge to the party."""
    query = "SELECT notice_id, answer, instance, state FROM edge WHERE recipient = $1"
    return await read_rows(exchange, "hotline", query, party)


async def list_decisions(exchange: Exchange, referrals: Sequence[UUID]) -> Rows:
    """List `recipient` and `referral_id` of each decision, those that a later one replaced included."""
    query = "SELECT recipient, referral_id FROM edge WHERE referral_id = ANY($1::uuid[])"
    return await read_rows(exchange, "hotline", query, list(referrals))


async def list_edge_ids(exchange: Exchange) -> frozenset[UUID]:
    return frozenset(row[0] for row in await read_rows(exchange, "hotline", "SELECT edge_id FROM edge"))


async def list_edge_messages(exchange: Exchange) -> frozenset[UUID]:
    """List the messages that carried the hotline's edges: several for an edge that was sent again."""
    query = "SELECT unnest(array_append(previous_message_ids, message_id)) FROM edge WHERE message_id IS NOT NULL"
    return frozenset(row[0] for row in await read_rows(exchange, "hotline", query))


async def count_replaced_messages(exchange: Exchange) -> int:
    """Count the messages that the hotline replaced by another one for the same edge."""
    query = "SELECT coalesce(sum(cardinality(previous_message_ids)), 0) FROM edge"
    return int(await read_value(exchange, "hotline", query))


async def count_planned_edges(exchange: Exchange) -> int:
    return int(await read_value(exchange, "hotline", "SELECT count(*) FROM edge WHERE state = 'planned'"))


async def count_edges_to_move(exchange: Exchange) -> int:
    """Count the edges whose party moved and whose new instance is not informed."""
    return int(await read_value(exchange, "hotline", "SELECT count(*) FROM edge WHERE redecide_at IS NOT NULL"))


async def count_edges_issued_while_held(exchange: Exchange) -> int:
    """Count planned notices issued while a hold was in force. An issue within one second of the hold may overlap it."""
    query = """
    SELECT count(*) FROM edge AS e JOIN hold AS h USING (referral_id)
    JOIN hold_act AS a ON a.referral_id = h.referral_id AND a.agency = h.agency AND a.hold_id = h.hold_id
    WHERE e.state = 'emitted' AND e.hold_window_ends_at IS NOT NULL AND a.act = 'placed' AND h.state <> 'too_late'
      AND e.decided_at > a.at + interval '1 second' AND e.decided_at < coalesce(h.ended_at, 'infinity')
    """
    return int(await read_value(exchange, "hotline", query))


async def list_edge_tracks(exchange: Exchange) -> dict[UUID, UUID | None]:
    """Map each edge that another instance holds to the subject by which that instance names it."""
    query = "SELECT edge_id, party, recipient, referral_id, notice_id FROM edge WHERE instance <> 'hotline'"
    return {
        row["edge_id"]: edge_track(row["party"], row["recipient"], row["referral_id"], notice_id=row["notice_id"])
        for row in await read_rows(exchange, "hotline", query)
    }


async def list_lost_edges(exchange: Exchange, tracks: Mapping[UUID, UUID]) -> frozenset[UUID]:
    """List the edges, with the subjects that name them, that the restored hotline's operator list contains."""
    lines = await read_rows(exchange, "hotline", "SELECT subject FROM operator_line WHERE kind = 'unknown'")
    named = {row["subject"] for row in lines}
    return frozenset(edge for edge, track in tracks.items() if track in named)


async def list_referrals_behind_recipient(exchange: Exchange) -> frozenset[UUID]:
    """List the referrals on the work list because a recipient holds a later state than the hotline."""
    query = "SELECT referral_id FROM referral WHERE unrouted_reason = 'recipient_ahead'"
    return frozenset(row[0] for row in await read_rows(exchange, "hotline", query))


# -- subjects of the recipient ------------------------------------------------------------------------------


async def list_effects(exchange: Exchange, instance: str) -> Rows:
    """List (subject, recipient, purpose, withdrawn) of each record that the instance's parties received."""
    return await read_rows(exchange, instance, _EFFECTS)


async def list_tombstones(exchange: Exchange, instance: str) -> frozenset[tuple[str, str]]:
    """List (subject, recipient) of each withdrawal that the instance holds without a record of its subject."""
    query = "SELECT subject::text, recipient FROM ONLY track WHERE side = 0 AND is_withdrawn"
    return frozenset(tuple(row) for row in await read_rows(exchange, instance, query))


async def list_cases(exchange: Exchange, party: str) -> dict[UUID, str]:
    """Map each referral that the agency received to the state of its case."""
    query = "SELECT subject, state FROM received WHERE party = $1"
    return {row[0]: row[1] for row in await read_rows(exchange, "law_enforcement", query, party)}


async def list_offered_cases(exchange: Exchange, *, without: Sequence[UUID]) -> Rows:
    """List `referral_id` and `party` of each case that no agency has answered."""
    query = """
    SELECT subject AS referral_id, party FROM received WHERE state = 'offered' AND NOT (subject = ANY($1::uuid[]))
    """
    return await read_rows(exchange, "law_enforcement", query, list(without))


async def count_cases(exchange: Exchange, referral_id: UUID) -> int:
    query = "SELECT count(subject) FROM received WHERE subject = $1"
    return int(await read_value(exchange, "law_enforcement", query, referral_id))


async def list_notices(exchange: Exchange, instance: str, party: str) -> dict[UUID, str]:
    """Map each notice that the provider received at this instance to its state."""
    query = "SELECT subject, state FROM received WHERE party = $1"
    return {row["subject"]: row["state"] for row in await read_rows(exchange, instance, query, party)}


async def list_holds(exchange: Exchange, instance: str) -> dict[UUID, str]:
    """Map each hold that the instance knows to its state."""
    return {r["hold_id"]: r["state"] for r in await read_rows(exchange, instance, "SELECT hold_id, state FROM hold")}


# -- deadlines, events, documents, keys ---------------------------------------------------------------------


async def count_late_deadlines(exchange: Exchange, instance: str) -> int:
    """Count the deadlines that should have fired 15 seconds ago."""
    query = "SELECT count(*) FROM deadline WHERE due_at < now() - interval '15 seconds' AND failure_code IS NULL"
    return int(await read_value(exchange, instance, query))


async def count_fired_deadlines(exchange: Exchange, instance: str) -> tuple[int, int]:
    """Count the deadlines that fired and the events about them, in one snapshot."""
    query = """
    SELECT (SELECT count(*) FROM deadline, jsonb_array_elements(steps) AS step WHERE step->>1 = 'told') AS steps,
           (SELECT count(*) FROM act WHERE type LIKE 'clock.%' OR type = 'p0.unclaimed') AS events
    """
    [row] = await read_rows(exchange, instance, query)
    return row[0], row[1]


async def list_deadlines(exchange: Exchange, instance: str) -> list[tuple[object, ...]]:
    """List each deadline without its next firing, which may change at any time."""
    query = """
    SELECT edge_id, party, subject, origin, recipient, purpose, timers, overdue_at
    FROM deadline WHERE started_at IS NOT NULL ORDER BY edge_id, party
    """
    return [tuple(row.values()) for row in await read_rows(exchange, instance, query)]


async def has_document(exchange: Exchange, instance: str, digest: str) -> bool:
    return bool(await read_rows(exchange, instance, "SELECT 1 FROM document WHERE digest = $1", digest))


async def count_policies(exchange: Exchange, instance: str) -> int:
    return int(await read_value(exchange, instance, "SELECT count(*) FROM document WHERE kind = 'policy'"))


async def count_document_kinds(exchange: Exchange, instance: str) -> int:
    return int(await read_value(exchange, instance, "SELECT count(DISTINCT kind) FROM document"))


async def has_unwritten_endings(exchange: Exchange, instance: str) -> bool:
    """Return whether ends of keys or subjects wait for the erasure journal of the instance."""
    return bool(await read_value(exchange, instance, "SELECT EXISTS (SELECT FROM access_end)"))


@asynccontextmanager
async def document_heartbeat(exchange: Exchange) -> AsyncIterator[None]:
    """Publish once a second which documents are newest, until the block ends."""
    key = SigningKey.load((exchange.state / "beat.key").read_text())

    async def beats() -> AsyncIterator[SignedBeat]:
        while True:
            yield signed_beat(exchange.state, key, SystemClock().now())
            await asyncio.sleep(1.0)

    task = asyncio.create_task(publish_beats(access_to(exchange.endpoints.kafka), beats()))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def revoke_other_keys(exchange: Exchange, party: str) -> None:
    """Revoke all API keys of the party but its first one."""
    own = key_id(key_hash(exchange.parties[party].key))
    await revoke(exchange.site, party, keep=own, at=SystemClock().now())
