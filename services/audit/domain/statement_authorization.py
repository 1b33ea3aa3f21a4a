"""Statement authorization: which statements of a flow came from a party that may not make them. Pure.

An unauthorized statement stays as a marked entry with its sender. It has no other effect: it replaces and links
nothing. The party that a fact names is checked when the entry is stored, by the directory of the fact's time. Whether a
party submitted or received a subject is checked when the flow is shown, because audit reads topics in no common order.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.domain.entries import UNREAD, EntryKind
from services.audit.domain.shown import EntryView
from shared.catalog import CATALOG
from shared.core.contracts.registry import (
    CLAIM_GRANTED,
    PRESERVATION_REQUESTED,
    REFERRAL_PASSED_ON,
    Family,
    MessageType,
    name_of,
)
from shared.core.protocol.authority import STATEMENT_NOT_YOURS, SenderRelation, cells_of
from shared.features.contacts.contract import CONTACT_SUGGESTED

_Sent = frozenset[tuple[str | None, str | None, str | None]]
#: Pairs of an agency and the provider from which it requested preservation.
_Asked = frozenset[tuple[str | None, str | None]]


def judged(messages: Sequence[EntryView]) -> tuple[EntryView, ...]:
    """Return the entries of one flow, with unauthorized statements marked.

    The origin of a referral is the party of the first decision that was stated. Until audit has read a decision, it
    judges no statement by the origin. Only the requesting agency and the asked provider may speak about a preservation.
    """
    requests = [each for each in messages if each.verified and _is(each, PRESERVATION_REQUESTED)]
    asked = frozenset((each.sender, each.recipient) for each in requests)
    messages = [each if _between(each, asked) else _marked(each) for each in messages]
    # A decision that audit cannot open names no origin. Otherwise a sender could hide the origin with such a decision.
    stated = [each for each in messages if each.kind is EntryKind.DECISION and _party(each, "origin") is not None]
    if not stated:
        return tuple(each if _of_one(each, asked) else _marked(each) for each in messages)
    origin = str(_party(stated[0], "origin"))
    speakers = frozenset(each.sender for each in stated if _party(each, "origin") == origin)
    sent = frozenset((each.subject, each.sender, each.recipient) for each in messages if _carries_an_edge(each, origin))
    sent = _passed_on(messages, origin, sent)
    granted = frozenset(each.recipient for each in messages if _grants(each) and each.verified)
    return tuple(
        each
        if _entitled(each, origin, sent, speakers=speakers)
        and _once(each, origin, sent, granted=granted)
        and _to_who_has_it(each, origin, sent)
        else _marked(each)
        for each in messages
    )


def _between(entry: EntryView, asked: _Asked) -> bool:
    """Return whether a statement about a preservation is between the requesting agency and the asked provider.

    A preservation has one request. If there are two, audit cannot tell which came first and accepts neither.
    """
    match _relation(entry):
        case SenderRelation.ASKED_IT:
            only = len(asked) == 1 or not _is(entry, PRESERVATION_REQUESTED)
            return only and (entry.sender, entry.recipient) in asked
        case SenderRelation.WAS_ASKED:
            return (entry.recipient, entry.sender) in asked
        case _:
            return True


def _of_one(entry: EntryView, asked: _Asked) -> bool:
    """Return whether the party of a record access is one of the two parties of the preservation."""
    if not asked or _relation(entry) is not SenderRelation.SERVES_WHO_HAS_IT:
        return True
    return any(_party(entry, "party") in both for both in asked)


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
    return _is(entry, CLAIM_GRANTED) and entry.kind is not EntryKind.NOT_ENTITLED


def _once(entry: EntryView, origin: str, sent: _Sent, *, granted: frozenset[str | None]) -> bool:
    """Return whether a granted claim is the referral's only one, by a party that was sent the referral.

    If there are two, audit cannot tell which came first and accepts neither.
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
            return spoken_of == origin or (spoken_of is None and entry.sender in speakers)
        case SenderRelation.SERVES_WHO_HAS_IT:
            party = _party(entry, "party")
            return party == origin or (entry.subject, origin, party) in sent
        case SenderRelation.FILED_IT:
            return entry.sender == origin
        case SenderRelation.PASSED_IT_ON:
            return (entry.subject, origin, entry.sender) in sent
        case SenderRelation.WAS_SENT_IT:
            return entry.recipient == origin and (entry.subject, origin, entry.sender) in sent
        case _:
            return True


def _passed_on(messages: Sequence[EntryView], origin: str, sent: _Sent) -> _Sent:
    """Add the subjects that an agency passed on after it was sent them. The new agency answers the origin, too."""
    passed = [each for each in messages if each.verified and _is(each, REFERRAL_PASSED_ON)]
    return sent | {
        (each.subject, origin, each.recipient) for each in passed if (each.subject, origin, each.sender) in sent
    }


def _carries_an_edge(entry: EntryView, origin: str) -> bool:
    message = _message(entry)
    return message is not None and message.edge and entry.verified and entry.sender == origin


def _marked(entry: EntryView) -> EntryView:
    return entry.model_copy(update={"kind": EntryKind.NOT_ENTITLED, "problem": STATEMENT_NOT_YOURS, "rules": ()})


def _party(entry: EntryView, name: str) -> str | None:
    party = (entry.detail or {}).get(name)
    return party if isinstance(party, str) else None
