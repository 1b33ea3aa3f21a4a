"""Who may say what about whose subject: one table, derived from the rows of `acts` and the message registry.

A signature proves who said something, not that it is theirs to say. Each cell names a message, the kind of who says it,
the kind of whom it is said to, and the relation that the speaker must have to what it speaks of. What no cell allows
has no effect: not at a party, not in audit, not in the accounts. Kinds are checked by `accept` and by audit, before
anything of the message is believed; relations by whoever knows the subject: a party by its own edges, items and tracks,
audit and the accounts by the directory and by what origins have stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

from shared.contracts import registry
from shared.contracts.base import Contract
from shared.contracts.facts import (
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralRefusedClear,
    ReferralReviewedClear,
    SealedDecision,
)
from shared.contracts.registry import STATED_BY_INSTANCES, Family, MessageType
from shared.exchange.act import ASKED_BY_AGENCIES, Act, Subject, Track
from shared.exchange.acts import ACTS, PASS_ON
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.routing import PartyKind


class Relation(StrEnum):
    """What the speaker must be to what it speaks of."""

    #: The subject is the speaker's own: it files it, and whoever has it has it from the speaker.
    FILED_IT = "filed_it"
    #: The subject was sent to the speaker, by the party that it tells.
    WAS_SENT_IT = "was_sent_it"
    #: The subject was sent to the speaker, and it passes it on to the one that it tells, which is of its kind.
    PASSED_IT_ON = "passed_it_on"
    #: The subject is the speaker's own request to the one that it tells.
    ASKED_IT = "asked_it"
    #: The subject is what the one that is told has asked the speaker.
    WAS_ASKED = "was_asked"
    #: The speaking instance serves the origin that it speaks of, and nobody else has filed the subject.
    SERVES_ITS_ORIGIN = "serves_its_origin"
    #: The speaking instance serves the party that it speaks of, and that party has filed or was sent the subject.
    SERVES_WHO_HAS_IT = "serves_who_has_it"
    #: The speaking instance states what it reads itself.
    READS_IT = "reads_it"


class Cell(NamedTuple):
    """One thing that may be said. Facts are said by instances, the rest by parties: kinds are theirs."""

    message: MessageType
    sender: PartyKind
    recipient: PartyKind
    relation: Relation


#: The kinds of party that file referrals.
ORIGINS: Final = (PartyKind.HOTLINE, PartyKind.INDUSTRY)
#: The kind of party that has each kind of subject from others.
HELD_BY: Final[Mapping[Subject, PartyKind]] = {
    Subject.OFFER: PartyKind.HOTLINE,
    Subject.CASE: PartyKind.LAW_ENFORCEMENT,
    Subject.NOTICE: PartyKind.INDUSTRY,
}
#: What instances state to audit alone, by the message's name, of whom, and the kinds of instance that have it to state.
_FACTS: Final[Mapping[str, tuple[tuple[PartyKind, ...], Relation]]] = {
    registry.REFERRAL_DECIDED.name: (ORIGINS, Relation.SERVES_ITS_ORIGIN),
    registry.REFERRAL_REFUSED.name: (ORIGINS, Relation.SERVES_ITS_ORIGIN),
    registry.REFERRAL_REVIEWED.name: (ORIGINS, Relation.SERVES_ITS_ORIGIN),
    registry.RECORD_REVEALED.name: (tuple(HELD_BY.values()), Relation.SERVES_WHO_HAS_IT),
    registry.READS_ANNOUNCED.name: (tuple(HELD_BY.values()), Relation.READS_IT),
}
#: The one code for what is not the speaker's to say.
STATEMENT_NOT_YOURS: Final = "statement_not_yours"


def check_may_say(message: MessageType, sender: str, recipient: str, *, directory: DirectoryIndex) -> None:
    """Raises `Refused("statement_not_yours")` where no cell lets the sender's kind say this to the recipient's.

    A recipient that the directory does not have, or no more, is nobody's fault here: then any kind will do.
    """
    said_by, told = _kind_of(message, sender, directory), _kind_of(message, recipient, directory)
    for cell in cells_of(message):
        if cell.sender == said_by and told in (cell.recipient, None):
            return
    raise Refused(STATEMENT_NOT_YOURS, field="ce_type")


def may_state(fact: Contract, instance: str, *, subject: str, directory: DirectoryIndex) -> bool:
    """Whether an instance may state a fact of whom and what it speaks of, by the directory of its time.

    Whether the party has the subject, and nobody else has filed it, is for whoever knows the subjects.
    """
    match fact:
        case ReferralDecidedClear():
            return subject == str(fact.decisions[0].referral_id)
        case SealedDecision() | ReferralReviewedClear():
            return directory.serves(instance, fact.origin)
        case ReferralRefusedClear():
            origin = directory.party(fact.origin)
            return origin is not None and origin.instance == instance and origin.kind == fact.origin_kind
        case RecordRevealedClear():
            return directory.serves(instance, fact.party)
        case _:
            return True  # what an instance reads: it speaks of itself alone


@cache
def cells() -> tuple[Cell, ...]:
    """The whole table, in the order of the registry."""
    return tuple(cell for message in registry.ALL for cell in cells_of(message))


@cache
def cells_of(message: MessageType) -> tuple[Cell, ...]:
    """What a message may say: by whom, to whom, of what. None of it: nobody may say it. All versions say the same."""
    return tuple(dict.fromkeys(_cells_of(message)))


def _cells_of(message: MessageType) -> Iterator[Cell]:
    if message.family is Family.FACT:
        kinds, relation = _FACTS[message.name]
        for kind in kinds:
            yield Cell(message, kind, PartyKind.AUDITOR, relation)
        if relation is Relation.READS_IT:
            there = dict.fromkeys((cell.sender, cell.recipient) for row in ACTS for cell in _told_by(row))
            back = dict.fromkeys((to, sender) for sender, to in there)
            for pair in there | back:
                yield Cell(message, *pair, relation)
    else:
        for row in ACTS:
            if row.message is not None and row.message.name == message.name:
                yield from _told_by(row)


def _told_by(row: Act) -> Iterator[Cell]:
    """What the message of an act says: of the track that its writer alone moves, to who has the other one."""
    if row.message is None:
        return
    if row.subject in ASKED_BY_AGENCIES:
        agency, provider = PartyKind.LAW_ENFORCEMENT, PartyKind.INDUSTRY
        asks = row.track is Track.OFFER
        yield (
            Cell(row.message, agency, provider, Relation.ASKED_IT)
            if asks
            else Cell(row.message, provider, agency, Relation.WAS_ASKED)
        )
        return
    holder = HELD_BY[row.subject]
    if row is PASS_ON:
        yield Cell(row.message, holder, holder, Relation.PASSED_IT_ON)
        return
    for origin in ORIGINS:
        if row.track is Track.OFFER:
            yield Cell(row.message, origin, holder, Relation.FILED_IT)
        else:
            yield Cell(row.message, holder, origin, Relation.WAS_SENT_IT)


def _kind_of(message: MessageType, name: str, directory: DirectoryIndex) -> str | None:
    entry = directory.instance(name) if message.family in STATED_BY_INSTANCES else directory.party(name)
    return entry.kind if entry is not None else None
