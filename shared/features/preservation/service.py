"""Use cases of agencies and providers for preservations. Each one checks permission first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from shared.core.acts.act import Act, PreservationState, Subject, Track
from shared.core.acts.states import LOOKING, Event, event_type, happened
from shared.core.authority import Authority, Role
from shared.core.clock import coarse
from shared.core.contracts.answers import Answer
from shared.core.contracts.base import Contract
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.contracts.preservation_api import PreservationAnswering, PreservationRecord, PreservationTerms
from shared.core.errors import Refused, not_found
from shared.core.guard import inspect, respelled
from shared.core.ids import coarse_uuid7, uuid4
from shared.core.protocol.items import check_time
from shared.core.protocol.message import Addressing, Draft, Received, compose, compose_reachable
from shared.core.protocol.preservation import ASK, check_day, row_of
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.preservation import PreservationAnswer, PreservationKind
from shared.core.vocabulary.reveal import RevealReason
from shared.features.preservation import rules
from shared.features.preservation.store import PostgresPreservations
from shared.features.record_access.store import record_access
from shared.formats import ts103120

#: Returns whether the agency has a hold at any of the locations.
Held = Callable[[PreservationRecord], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreserveActor:
    """The acting party, its role, its preservations and the time; `track` is the track of this service's parties."""

    party: str
    role: Role
    actor: str
    track: Track
    authority: Authority
    preservations: PostgresPreservations
    directory: DirectoryIndex
    at: datetime


async def ask(
    said: rules.PreservationAsk, *, acting: PreserveActor, policy: PolicyIndex, held: Held
) -> rules.AskResult:
    """Ask a provider to keep its data at some locations. `held` returns whether the agency has a hold at any of them.

    Raises `Refused` as `check_may_ask`, `check_day` and the guard do.
    """
    require_role(ASK, acting)
    terms = PreservationTerms.model_validate(said.model_dump(include=set(PreservationTerms.model_fields)))
    directory, on = acting.directory, acting.at.date()
    check_day(terms, on)
    provider = rules.check_may_ask(acting.party, said.provider, terms, directory=directory, policy=policy, on=on)
    record = rules.one_spelling(PreservationRecord(locations=said.locations, order_reference=said.order_reference))
    inspect(record)
    agency = directory.party(acting.party)
    assert agency is not None
    between = {"party": acting.party, "counterpart": provider.id}
    fresh = rules.begun(coarse_uuid7(acting.at), terms, **between, exercise=agency.status == "sandbox")
    requested = replace(fresh, acts=1)  # the request is the first of its own acts
    await acting.preservations.add(requested, record, coarse(acting.at))
    await acting.preservations.clock([requested.clocked(Track.OFFER, acting.at)], ())
    await _send_act(ASK, requested, terms, acting=acting, record=record)
    warnings = (rules.AskWarning.HOLD_STANDS,) if await held(record) else ()
    return rules.AskResult(
        preservation_id=requested.preservation_id,
        state=PreservationState(requested.state),
        warnings=warnings,
        respelled=respelled(said.locations),
    )


async def act(row: Act, preservation_id: UUID, *, said: Contract | None, acting: PreserveActor) -> str:
    """Do the party's own act on a preservation, store it and send it to the other side. Return the new state.

    Raises `Refused`: `forbidden`; `not_found` for absent preservations and those of other parties; `state_forbids`;
    `day_over`; `time_ahead`; `record_erased`.
    """
    require_role(row, acting)
    before = (await acting.preservations.find([preservation_id])).get((preservation_id, acting.party))
    if before is None:
        raise not_found()
    acting.authority.require(Subject.PRESERVATION, acting.role, action=row.name, state=before.state)
    check_day(said, acting.at.date())
    if isinstance(said, PreservationAnswering):
        check_time(said.removed_at, acting.at, field="/removed_at")
        if before.erased and said.answer == PreservationAnswer.PRESERVED:
            raise Refused("record_erased", "the record was erased, so its locations are no longer known", status=410)
    after = before.apply_act(row, said)
    await acting.preservations.move(before, after)
    await acting.preservations.clock((), after.happened(row, before, number=after.acts, told_at=acting.at))
    await _send_act(row, after, said, acting=acting)
    return after.state


async def receive(
    messages: Sequence[Received], preservations: PostgresPreservations, *, track: Track
) -> dict[UUID, str]:
    """Apply messages of the other sides in order. Return message id → code for each that is refused."""
    sealed = [(each.recipient, each.sealed) for each in messages]
    await preservations.take_turns([(to, it) for to, it in sealed if isinstance(it, PreservationRecord)])
    now: dict[rules.PreservationKey, rules.Preservation] = dict(
        await preservations.lock([each.subject_id for each in messages])
    )
    refusals: dict[UUID, str] = {}
    for message in messages:
        key = (message.subject_id, message.recipient)
        before = now.get(key)
        try:
            if isinstance(message.clear, PreservationAnswering):
                check_time(message.clear.removed_at, message.sent_at, field="/removed_at")
            after = rules.received(message, before, track=track)
        except Refused as error:
            refusals[message.message_id] = error.code
            continue
        row, clear = row_of(message.message), message.clear
        assert row is not None
        assert isinstance(clear, Answer)
        if before is None:
            assert isinstance(message.sealed, PreservationRecord)
            await preservations.add(after, message.sealed, coarse(message.sent_at))
            await preservations.clock([after.clocked(track, message.sent_at)], ())
        else:
            await preservations.move(before, after)
            steps = after.happened(row, before, number=clear.number, told_at=message.sent_at)
            await preservations.clock((), steps)
        await preservations.keep([_done(row, after, clear, number=clear.number, at=coarse(message.sent_at))])
        what = event_type(Subject.PRESERVATION, row.name)
        event = Event(after.party, what, after.preservation_id, state=after.state, by=after.counterpart)
        await preservations.note([event])
        now[key] = after
    return refusals


