"""Amendment of a referral: the effect of new content on its edges. Pure.

The messages for the new content are compared with those that were sent for the old content, edge by edge:

    equal                    unchanged: nothing is sent, its answers stay valid
    different                replaced: sent again under its ids and a higher revision; earlier answers stay recorded
    only for new content     added: a new edge
    only for old content     withdrawn: its recipient is notified and acknowledges

Each recipient ends up with the same content as if the new referral had been submitted first.
A planned notice stays planned, with its window. It is decided when it is issued, by the content of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.core.canonical import Json
from shared.core.clock import coarse
from shared.core.contracts.referral import ReferralContent
from shared.core.errors import Defect, Refused, Unavailable
from shared.core.ids import salt
from shared.core.protocol.facts import read_facts
from shared.core.protocol.minimise import notice_record, own_record, referral_record
from shared.core.protocol.outgoing_messages import (
    EdgeFates,
    KnownEdge,
    MessageContext,
    MessageSet,
    edge_key,
    write_letters,
)
from shared.core.protocol.prepare import Documents, Redecision, redecided
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.engine import RoutedEdge, RoutingInput, RoutingResult, judge
from shared.core.vocabulary.routing import PartyKind

#: (recipient, purpose): among a referral's open edges this pair is unique.
EdgeKey = tuple[str, str]
#: The highest number of an item.
ITEM_NUMBER_MAX = 99


class CurrentEdge(NamedTuple):
    """An open edge as its origin stores it, decided at `decided_at`.

    A waiting or planned edge was never sent. Law enforcement may put a hold on a planned edge. `known` holds the ids
    for sending the edge again.
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
    """One revision of a referral's content: as stored, and as JSON with item numbers."""

    content: ReferralContent
    record: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendmentInput:
    """An amendment of a referral: revision `revision` has content `before`, and `after` replaces it.

    `ended` are recipients of referrals whose edge an earlier amendment withdrew; they receive nothing more of it.
    `body_sha256` is the digest of the request body.
    """

    referral_id: UUID
    origin: PartyEntry
    exercise: bool
    revision: int
    before: Revision
    after: Revision
    edges: Sequence[CurrentEdge]
    ended: frozenset[str] = frozenset()
    body_sha256: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class AmendmentResult:
    """The result of an amendment.

    `again` has the replaced and added edges, their messages, and the fact for audit. `outdated` are waiting or planned
    edges that no longer exist. `planned` edges stay planned, with new content.
    """

    again: Redecision
    unchanged: tuple[CurrentEdge, ...]
    replaced: tuple[CurrentEdge, ...]
    taken_back: tuple[CurrentEdge, ...]
    outdated: tuple[CurrentEdge, ...]
    planned: tuple[CurrentEdge, ...]
    facts: Json
    decision: Json
    content: bytes
    body_sha256: str


