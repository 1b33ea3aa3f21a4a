"""Every message that each kind of party could send to each kind of service, and its effect there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from deploy.artifacts.examples import AGENCY as AGENCY_OF_EXAMPLES
from deploy.artifacts.examples import EDGE_IDS
from shared.catalog import CATALOG
from shared.core.acts.act import Subject, Track
from shared.core.acts.states import Event, standings, states
from shared.core.clock import rfc3339
from shared.core.contracts.answers import Answer
from shared.core.contracts.items import ItemAnswer
from shared.core.contracts.preservation_api import PreservationTerms
from shared.core.contracts.registry import (
    CASE_CAME_BACK,
    HOLD_ACTIVATED,
    HOLD_ENDED,
    HOLD_TOO_LATE,
    PRESERVATION_REQUESTED,
    STATED_BY_INSTANCES,
    Family,
    MessageType,
)
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.clocks import EdgeClock, EdgeStep
from shared.core.protocol.items import ItemLog
from shared.core.protocol.message import Draft, Received, Record, compose, seal_context
from shared.core.protocol.origin import EdgeAnswer
from shared.core.vocabulary.answers import AnswerState, NoticeAction
from shared.core.vocabulary.routing import PartyKind
from shared.features.cases.rules import AGENCY as AS_AGENCY
from shared.features.contacts.acts import CONTACT
from shared.features.filing.ports import AnswerAct, OpenEdge
from shared.features.filing.service.answers import EdgeAnswers
from shared.features.notices.rules import PROVIDER as AS_PROVIDER
from shared.features.offers.rules import HOTLINE as AS_HOTLINE
from shared.features.preservation.rules import Preservation, PreservationKey, begun
from shared.features.preservation.service import receive as receive_preservations
from shared.features.received.rules import HeldItem, ItemKey, RecipientKind
from shared.features.received.service.items import receive
from tests.contracts.golden import INSTANCES
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import World
from tests.support.forging import forged

EXAMPLES: Final = Path("shared/core/contracts/examples")
#: Two parties of each kind, the instance that serves them, and the domain of each kind of recipient.
PARTIES: Final[Mapping[PartyKind, tuple[str, str]]] = {
    PartyKind.HOTLINE: (HOTLINE, "hotline-de.example"),
    PartyKind.LAW_ENFORCEMENT: (POLICE, "police-be.example"),
    PartyKind.INDUSTRY: (PROVIDER, "provider-002.example"),
    PartyKind.AUDITOR: ("auditor.example", "auditor.example"),
}
SERVICES: Final[Mapping[PartyKind, RecipientKind]] = {
    PartyKind.HOTLINE: AS_HOTLINE,
    PartyKind.LAW_ENFORCEMENT: replace(AS_AGENCY, further=CONTACT.acts),
    PartyKind.INDUSTRY: AS_PROVIDER,
}
#: Messages that are allowed, but for which the sample policy has no rule: no edge can be derived. No agency has an edge
#: here that it could pass on either: `test_passed` has one.
NOT_BY_THIS_LAW: Final = {
    ("notice_issued", PartyKind.INDUSTRY, PartyKind.INDUSTRY),
    ("referral_passed_on", PartyKind.LAW_ENFORCEMENT, PartyKind.LAW_ENFORCEMENT),
}
#: Messages of origins about holds.
OF_HOLDS: Final = (HOLD_ACTIVATED, HOLD_TOO_LATE, HOLD_ENDED)
#: The edge that the example of a passed-on case names.
EDGE_ID: Final = EDGE_IDS[AGENCY_OF_EXAMPLES]
#: The speaker: the subject's own party, another party of the same kind, or the own party about an unknown subject.
SPEAKERS: Final = ("its own", "another's", "nobody's")
REMOVED = ItemLog(answers=(ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED),))
Measure = Callable[[str, object], None]


@dataclass
class Told:
    """A party's state of one subject, and the effects of a message: answered edges and moved items."""

    subject: UUID
    sender: str
    recipient: str
    state: str = ""
    answer: AnswerState = AnswerState.NONE
    withdrawn: bool = False
    instance: str = ""
    items: tuple[int, ...] = (1, 2, 3)
    effects: list[object] = field(default_factory=list)

    async def answerable(self, subjects: Sequence[UUID]) -> dict[tuple[UUID, str], list[OpenEdge]]:
        """Return the edge of the subject, from the recipient of the answer to its sender."""
        # Only the provider that acted on an item may reinstate it. Likewise, a case is returned only by the agency to
        # which it was passed on, as in the example.
        gone = {name: example(CASE_CAME_BACK)[name] for name in ("agency", "edge_id")}
        said = {AnswerState.ACTIONED: REMOVED.words(), AnswerState.REFERRED: gone}
        answer = EdgeAnswer(self.answer, said.get(self.answer, {}))
        edge = OpenEdge(
            EDGE_ID, self.subject, self.recipient, self.sender, self.subject, answer, self.withdrawn, self.items
        )
        edge = replace(edge, instance=self.instance)
        return {(self.subject, self.sender): [edge]} if self.subject in subjects else {}

    async def lock(self, subjects: Sequence[UUID]) -> dict[ItemKey, HeldItem]:
        """Return the item of the subject at the recipient of the message, from its sender."""
        if not self.state or self.subject not in subjects:
            return {}
        names = {"subject_id": self.subject, "party": self.recipient, "sender": self.sender, "state": self.state}
        item = HeldItem(**names, exercise=True, numbers=self.items)  # type: ignore[arg-type]
        return {(self.subject, self.recipient): item}

    async def judged(self, acts: Sequence[AnswerAct]) -> dict[AnswerAct, str | None]:
        return {}

    async def answer_edges(self, answered: Mapping[UUID, object], *_: object, steps: object) -> None:
        self.effects += answered

    def add(self, messages: Sequence[Received]) -> None:
        self.effects += messages

    async def write_new(self) -> None:
        """Write nothing: `add` has already recorded the effect."""

    async def add_edges(self, messages: Sequence[Received]) -> None:
        self.effects += messages

    async def change(self, changes: Mapping[ItemKey, tuple[str, str]]) -> None:
        self.effects += changes

    async def apply_statements(self, messages: Sequence[Received]) -> None:
        """Record messages about holds. They move no item, but they are stored."""
        self.effects += [each for each in messages if each.message in OF_HOLDS]

    async def restored(self) -> bool:
        return False

    async def store_checks(self, items: Sequence[HeldItem]) -> None:
        self.effects += items

    async def resume(self, items: Sequence[HeldItem]) -> None:
        self.effects += items

    async def clock(self, begun: Sequence[EdgeClock], steps: Sequence[EdgeStep]) -> None:
        pass

    async def note(self, events: Sequence[Event]) -> None:
        self.effects += events


