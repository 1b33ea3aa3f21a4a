"""Statement authorization: the table of allowed messages, derived from `acts` and the registry.

A signature proves the author of a statement, but not the right to make it. Each cell names a message, the kinds of its
sender and recipient, and the required relation of the sender to the subject. A statement that no cell allows has no
effect at parties, in audit and in reconciliation. `accept` and audit check the kinds before they use the message.
Relations are checked by the component that knows the subject: a party knows its own edges, items and tracks. Audit and
reconciliation use the directory and the statements of origins.

Corresponding instances, derived from the allowed statements (`authority`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from shared.core.acts.act import ASKED_BY_AGENCIES, Act, Subject, Track
from shared.core.acts.catalog import CORE, Catalog
from shared.core.acts.table import PASS_ON
from shared.core.contracts import facts, registry
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import STATED_BY_INSTANCES, Family, MessageType
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import PartyKind


class SenderRelation(StrEnum):
    """The relation that the sender must have to the subject of its statement."""

    #: The sender submitted the subject, and every holder has it from the sender.
    FILED_IT = "filed_it"
    #: The subject was sent to the sender, by the party that receives the statement.
    WAS_SENT_IT = "was_sent_it"
    #: The subject was sent to the sender, which passes it on to the recipient, a party of the same kind.
    PASSED_IT_ON = "passed_it_on"
    #: The subject is the sender's own request to the recipient.
    ASKED_IT = "asked_it"
    #: The subject is a request of the recipient to the sender.
    WAS_ASKED = "was_asked"
    #: The stating instance serves the origin that it names, and only this origin submitted the subject.
    SERVES_ITS_ORIGIN = "serves_its_origin"
    #: The stating instance serves the party that it names, and that party has submitted or received the subject.
    SERVES_WHO_HAS_IT = "serves_who_has_it"
    #: The instance states the versions that it reads itself.
    READS_IT = "reads_it"


class AuthorityRow(NamedTuple):
    """One allowed statement.

    Instances state facts, parties send the rest; `sender` and `recipient` are their kinds.
    """

    message: MessageType
    sender: PartyKind
    recipient: PartyKind
    relation: SenderRelation


#: The kinds of party that submit referrals.
ORIGINS: Final = (PartyKind.HOTLINE, PartyKind.INDUSTRY)
#: The kind of party that receives each kind of subject.
HELD_BY: Final[Mapping[Subject, PartyKind]] = {
    Subject.OFFER: PartyKind.HOTLINE,
    Subject.CASE: PartyKind.LAW_ENFORCEMENT,
    Subject.NOTICE: PartyKind.INDUSTRY,
}
#: Statements of instances to audit alone, by message name: the kinds of instance, and the required relation.
_FACTS: Final[Mapping[str, tuple[tuple[PartyKind, ...], SenderRelation]]] = {
    registry.REFERRAL_DECIDED.name: (ORIGINS, SenderRelation.SERVES_ITS_ORIGIN),
    registry.REFERRAL_REFUSED.name: (ORIGINS, SenderRelation.SERVES_ITS_ORIGIN),
    registry.REFERRAL_REVIEWED.name: (ORIGINS, SenderRelation.SERVES_ITS_ORIGIN),
    registry.RECORD_REVEALED.name: (tuple(HELD_BY.values()), SenderRelation.SERVES_WHO_HAS_IT),
    registry.READS_ANNOUNCED.name: (tuple(HELD_BY.values()), SenderRelation.READS_IT),
}
#: The code for every statement that the sender is not authorized to make.
STATEMENT_NOT_YOURS: Final = "statement_not_yours"


def check_may_say(
    message: MessageType, sender: str, recipient: str, *, directory: DirectoryIndex, catalog: Catalog
) -> None:
    """Raise `Refused("statement_not_yours")` if no cell allows this message between these kinds of party.

    If the recipient is missing from the directory, the sender is not at fault, and any recipient kind is accepted.
    """
    said_by, told = _kind_of(message, sender, directory), _kind_of(message, recipient, directory)
    for cell in cells_of(message, catalog):
        if cell.sender == said_by and told in (cell.recipient, None):
            return
    raise Refused(STATEMENT_NOT_YOURS, field="ce_type")


def may_state(fact: Contract, instance: str, *, subject: str, directory: DirectoryIndex) -> bool:
    """Return whether an instance may state a fact about its party and subject, by this directory.

    The caller checks that the party has the subject and that no other party submitted it.
    """
    match fact:
        case facts.ReferralDecidedClear():
            return subject == str(fact.decisions[0].referral_id)
        case facts.SealedDecision() | facts.ReferralReviewedClear():
            return directory.serves(instance, fact.origin)
        case facts.ReferralRefusedClear():
            origin = directory.party(fact.origin)
            return origin is not None and origin.instance == instance and origin.kind == fact.origin_kind
        case facts.RecordRevealedClear():
            return directory.serves(instance, fact.party)
        case _:
            return True  # versions that an instance reads: it states only its own


@cache
def cells(catalog: Catalog) -> tuple[AuthorityRow, ...]:
    """Return the whole table, in the order of the catalogue."""
    return tuple(cell for message in catalog.messages for cell in cells_of(message, catalog))


@cache
def cells_of(message: MessageType, catalog: Catalog) -> tuple[AuthorityRow, ...]:
    """Return the allowed statements of a message, the same for all versions.

    If empty, no party may send it.
    """
    return tuple(dict.fromkeys(_cells_of(message, catalog)))


def _cells_of(message: MessageType, catalog: Catalog) -> Iterator[AuthorityRow]:
    if message.family is Family.FACT:
        kinds, relation = _FACTS[message.name]
        for kind in kinds:
            yield AuthorityRow(message, kind, PartyKind.AUDITOR, relation)
        if relation is SenderRelation.READS_IT:
            there = dict.fromkeys((cell.sender, cell.recipient) for row in CORE.acts for cell in _told_by(row))
            back = dict.fromkeys((to, sender) for sender, to in there)
            for pair in there | back:
                yield AuthorityRow(message, *pair, relation)
    else:
        for row in catalog.acts_of(message):
            yield from _told_by(row)


def _told_by(row: Act) -> Iterator[AuthorityRow]:
    """Yield the cells of an act's message: from the writer of its track to the holder of the other track."""
    if row.message is None:
        return
    if row.subject in ASKED_BY_AGENCIES:
        agency, provider = PartyKind.LAW_ENFORCEMENT, PartyKind.INDUSTRY
        asks = row.track is Track.OFFER
        yield (
            AuthorityRow(row.message, agency, provider, SenderRelation.ASKED_IT)
            if asks
            else AuthorityRow(row.message, provider, agency, SenderRelation.WAS_ASKED)
        )
        return
    holder = HELD_BY[row.subject]
    if row is PASS_ON:
        yield AuthorityRow(row.message, holder, holder, SenderRelation.PASSED_IT_ON)
        return
    for origin in ORIGINS:
        if row.track is Track.OFFER:
            yield AuthorityRow(row.message, origin, holder, SenderRelation.FILED_IT)
        else:
            yield AuthorityRow(row.message, holder, origin, SenderRelation.WAS_SENT_IT)