def renumbered(record: Json, before: Json, *, numbered: int) -> tuple[Json, int]:
    """Return the record with item numbers, and the highest number ever used.

    An item with the same location keeps its number from `before`; others get new ones. `numbered` is the highest number
    used so far; no number is used again. Raises `Refused("items_exhausted")`.
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
        raise Refused("items_exhausted", "it has had 99 items: withdraw it and submit a new referral", field="/items")
    return record | {"items": items}, numbered


def prepare_amended(
    amending: AmendmentInput, *, documents: Documents, then: Callable[[datetime], Documents], at: datetime
) -> AmendmentResult:
    """Decide the new content and compare it with the messages already sent.

    `then` returns the documents of a time, as known now.

    Raises `Refused`: `recipient_taken_back`, `purpose_cannot_end`, `sealed_too_large`.
    """
    after, origin = amending.after, amending.origin
    read = read_facts(after.content, origin, documents.directory)
    setting = RoutingInput(documents.directory, documents.policy, amending.exercise, coarse(at))
    outcome = judge(read.facts, setting, salt=salt(), unknown=read.unknown)
    stands = {each.key: each for each in amending.edges}
    found = _compared(amending, outcome, stands, then=then)
    _check_possible(found, stands, ended=amending.ended, directory=documents.directory)
    replaced = tuple(stands[key] for key in sorted(found.changed) if key in stands and stands[key].sent)
    planned = tuple(stands[key] for key in sorted(found.changed) if key in stands and stands[key].planned)
    writing = MessageContext(
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
    letters = write_letters(writing, [edge for edge in outcome.edges if edge_key(edge) in written])
    drafts = letters.drafts(read.facts, origin, at=at, body_sha256=amending.body_sha256)
    return AmendmentResult(
        redecided(letters, _left(letters, stands), origin.id, drafts=drafts, law=documents.law, at=at),
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


def _left(letters: MessageSet, stands: Mapping[EdgeKey, CurrentEdge]) -> EdgeFates:
    """Return the waiting edges. A sent edge that cannot be read now is sent again later."""
    sent = {key: each for key, each in stands.items() if each.sent}
    return EdgeFates(
        tuple(each for each in letters.waiting if edge_key(each.edge) not in sent),
        tuple(sent[key].known.edge_id for each in letters.waiting if (key := edge_key(each.edge)) in sent),
        superseded=[],
        dropped=(),
    )


class _EdgeComparison(NamedTuple):
    unchanged: frozenset[EdgeKey]
    changed: frozenset[EdgeKey]
    ended: frozenset[EdgeKey]


def _is_outdated(unsent: CurrentEdge, found: _EdgeComparison) -> bool:
    """Return whether an unsent edge must be removed.

    A planned edge stays while it is routed: its issue decides it.
    """
    return unsent.key in found.ended or (unsent.waits and unsent.key in found.changed)


def _compared(
    amending: AmendmentInput,
    outcome: RoutingResult,
    stands: Mapping[EdgeKey, CurrentEdge],
    *,
    then: Callable[[datetime], Documents],
) -> _EdgeComparison:
    now, was = _sent(amending.after.record, outcome), dict(_sent_before(amending, then))
    changed = {key for key in now if key not in stands or stands[key].waits or was.get(key) != now[key]}
    # One recipient gets one referral, of one revision, for all its purposes.
    told = {recipient for recipient, purpose in changed if (recipient, purpose) in stands}
    changed |= {(recipient, purpose) for recipient, purpose in now if recipient in told}
    return _EdgeComparison(
        frozenset(stands.keys() & now.keys() - changed), frozenset(changed), frozenset(stands.keys() - now.keys())
    )


def _sent_before(amending: AmendmentInput, then: Callable[[datetime], Documents]) -> Iterator[tuple[EdgeKey, Json]]:
    """Yield the earlier messages, by deciding again as of then.

    Without the documents, the edge counts as changed.
    """
    for at in {each.decided_at for each in amending.edges if each.sent}:
        try:
            documents = then(at)
        except Unavailable:
            continue
        origin = documents.directory.party(amending.origin.id)
        if origin is None:
            continue
        read = read_facts(amending.before.content, origin, documents.directory)
        setting = RoutingInput(documents.directory, documents.policy, amending.exercise, coarse(at))
        sent = _sent(amending.before.record, judge(read.facts, setting, salt=salt(), unknown=read.unknown))
        yield from ((each.key, sent[each.key]) for each in amending.edges if each.decided_at == at and each.key in sent)


def _sent(record: Json, outcome: RoutingResult) -> dict[EdgeKey, Json]:
    """Return the content of each edge without the parts that vary per message.

    Items have the origin's numbers.
    """
    return {edge_key(edge): _told(edge, record, outcome.setting.directory) for edge in outcome.edges}


def _told(edge: RoutedEdge, record: Json, directory: DirectoryIndex) -> Json:
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
    found: _EdgeComparison, stands: Mapping[EdgeKey, CurrentEdge], *, ended: frozenset[str], directory: DirectoryIndex
) -> None:
    """Check the change: a recipient's purposes end together, and none begins again after its end."""
    for recipient, purpose in found.changed | found.ended:
        party = directory.party(recipient)
        if party is not None and party.kind == PartyKind.INDUSTRY:
            continue
        if (recipient, purpose) in found.changed and recipient in ended:
            raise Refused("recipient_taken_back", "a recipient's edge was withdrawn: submit a new referral", status=409)
        stays = any(to == recipient for to, _ in found.changed | found.unchanged)
        if (recipient, purpose) in found.ended and stays and stands[recipient, purpose].sent:
            raise Refused("purpose_cannot_end", "a purpose of a recipient would end: submit a new referral", status=409)


def _raised(known: KnownEdge, revision: int) -> KnownEdge:
    """Return the edge with its next revision. A notice counts its own revisions."""
    return known._replace(revision=known.revision + 1 if known.notice_id is not None else revision)


def _location(item: Json) -> tuple[str, str]:
    return item["locator"]["kind"], item["locator"]["value"]