class Edges:
    """`Told` as an origin's edges, with the methods for answers."""

    def __init__(self, told: Told) -> None:
        self.answerable = told.answerable
        self.judged = told.judged
        self.answer = told.answer_edges

    async def exist(self, edge_ids: object) -> frozenset[UUID]:
        return frozenset()

    async def refer(self, referred: object) -> None:
        """Do nothing: the agency that answers from now on has its own edge."""

    async def unrefer(self, edge: object, referral_id: object, *, agency: object) -> None:
        """Do nothing: the agency's own edge answers no more."""


@cache
def example(message: MessageType) -> Mapping[str, Any]:
    """An accepted clear part of the message."""
    found = sorted(EXAMPLES.joinpath(f"{message.name}.v{message.version}").glob("accepted-*.json"))
    value: Mapping[str, Any] = json.loads(found[0].read_bytes())
    return value


def draft(message: MessageType, subject: UUID, *, sender: str, recipient: str, by: PartyKind, to: PartyKind) -> Draft:
    """Return the message about `subject` between the instances of two kinds, regardless of its speaker."""
    clear = dict(example(message))
    clear |= {name: str(subject) for name in ("referral_id", "notice_id", "preservation_id") if name in clear}
    # Results and effects must not be dated after the message.
    for named, time in (("checked", "at"), ("items", "effective_at")):
        if named in clear:
            clear[named] = [each | ({time: rfc3339(AT)} if time in each else {}) for each in clear[named]]
    plaintext = b"{}" if message.needs_sealed else None
    message_id, names = uuid7(), {"sender": sender, "recipient": recipient}
    return Draft(
        message_id=message_id,
        message=message,
        subject=str(subject),
        sender=sender,
        recipient=recipient,
        recipient_instance=INSTANCES[to],
        exercise=True,
        clear=clear,
        plaintext=plaintext,
        context=None if plaintext is None else seal_context(message, message_id, str(subject), clear=clear, **names),
        created_at=AT,
    )


def said(here: World, message: MessageType, by: PartyKind, to: PartyKind, *, speaker: str, subject: UUID) -> Record:
    """Return the record of one statement."""
    if message is PRESERVATION_REQUESTED:
        return _request(here, by, to, subject=subject)
    names = message.family in STATED_BY_INSTANCES
    sender = INSTANCES[by] if names else PARTIES[by][speaker == "another's"]
    recipient = INSTANCES[to] if names else told_to(by, to)
    if message.edge and (genuine := _genuine(here, message, by, INSTANCES[to])) is not None:
        [record] = forged(here, [genuine], instance=INSTANCES[by])
        return here.resigned(record, sender=sender, instance=INSTANCES[by])
    about = uuid7() if speaker == "nobody's" else subject
    made = draft(message, about, sender=sender, recipient=recipient, by=by, to=to)
    return forged(here, [made], instance=INSTANCES[by])[0]


