"""Amending: what becomes of a referral's edges when its content is another. Pure.

What would be sent of the new content is held against what was sent of the one before, edge by edge:

    as before                unchanged: nothing is sent, its answers stand
    otherwise                replaced: sent once more under its ids and a higher revision; what was answered stays said
    of the new content only  added: an edge of its own
    of the one before only   taken back: its recipient is told, and acknowledges

So in the end each recipient has what it would have been sent, had the new content been filed in the first place.
A notice that is planned stays so, with its window: it is decided when it is issued, by the content that stands then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from shared.contracts.referral import ReferralContent
from shared.exchange.facts import read_facts
from shared.exchange.message import Draft
from shared.exchange.minimise import notice_record, own_record, referral_record
from shared.exchange.outgoing_messages import KnownEdge, Letters, Waiting, Writing, write_letters
from shared.exchange.prepare import Again, Documents
from shared.kernel.clock import coarse
from shared.kernel.errors import Defect, Refused, Unavailable
from shared.kernel.ids import salt
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.engine import Judged, PlannedEdge, Setting, judge
from shared.vocabulary.routing import PartyKind

Json = dict[str, Any]
#: (recipient, purpose): of a referral's edges that stand, there is one of each.
EdgeKey = tuple[str, str]
#: No number of an item is above this.
ITEM_NUMBER_MAX = 99


class Standing(NamedTuple):
    """An edge that stands, as its origin has it: decided at `decided_at`. What `waits` or is `planned` was never sent.

    What is planned law enforcement may hold. `known` is how it is sent once more.
    """

    recipient: str
    purpose: str
    decided_at: datetime
    known: KnownEdge
    waits: bool = False
    planned: bool = False

    @property
    def sent(self) -> bool:
        return not (self.waits or self.planned)

    @property
    def key(self) -> EdgeKey:
        return self.recipient, self.purpose


class Revision(NamedTuple):
    """One revision of a referral's content: as it is kept, and as JSON, whose items have their numbers."""

    content: ReferralContent
    record: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Amending:
    """A referral, `revision` of which was `before` and is followed by `after`. `ended` are recipients of referrals
    from whom it was taken back by an amendment: nothing more of it is sent to them.

    `body_sha256` is that of the bytes that ask for it.
    """

    referral_id: UUID
    origin: PartyEntry
    exercise: bool
    revision: int
    before: Revision
    after: Revision
    edges: Sequence[Standing]
    ended: frozenset[str] = frozenset()
    body_sha256: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Amended:
    """What comes of it. `again` has the edges that are replaced and added, their messages, and the fact for audit.

    `outdated` are edges that waited or were planned, and are no more; `planned` those that stay so, of another content.
    """

    again: Again
    unchanged: tuple[Standing, ...]
    replaced: tuple[Standing, ...]
    taken_back: tuple[Standing, ...]
    outdated: tuple[Standing, ...]
    planned: tuple[Standing, ...]
    facts: Json
    decision: Json
    content: bytes
    body_sha256: str


def renumbered(record: Json, before: Json, *, numbered: int) -> tuple[Json, int]:
    """The record with the numbers that its items had `before`, and others for those that are new; the highest ever.

    An item is the same if its location is. `numbered` is the highest number given so far: none is used again. Raises
    `Refused("items_exhausted")`.
    """
    left = [(_location(item), item["n"]) for item in before["items"]]
    items = []
    for item in record["items"]:
        same = next((each for each in left if each[0] == _location(item)), None)
        if same is not None:
            left.remove(same)
        else:
            numbered += 1
        items.append({"n": numbered if same is None else same[1]} | {k: v for k, v in item.items() if k != "n"})
    if numbered > ITEM_NUMBER_MAX:
        raise Refused("items_exhausted", "it has had 99 items: withdraw it and file another", field="/items")
    return record | {"items": items}, numbered


def prepare_amended(
    amending: Amending, *, documents: Documents, then: Callable[[datetime], Documents], at: datetime
) -> Amended:
    """Decide the new content and hold it against what was sent. `then` are the documents of a time, as known now.

    Raises `Refused`: `recipient_taken_back`, `purpose_cannot_end`, `sealed_too_large`.
    """
    after, origin = amending.after, amending.origin
    read = read_facts(after.content, origin, documents.directory)
    setting = Setting(documents.directory, documents.policy, amending.exercise, coarse(at))
    outcome = judge(read.facts, setting, salt=salt(), unknown=read.unknown)
    stands = {each.key: each for each in amending.edges}
    found = _compared(amending, outcome, stands, then=then)
    _check_possible(found, stands, ended=amending.ended, directory=documents.directory)
    replaced = tuple(stands[key] for key in sorted(found.changed) if key in stands and stands[key].sent)
    planned = tuple(stands[key] for key in sorted(found.changed) if key in stands and stands[key].planned)
    writing = Writing(
        outcome=outcome,
        record=after.record,
        reads=documents.reads,
        referral_id=amending.referral_id,
        at=at,
        traceparent=amending.traceparent,
        known={each.key: _raised(each.known, amending.revision + 1) for each in replaced},
        windows=documents.hours,
        revision=amending.revision + 1,
    )
    written = found.changed - {each.key for each in planned}
    letters = write_letters(writing, [edge for edge in outcome.edges if _key(edge) in written])
    drafts = letters.drafts(read.facts, origin, at=at, body_sha256=amending.body_sha256)
    return Amended(
        _again(letters, stands, origin=origin.id, drafts=drafts, law=documents.law, at=at),
        unchanged=tuple(stands[key] for key in stands if key in found.unchanged),
        replaced=replaced,
        taken_back=tuple(stands[key] for key in sorted(found.ended) if stands[key].sent),
        outdated=tuple(each for each in amending.edges if not each.sent and _is_outdated(each, found)),
        planned=planned,
        facts=read.facts,
        decision=outcome.ref | {"salt": outcome.salt},
        content=own_record(after.record),
        body_sha256=amending.body_sha256,
    )


