"""Statement authorization: which statements of a flow came from a party that may not make them. Pure.

An unauthorized statement stays as a marked entry with its sender. It has no other effect: it replaces and links
nothing. The party that a fact names is checked when the entry is stored, by the directory of the fact's time. Whether a
party submitted or received a subject is checked when the flow is shown, because audit reads topics in no common order.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.domain.entries import UNREAD, EntryKind
from services.audit.domain.shown import EntryView, FlowRelations
from shared.catalog import CATALOG
from shared.core.contracts.registry import CLAIM_GRANTED, Family, MessageType, name_of
from shared.core.protocol.authority import STATEMENT_NOT_YOURS, SenderRelation, cells_of
from shared.features.contacts.contract import CONTACT_SUGGESTED

_Sent = frozenset[tuple[str | None, str | None, str | None]]


def judged(messages: Sequence[EntryView], of: FlowRelations) -> tuple[EntryView, ...]:
    """Return messages of one flow with unauthorized statements marked.

    The first message that can begin a subject decides whose it is: a request for a preservation, an edge, or a
    decision (`services.audit.store.flows`). Nobody else knows the subject's id before that, so no later statement of an
    outsider changes what is judged. Until audit has read such a message, it judges only what is said about a
    preservation.
    """
    return tuple(each if _stands(each, of) else _marked(each) for each in messages)


def _stands(each: EntryView, of: FlowRelations) -> bool:
    if of.origin is None:
        return _of_preservation(each, of.asked)
    return (
        _entitled(each, of.origin, of.sent, speakers=of.speakers)
        and _once(each, of.origin, of.sent, granted=of.granted)
        and _to_who_has_it(each, of.origin, of.sent)
    )


def _of_preservation(entry: EntryView, asked: tuple[str | None, str | None] | None) -> bool:
    """Return whether the sender may state this in the flow of a preservation.

    `asked` are the requesting agency and the asked provider. None: audit has read no request, and no referral.
    """
    relation = _relation(entry)
    match relation:
        case SenderRelation.ASKED_IT:
            return (entry.sender, entry.recipient) == asked
        case SenderRelation.WAS_ASKED:
            return (entry.recipient, entry.sender) == asked
        case SenderRelation.SERVES_WHO_HAS_IT if asked is not None:
            return _party(entry, "party") in asked
        case _:
            return asked is None or relation in (None, SenderRelation.READS_IT)


def _relation(entry: EntryView) -> SenderRelation | None:
    """Return the relation that the sender must have to the subject; None if the entry already has a problem."""
    message = _message(entry)
    if message is None or not entry.verified or entry.kind is EntryKind.NOT_ENTITLED:
        return None
    if message.family is Family.FACT and entry.problem in UNREAD and _party(entry, "origin") is None:
        return None  # audit cannot read which party the fact names
    return cells_of(message, CATALOG)[0].relation


def _message(entry: EntryView) -> MessageType | None:
    """Return the entry's message type in its newest version. No version changes which parties may send a message."""
    name = name_of(entry.type or "")
    return CATALOG.newest(name) if CATALOG.knows(name) else None


def _is(entry: EntryView, message: MessageType) -> bool:
    return name_of(entry.type or "") == message.name


def _grants(entry: EntryView) -> bool:
    return _is(entry, CLAIM_GRANTED) and entry.verified and entry.kind is not EntryKind.NOT_ENTITLED


def _once(entry: EntryView, origin: str, sent: _Sent, *, granted: frozenset[str | None]) -> bool:
    """Return whether a granted claim is the only one of the referral's origin, to a party that was sent the referral.

    An origin that grants two has broken its word with both, so neither stands.
    """
    return not _grants(entry) or (len(granted) == 1 and (entry.subject, origin, entry.recipient) in sent)


def _to_who_has_it(entry: EntryView, origin: str, sent: _Sent) -> bool:
    """Return whether a contact suggestion goes to an agency that has the referral, directly or passed on to it."""
    told = _is(entry, CONTACT_SUGGESTED) and entry.kind is not EntryKind.NOT_ENTITLED
    return not told or (entry.subject, origin, entry.recipient) in sent


def _entitled(entry: EntryView, origin: str, sent: _Sent, *, speakers: frozenset[str | None]) -> bool:
    """Return whether the sender may state this. `speakers` are the instances that stated decisions of the origin."""
    match _relation(entry):
        case SenderRelation.SERVES_ITS_ORIGIN if entry.kind in (EntryKind.DECISION, EntryKind.REVIEWED):
            spoken_of = _party(entry, "origin")
            return spoken_of == origin or (spoken_of is None and (not speakers or entry.sender in speakers))
        case SenderRelation.SERVES_WHO_HAS_IT:
            party = _party(entry, "party")
            return party == origin or (entry.subject, origin, party) in sent
        case SenderRelation.FILED_IT:
            return entry.sender == origin
        case SenderRelation.PASSED_IT_ON:
            return (entry.subject, origin, entry.sender) in sent
        case SenderRelation.WAS_SENT_IT:
            return entry.recipient == origin and (entry.subject, origin, entry.sender) in sent
        case SenderRelation.ASKED_IT | SenderRelation.WAS_ASKED:
            return False
        case _:
            return True


def _marked(entry: EntryView) -> EntryView:
    return entry.model_copy(update={"kind": EntryKind.NOT_ENTITLED, "problem": STATEMENT_NOT_YOURS, "rules": ()})


def _party(entry: EntryView, name: str) -> str | None:
    party = (entry.detail or {}).get(name)
    return party if isinstance(party, str) else None