def _kind_of(message: MessageType, name: str, directory: DirectoryIndex) -> str | None:
    entry = directory.instance(name) if message.family in STATED_BY_INSTANCES else directory.party(name)
    return entry.kind if entry is not None else None


#: The instance that facts go to, and that reads every topic.
AUDIT: Final = "audit"

#: The common prefix of the topics of all pairs.
INBOXES: Final = "causeway.inbox."

#: `inbox_topic(to, sender)`: the topic from the instance `sender` to the instance `to`. It is a bound method, so that a
#: message enters no further module for it (`tests/services/test_walk.py`).
inbox_topic: Final[Callable[[str, str], str]] = (INBOXES + "{}.{}.v1").format


def inbox_prefix(to: str) -> str:
    """Return the common prefix of all topics that the instance `to` reads, including the last dot."""
    return f"{INBOXES}{to}."


class InstancePair(NamedTuple):
    """Two instances, of which `sender` may write to `to`. They may be the same instance."""

    to: str
    sender: str

    @property
    def topic(self) -> str:
        return inbox_topic(self.to, self.sender)


def pairs_of(instances: Mapping[str, str]) -> tuple[InstancePair, ...]:
    """Return the pairs among `instances` (id to kind) that may correspond, and those with audit; sorted."""
    kinds = _corresponding()
    pairs = {
        InstancePair(to, sender)
        for (to, to_kind), (sender, sender_kind) in product(instances.items(), repeat=2)
        if (sender_kind, to_kind) in kinds
    }
    stating = {name for name, kind in instances.items() if kind != PartyKind.AUDITOR}
    facts = {InstancePair(AUDIT, name) for name in stating if AUDIT in instances}
    acks = {InstancePair(pair.sender, AUDIT) for pair in facts}
    return tuple(sorted(pairs | facts | acks))


@cache
def _corresponding() -> frozenset[tuple[str, str]]:
    """Return (kind of sender, kind of recipient), in both directions for acknowledgements."""
    # A feature acts on the subjects of the core, so between the same kinds of party.
    there = {(cell.sender.value, cell.recipient.value) for row in CORE.acts for cell in _told_by(row)}
    return frozenset(there | {(to, sender) for sender, to in there})