def _again(
    letters: Letters,
    stands: Mapping[EdgeKey, Standing],
    *,
    origin: str,
    drafts: tuple[Draft, ...],
    law: str,
    at: datetime,
) -> Again:
    """What is sent, and what waits; an edge that was sent and cannot be read as it is now goes once it can."""
    sent = {key: each for key, each in stands.items() if each.sent}
    return Again(
        letters.referral_id,
        origin,
        letters.emitted,
        tuple(each for each in letters.waiting if _key(each.edge) not in sent),
        drafts,
        dropped=(),
        work_reason=letters.work_reason,
        disposition=letters.outcome.disposition.value,
        law=law,
        decided_at=at,
        unread=tuple(sent[key].known.edge_id for key in map(_waits_for, letters.waiting) if key in sent),
        planned=letters.planned,
    )


class _Compared(NamedTuple):
    unchanged: frozenset[EdgeKey]
    changed: frozenset[EdgeKey]
    ended: frozenset[EdgeKey]


def _is_outdated(unsent: Standing, found: _Compared) -> bool:
    """What waits is decided anew, and so is what is planned once it is issued: that stays as long as it is wanted."""
    return unsent.key in found.ended or (unsent.waits and unsent.key in found.changed)


def _compared(
    amending: Amending,
    outcome: Judged,
    stands: Mapping[EdgeKey, Standing],
    *,
    then: Callable[[datetime], Documents],
) -> _Compared:
    now, was = _sent(amending.after.record, outcome), dict(_sent_before(amending, then))
    changed = {key for key in now if key not in stands or stands[key].waits or was.get(key) != now[key]}
    # What is sent to one for several purposes is one referral to it, of one revision.
    told = {recipient for recipient, purpose in changed if (recipient, purpose) in stands}
    changed |= {(recipient, purpose) for recipient, purpose in now if recipient in told}
    return _Compared(
        frozenset(stands.keys() & now.keys() - changed), frozenset(changed), frozenset(stands.keys() - now.keys())
    )


def _sent_before(amending: Amending, then: Callable[[datetime], Documents]) -> Iterator[tuple[EdgeKey, Json]]:
    """What was sent on each edge: decided once more as it was then. Where nobody can tell, it was something else."""
    for at in {each.decided_at for each in amending.edges if each.sent}:
        try:
            documents = then(at)
        except Unavailable:
            continue
        origin = documents.directory.party(amending.origin.id)
        if origin is None:
            continue
        read = read_facts(amending.before.content, origin, documents.directory)
        setting = Setting(documents.directory, documents.policy, amending.exercise, coarse(at))
        sent = _sent(amending.before.record, judge(read.facts, setting, salt=salt(), unknown=read.unknown))
        yield from ((each.key, sent[each.key]) for each in amending.edges if each.decided_at == at and each.key in sent)


def _sent(record: Json, outcome: Judged) -> dict[EdgeKey, Json]:
    """What is sent on each edge of a decision, without what differs at each telling. Items by the origin's numbers."""
    return {_key(edge): _told(edge, record, outcome.setting.directory) for edge in outcome.edges}


def _told(edge: PlannedEdge, record: Json, directory: DirectoryIndex) -> Json:
    recipient = directory.party(edge.recipient)
    if recipient is None:
        raise Defect("edge_without_recipient")
    of = {"withheld": edge.terms.withheld, "hash_kinds": edge.terms.hash_kinds}
    if recipient.kind == PartyKind.INDUSTRY:
        numbers = [record["items"][position]["n"] for position in edge.items]
        told = notice_record(record, edge.items, numbers=numbers, **of)
    else:
        told = referral_record(record, recipient.kind, edge.items, **of)
    return {"edge": {name: value for name, value in edge.as_json().items() if name != "digest"}, "record": told}


def _check_possible(
    found: _Compared, stands: Mapping[EdgeKey, Standing], *, ended: frozenset[str], directory: DirectoryIndex
) -> None:
    """A referral is taken back as a whole: of its purposes at one recipient none ends alone, and none begins again."""
    for recipient, purpose in found.changed | found.ended:
        party = directory.party(recipient)
        if party is not None and party.kind == PartyKind.INDUSTRY:
            continue
        if (recipient, purpose) in found.changed and recipient in ended:
            raise Refused("recipient_taken_back", "it was taken back from a recipient: file another", status=409)
        stays = any(to == recipient for to, _ in found.changed | found.unchanged)
        if (recipient, purpose) in found.ended and stays and stands[recipient, purpose].sent:
            raise Refused("purpose_cannot_end", "one of a recipient's purposes would end: file another", status=409)


def _raised(known: KnownEdge, revision: int) -> KnownEdge:
    """The edge under its next revision: a notice counts its own."""
    return known._replace(revision=known.revision + 1 if known.notice_id is not None else revision)


def _waits_for(waiting: Waiting) -> EdgeKey:
    return _key(waiting.edge)


def _key(edge: PlannedEdge) -> EdgeKey:
    return edge.recipient, edge.terms.purpose


def _location(item: Json) -> tuple[str, str]:
    return item["locator"]["kind"], item["locator"]["value"]
