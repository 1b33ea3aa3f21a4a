"""Upkeep of an instance's streams: one periodic turn of each pair, and new attempts at exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from shared.messaging.acks import Ack, AckTurn, build_ack, find_ack_turn
from shared.messaging.exceptions import OPEN, OpenException, Outcome, OutcomeKind, RefusalCode
from shared.messaging.incarnations import await_reply, carry_on, lift_limit
from shared.messaging.reception import apply_inbound, end_exceptions, keep
from shared.messaging.resync_steps import answer_request, ask
from shared.messaging.scope import Scope
from shared.messaging.sending import finish
from shared.messaging.streams import LANES, Lane, Outgoing, Pair

#: Exceptions that a version, a document or a place can end. Only a person ends a dead letter.
RETRIED: Final = frozenset({OutcomeKind.DEFERRED, OutcomeKind.WAITING})


async def tend_pair(scope: Scope, peer: str) -> None:
    """Do one pair's due work: answer its resync request, move carried messages, purge, lift the incarnation limit."""
    incoming = await scope.tx.load_incoming(Pair(peer, scope.instance), lock=True)
    await answer_request(scope, incoming)
    await finish(scope)
    found = await scope.tx.load_outgoing([peer], lock=True)
    if peer not in found:
        return
    outgoing = found[peer]
    lift_limit(outgoing, scope.now)
    for lane in LANES:
        await purge_lane(scope, outgoing, lane)
    await carry_on(scope, outgoing)
    await scope.save([outgoing])


async def purge_lane(scope: Scope, outgoing: Outgoing, lane: Lane) -> None:
    """Delete the segments that all readers have acknowledged."""
    own, through = outgoing.lanes[lane], outgoing.lowest_acked(lane)
    if through <= own.kept_above:
        return
    peer = outgoing.pair.addressee
    kept = await scope.tx.list_segments(peer, outgoing.incarnation, lane, above=through, messages_max=1)
    end, chain = (kept[0].first - 1, kept[0].chain_before) if kept else (own.last, own.chain)
    if end > own.kept_above:
        await scope.tx.drop_segments(peer, outgoing.incarnation, lane, through=end)
        own.kept_above, own.kept_chain, own.sent = end, chain, max(own.sent, end)


async def give_ack(scope: Scope, pair: Pair, *, is_wanted: bool = False) -> Ack | None:
    """Return the acknowledgement that is due to the writer of a pair, or None. `is_wanted`: also if none is due.

    The holder of the relay's lease appends it after the commit. Own streams are locked only for a probe.
    """
    incoming = await scope.tx.load_incoming(pair, lock=True)
    outgoing = await _load_own(scope, pair, lock=False)
    turn = find_ack_turn(incoming, outgoing, scope.now)
    if turn is not None and turn.asks:
        outgoing = await _load_own(scope, pair, lock=True)
        turn = find_ack_turn(incoming, outgoing, scope.now)
    if turn is None and is_wanted:
        turn = AckTurn(asks=False)
    if turn is None:
        return None
    ack = build_ack(scope.instance, incoming, outgoing, turn=turn, nonce=scope.new_id(), now=scope.now)
    await scope.tx.save_incoming(incoming)
    if outgoing is not None and turn.asks:
        await scope.tx.save_outgoing([outgoing])
    return ack


async def _load_own(scope: Scope, pair: Pair, *, lock: bool) -> Outgoing | None:
    """Return the own streams to the writer of a pair, if this instance is the addressee and has any."""
    if pair.addressee != scope.instance:
        return None
    return (await scope.tx.load_outgoing([pair.writer], lock=lock)).get(pair.writer)


async def check_pair(scope: Scope, peer: str) -> None:
    """Probe a peer until it answers, and ask for its holdings: nightly, or by an operator's command."""
    await ask(scope, peer, is_first=True)
    await finish(scope)
    outgoing = (await scope.tx.load_outgoing([peer], lock=True))[peer]
    await_reply(outgoing, scope.now)
    await scope.save([outgoing])


async def retry_exceptions(scope: Scope, rows: Sequence[OpenException]) -> None:
    """Try kept messages again after a new version, document or place, and send each outcome that changed."""
    await try_again(scope, rows)
    await finish(scope)


async def try_again(scope: Scope, rows: Sequence[OpenException]) -> None:
    """Try kept messages again, as `retry_exceptions` does. The caller finishes the scope."""
    by_writer: dict[str, list[OpenException]] = {}
    for row in rows:
        by_writer.setdefault(row.taken.writer, []).append(row)
    for writer, of_writer in by_writer.items():
        ended: list[UUID] = []
        outcomes = await apply_inbound(scope, [row.taken for row in of_writer])
        for row, outcome in zip(of_writer, outcomes, strict=True):
            if outcome.kind not in OPEN:
                ended.append(row.taken.named.message_id)
            elif (outcome.kind, outcome.code) != (row.outcome.kind, row.outcome.code):
                await _change(scope, row, outcome)
            if outcome.kind is not row.outcome.kind:
                scope.say(writer, outcome)
        await scope.tx.end_exceptions(writer, ended)


async def _change(scope: Scope, row: OpenException, outcome: Outcome) -> None:
    """Store another outcome of an exception, and no more of its bytes than that outcome permits."""
    changed = keep(scope, replace(row, outcome=outcome))
    message_id, writer = row.taken.named.message_id, row.taken.writer
    if changed.taken.record == row.taken.record:
        await scope.tx.change_exception(writer, message_id, outcome)
        return
    await scope.tx.end_exceptions(writer, [message_id])
    await scope.tx.add_exceptions([changed])


async def discard_dead(scope: Scope, writer: str, message_ids: Sequence[UUID]) -> None:
    """End dead letters of one writer as a person decided: refused, so that the writer sends the whole state."""
    dead = {OutcomeKind.DEAD}
    while rows := await scope.tx.list_exceptions(writer=writer, message_ids=message_ids, kinds=dead):
        await end_exceptions(scope, rows, RefusalCode.DEAD)
    await finish(scope)


async def erase_exceptions(scope: Scope, subject: UUID) -> None:
    """End the exceptions of an erased subject, bytes included. The caller finishes the scope."""
    while rows := await scope.tx.list_exceptions(subjects=[subject]):
        await end_exceptions(scope, rows, RefusalCode.ERASED)