def _request(here: World, by: PartyKind, to: PartyKind, *, subject: UUID) -> Record:
    """Return the record of a preservation request. It needs a sealed part, sealed to its recipient."""
    address = here.address(subject, PARTIES[by][0], told_to(by, to))
    clear = dict(example(PRESERVATION_REQUESTED)) | {"preservation_id": str(subject)}
    locations = {"locations": [{"kind": "url", "value": "https://images.example/gallery/17"}]}
    made = compose(PRESERVATION_REQUESTED, clear, address, sealed=json.dumps(locations, separators=(",", ":")).encode())
    return forged(here, [made], instance=INSTANCES[by])[0]


def told_to(by: PartyKind, to: PartyKind) -> str:
    """Return the recipient: a party that a referral of this world reaches, and not the speaker."""
    return {PartyKind.HOTLINE: "hotline-nl.example", PartyKind.INDUSTRY: PROVIDER}.get(to, PARTIES[to][0])


def _genuine(here: World, message: MessageType, by: PartyKind, instance: str) -> Draft | None:
    """Return the message as a referral of its origin sends it, or None if that kind sends no such message."""
    if by not in (PartyKind.HOTLINE, PartyKind.INDUSTRY):
        return None
    drafts = here.prepared(PARTIES[by][0]).drafts
    return next((each for each in drafts if (each.message, each.recipient_instance) == (message, instance)), None)


async def effects_at(told: Told, message: Received, recipient: RecipientKind, *, is_origin: bool) -> list[object]:
    edges = None
    if is_origin:
        edges = EdgeAnswers(Edges(told), AT, CATALOG, agency=lambda _: INSTANCES[PartyKind.LAW_ENFORCEMENT])  # type: ignore[arg-type]
    await receive(recipient, [message], items=told, edges=edges)  # type: ignore[arg-type]
    return told.effects


class Preserving:
    """At most one preservation, and the effects of a message."""

    def __init__(self, known: Preservation | None) -> None:
        self._known = known
        self.effects: list[object] = []

    async def lock(self, ids: Sequence[UUID]) -> dict[PreservationKey, Preservation]:
        known = self._known
        return {(known.preservation_id, known.party): known} if known and known.preservation_id in ids else {}

    async def take_turns(self, asked: object) -> None:
        """Do nothing: there is no concurrent transaction."""

    async def add(self, preservation: Preservation, record: object, at: object) -> None:
        self.effects.append(preservation)

    async def move(self, before: Preservation, after: Preservation) -> None:
        self.effects.append(after)

    async def keep(self, done: Sequence[object]) -> None:
        self.effects += done

    async def clock(self, begun: Sequence[EdgeClock], steps: Sequence[EdgeStep]) -> None:
        self.effects += [*begun, *steps]

    async def note(self, events: Sequence[Event]) -> None:
        self.effects += events


async def moves_a_preservation(message: Received, to: PartyKind, *, subject: UUID, by: PartyKind) -> bool:
    """Return whether the message moves the preservation of its two parties, in any standing."""
    track = Track.ANSWER if to is PartyKind.INDUSTRY else Track.OFFER
    clear = message.clear
    assert isinstance(clear, Answer)
    fresh = begun(subject, _TERMS, party=message.recipient, counterpart=PARTIES[by][0], exercise=True)
    known: list[Preservation | None] = [
        replace(fresh, standing=standing, last_counterpart_act=clear.number - 1)
        for standing in standings(Subject.PRESERVATION)
    ]
    for each in [None] if message.message is PRESERVATION_REQUESTED else known:
        preserving = Preserving(each)
        await receive_preservations([message], preserving, track=track)  # type: ignore[arg-type]
        if preserving.effects:
            return True
    return False


_TERMS: Final = PreservationTerms.model_validate({"kind": "preserve", "instrument": "eu_2023_1543", "term": "eu_60d"})


async def has_effect(here: World, record: Record, to: PartyKind, *, subject: UUID, speaker: str, by: PartyKind) -> bool:
    """Return whether the record changes anything at the recipient, in any state of the subject."""
    try:
        received = accept(record, here.reader(INSTANCES[to]))
    except Refused:
        return False
    if received.message.family is Family.PRESERVATION:
        return await moves_a_preservation(received, to, subject=subject, by=by)
    recipient = SERVICES[to]
    beginning = received.message in recipient.beginning
    held = [""] if beginning else ["", *sorted(states(recipient.subject))]
    for state, answer, withdrawn in product(held, AnswerState, (False, True)):
        told = Told(subject, PARTIES[by][0], received.recipient, state, answer, withdrawn, INSTANCES[by])
        if await effects_at(told, received, recipient, is_origin=to is not PartyKind.LAW_ENFORCEMENT):
            return True
    return False


def statements() -> Iterator[tuple[MessageType, PartyKind, PartyKind]]:
    """Yield every message from every kind of party to every kind of service."""
    yield from product(CATALOG.messages, PARTIES, SERVICES)


def relations(message: MessageType) -> Sequence[str]:
    """Return the speakers for a message. A message that begins a subject has a new one, which is unknown before."""
    if message is PRESERVATION_REQUESTED:
        return SPEAKERS[:1]
    return SPEAKERS[:2] if message.edge else SPEAKERS
