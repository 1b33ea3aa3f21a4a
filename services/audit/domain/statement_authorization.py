"""Whose a statement is: what a fact may speak of, and what in a flow is said by somebody whose it is not. Pure.

A statement that is not its speaker's to make is kept as an entry, marked and named, and nothing else comes of it: it
replaces nothing and links nothing. Whom a fact speaks of is judged by the directory of its time, when it is kept.
Whether a party filed or was sent a subject is judged when the flow is shown: audit reads topics in no common order.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.domain.entries import UNREAD, EntryKind
from services.audit.domain.shown import KeptEntry
from shared.contracts.registry import (
    CLAIM_GRANTED,
    CONTACT_SUGGESTED,
    NAMES,
    PRESERVATION_REQUESTED,
    REFERRAL_PASSED_ON,
    Family,
    MessageType,
    name_of,
    newest,
)
from shared.exchange.authority import STATEMENT_NOT_YOURS, Relation, cells_of

_Sent = frozenset[tuple[str | None, str | None, str | None]]
#: Agencies, each with the provider that it has asked.
_Asked = frozenset[tuple[str | None, str | None]]


def judged(messages: Sequence[KeptEntry]) -> tuple[KeptEntry, ...]:
    """The entries of one flow; those that speak of a subject that is not theirs are marked.

    The origin of a referral is who was first to state that it decided it. Until audit has read that, nothing of it is
    judged. A preservation is between the agency that asked and the provider that it asked, and nobody else.
    """
    requests = [each for each in messages if each.verified and _is(each, PRESERVATION_REQUESTED)]
    asked = frozenset((each.sender, each.recipient) for each in requests)
    messages = [each if _between(each, asked) else _marked(each) for each in messages]
    # A decision that audit cannot open says nothing of whose it is: whoever sent it first must not hide the origin.
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


def _between(entry: KeptEntry, asked: _Asked) -> bool:
    """Whether what is said of a preservation is said by who asked, to who was asked, or the reverse.

    One is asked for once: of two requests nobody can tell here which was first.
    """
    match _relation(entry):
        case Relation.ASKED_IT:
            only = len(asked) == 1 or not _is(entry, PRESERVATION_REQUESTED)
            return only and (entry.sender, entry.recipient) in asked
        case Relation.WAS_ASKED:
            return (entry.recipient, entry.sender) in asked
        case _:
            return True


def _of_one(entry: KeptEntry, asked: _Asked) -> bool:
    """Whether whoever has looked at a preservation is one of the two."""
    if not asked or _relation(entry) is not Relation.SERVES_WHO_HAS_IT:
        return True
    return any(_party(entry, "party") in both for both in asked)


def _relation(entry: KeptEntry) -> Relation | None:
    """How its sender must stand to what it speaks of; None where it says already what is wrong with it."""
    message = _message(entry)
    if message is None or not entry.verified or entry.kind is EntryKind.NOT_ENTITLED:
        return None
    if message.family is Family.FACT and entry.problem in UNREAD and _party(entry, "origin") is None:
        return None  # nobody knows of whom it speaks
    return cells_of(message)[0].relation


def _message(entry: KeptEntry) -> MessageType | None:
    """What it is of: whose a message is to say, no version of it changes, though audit may not read it."""
    name = name_of(entry.type or "")
    return newest(name) if name in NAMES else None


def _is(entry: KeptEntry, message: MessageType) -> bool:
    return name_of(entry.type or "") == message.name


def _grants(entry: KeptEntry) -> bool:
    return _is(entry, CLAIM_GRANTED) and entry.kind is not EntryKind.NOT_ENTITLED


def _once(entry: KeptEntry, origin: str, sent: _Sent, *, granted: frozenset[str | None]) -> bool:
    """A referral is granted to one, which was sent it. Of two, nobody can tell here who was first."""
    return not _grants(entry) or (len(granted) == 1 and (entry.subject, origin, entry.recipient) in sent)


def _to_who_has_it(entry: KeptEntry, origin: str, sent: _Sent) -> bool:
    """Nobody is told of another agency that was not sent the referral, by its origin or by an agency that was."""
    told = _is(entry, CONTACT_SUGGESTED) and entry.kind is not EntryKind.NOT_ENTITLED
    return not told or (entry.subject, origin, entry.recipient) in sent


def _entitled(entry: KeptEntry, origin: str, sent: _Sent, *, speakers: frozenset[str | None]) -> bool:
    """`speakers`: the instances that have stated what the origin decided."""
    match _relation(entry):
        case Relation.SERVES_ITS_ORIGIN if entry.kind in (EntryKind.DECISION, EntryKind.REVIEWED):
            spoken_of = _party(entry, "origin")
            return spoken_of == origin or (spoken_of is None and entry.sender in speakers)
        case Relation.SERVES_WHO_HAS_IT:
            party = _party(entry, "party")
            return party == origin or (entry.subject, origin, party) in sent
        case Relation.FILED_IT:
            return entry.sender == origin
        case Relation.PASSED_IT_ON:
            return (entry.subject, origin, entry.sender) in sent
        case Relation.WAS_SENT_IT:
            return entry.recipient == origin and (entry.subject, origin, entry.sender) in sent
        case _:
            return True


def _passed_on(messages: Sequence[KeptEntry], origin: str, sent: _Sent) -> _Sent:
    """What was sent, and what an agency that was sent it has passed on: that agency answers the origin, too."""
    passed = [each for each in messages if each.verified and _is(each, REFERRAL_PASSED_ON)]
    return sent | {
        (each.subject, origin, each.recipient) for each in passed if (each.subject, origin, each.sender) in sent
    }


def _carries_an_edge(entry: KeptEntry, origin: str) -> bool:
    message = _message(entry)
    return message is not None and message.edge and entry.verified and entry.sender == origin


def _marked(entry: KeptEntry) -> KeptEntry:
    return entry.model_copy(update={"kind": EntryKind.NOT_ENTITLED, "problem": STATEMENT_NOT_YOURS, "rules": ()})


def _party(entry: KeptEntry, name: str) -> str | None:
    party = (entry.detail or {}).get(name)
    return party if isinstance(party, str) else None