async def list_preservations(
    acting: PreserveActor, *, state: str | None, cursor: str | None, limit: int
) -> rules.PreservationPage:
    """Return the party's own preservations, newest first, without their sealed parts."""
    _require_look(acting)
    return await acting.preservations.page(acting.party, state, cursor, limit=limit)


async def look_at_preservation(preservation_id: UUID, acting: PreserveActor) -> rules.PreservationSummary:
    """Return one preservation without its locations. Nothing is opened, so nothing is reported to audit."""
    _require_look(acting)
    return await acting.preservations.look(preservation_id)


async def show_preservation(
    preservation_id: UUID, acting: PreserveActor, *, reason: RevealReason | None = None
) -> rules.OpenedPreservation:
    """Return one preservation with its locations. The same transaction reports the opening and its reason to audit."""
    _require_look(acting)
    shown = await acting.preservations.show(preservation_id)
    opened = RecordRevealedClear(party=acting.party, role=acting.role, actor=acting.actor, reason=reason)
    directory, at = acting.directory, acting.at
    kept = acting.preservations
    await record_access(preservation_id, opened, kept, exercise=shown.exercise, directory=directory, at=at)
    return shown


async def export(preservation_id: UUID, acting: PreserveActor, *, reason: RevealReason | None = None) -> bytes:
    """Return the whole flow as ETSI TS 103 120 XML. This opens the sealed part.

    Raises `Refused` as `show_preservation` does, and `record_erased` if the record was erased.
    """
    shown = await show_preservation(preservation_id, acting, reason=reason)
    if shown.record is None:
        raise Refused("record_erased", "the record was erased", status=410)
    asks = acting.track is Track.OFFER
    agency, provider = (acting.party, shown.counterpart) if asks else (shown.counterpart, acting.party)
    return ts103120.written(
        ts103120.ActionFlow(
            preservation_id,
            shown.kind is PreservationKind.PRESERVE,
            shown.instrument.value,
            None if shown.term is None else shown.term.value,
            shown.until,
            shown.record.order_reference,
            [(each.kind, each.value) for each in shown.record.locations],
            _endpoint(agency, acting),
            _endpoint(provider, acting),
            [ts103120.ActionStep(each.by, each.state.value, each.said, each.at) for each in shown.timeline],
        )
    )


def _endpoint(party: str, acting: PreserveActor) -> ts103120.Hi1Endpoint:
    """Return the endpoint of a party, with its first country that is not a bloc."""
    entry = acting.directory.party(party)
    places = () if entry is None else entry.jurisdictions
    country = next((place[:2] for place in places if not place.startswith("BLOC-")), ts103120.NO_COUNTRY)
    return ts103120.Hi1Endpoint(party, country)


def require_role(row: Act, acting: PreserveActor) -> None:
    """Check that the role may do the act and that it is an act of this side. Raises `Refused("forbidden")`."""
    if acting.role not in row.roles or row.track is not acting.track:
        raise Refused("forbidden", "the role may not do this", status=403)


def _require_look(acting: PreserveActor) -> None:
    if acting.role not in LOOKING:
        raise Refused("forbidden", "the role may not do this", status=403)


async def _send_act(
    row: Act,
    after: rules.Preservation,
    said: Contract | None,
    *,
    acting: PreserveActor,
    record: PreservationRecord | None = None,
) -> None:
    """Store the party's own act, add it to its event feed and send it."""
    clear = _written(row, after, said)
    letters = _letters(row, after, clear, acting=acting, record=record)
    done = _done(row, after, clear, number=after.acts, at=coarse(acting.at))
    await acting.preservations.keep([done._replace(message_id=letters[0].message_id if letters else None)])
    await acting.preservations.note([happened(row, after.preservation_id, party=after.party, state=after.state)])
    await acting.preservations.send(letters)


def _written(row: Act, after: rules.Preservation, said: Contract | None) -> Contract:
    assert row.message is not None
    words = {} if said is None else {name: getattr(said, name) for name in type(said).model_fields}
    named = words | {"preservation_id": after.preservation_id, "act": uuid4(), "number": after.acts}
    return row.message.clear(**{name: word for name, word in named.items() if name in row.message.clear.model_fields})


def _letters(
    row: Act, after: rules.Preservation, clear: Contract, *, acting: PreserveActor, record: PreservationRecord | None
) -> list[Draft]:
    """Return the message of an act; none if the other side has left the directory. A request must have a recipient."""
    assert row.message is not None
    addressing = Addressing(
        subject=after.preservation_id,
        sender=after.party,
        recipient=after.counterpart,
        directory=acting.directory,
        exercise=after.exercise,
        at=acting.at,
    )
    sealed = None if record is None else record.model_dump_json(exclude_none=True).encode()
    if record is not None:
        return [compose(row.message, clear, addressing, sealed=sealed)]
    return compose_reachable(row.message, clear, addressing)


#: The fields that name an act and its place. They are not part of its words.
_NAMING = {"preservation_id", "act", "number"}


def _done(row: Act, after: rules.Preservation, clear: Contract, *, number: int, at: datetime) -> rules.TimelineAct:
    said = clear.model_dump_json(exclude_none=True, exclude=_NAMING)
    return rules.TimelineAct(
        after.preservation_id, after.party, row.track.value, number, row.name, after.state, said, at
    )
