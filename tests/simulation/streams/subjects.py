"""The rules of one subject below the streams: revisions, acts, withdrawal and erasure. All are pure.

A subject has one held state at each receiver. Messages about it may arrive twice, late, or before others. A revision
is held only if it is above the held one. An act is applied once by its id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from shared.messaging.exceptions import NamedMessage, OutcomeKind, RefusalCode
from shared.messaging.streams import WireRole


@dataclass(frozen=True, slots=True)
class HeldSubject:
    """A subject of another instance as it is held here, or the answers on an own subject.

    `revision` 0: no revision is held. `acts`: the acts that were applied, in order. `is_withdrawn`: a tombstone.
    `is_erased`: content and acts were erased here; the revision stays until the subject's day closes.
    """

    revision: int = 0
    content: bytes | None = None
    acts: tuple[UUID, ...] = ()
    is_withdrawn: bool = False
    is_erased: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of one message: the state after it, its outcome, and its effects.

    `raises_revision`: the content is new here. `new_acts`: acts to apply, in order. `is_withdrawal`: the subject is
    withdrawn by this message. `held_revision` goes with a refusal as `behind`.
    """

    held: HeldSubject | None
    kind: OutcomeKind
    code: str | None = None
    held_revision: int | None = None
    raises_revision: bool = False
    new_acts: tuple[UUID, ...] = ()
    is_withdrawal: bool = False


def find_final_refusal(held: HeldSubject | None, role: WireRole, *, is_day_closed: bool) -> RefusalCode | None:
    """Return the refusal that holds before a message is read: closed day, erased or withdrawn subject.

    A withdrawal is refused only after the day has closed.
    """
    if is_day_closed:
        return RefusalCode.ERASED
    if role is WireRole.WITHDRAWAL or held is None:
        return None
    if held.is_withdrawn:
        return RefusalCode.WITHDRAWN
    return RefusalCode.ERASED if held.is_erased else None


def apply_message(held: HeldSubject | None, named: NamedMessage, *, is_lawful: bool = True) -> Applied:
    """Apply a readable message of the subject's owner. `is_lawful`: its decision holds by the law in force.

    The caller has asked `find_final_refusal`.
    """
    if named.role is WireRole.WITHDRAWAL:
        return withdraw(held)
    if held is None or not held.revision:
        if named.revision is None:
            return _refuse(held, RefusalCode.UNKNOWN)
        held = held or HeldSubject()
    if named.revision is None:
        return apply_acts(held, named)
    if named.revision > held.revision:
        if not is_lawful:
            return _refuse(held if held.revision else None, RefusalCode.LAW)
        held = replace(held, revision=named.revision, content=named.content)
        return replace(_merge(held, named), raises_revision=True)
    merged = _merge(held, named)
    if (held.revision, held.content) != (named.revision, named.content):
        return replace(merged, kind=OutcomeKind.REFUSED, code=RefusalCode.BEHIND, held_revision=held.revision)
    return merged


def apply_acts(held: HeldSubject, named: NamedMessage) -> Applied:
    """Apply acts that follow a known act on their track: of the owner, or answers on an own subject."""
    if _has_gap(held, named):
        return _refuse(held, RefusalCode.GAP)
    return _merge(held, named)


def withdraw(held: HeldSubject | None) -> Applied:
    """Withdraw a subject, held or not: a tombstone remains. On an erased subject this has no effect to show."""
    before = held or HeldSubject()
    tombstone = HeldSubject(is_withdrawn=True, is_erased=before.is_erased)
    has_effect = not before.is_withdrawn and not before.is_erased
    return Applied(tombstone, OutcomeKind.APPLIED, is_withdrawal=has_effect)


def erase(held: HeldSubject | None) -> HeldSubject:
    """Erase content and acts; a stub remains, and a tombstone stays one."""
    before = held or HeldSubject()
    return HeldSubject(0 if before.is_withdrawn else before.revision, None, (), before.is_withdrawn, is_erased=True)


def _merge(held: HeldSubject, named: NamedMessage) -> Applied:
    """Add the acts that are new. The message is refused as `gap` if the act before it is not known here."""
    known = frozenset(held.acts)
    new_acts = tuple(act for act in dict.fromkeys(named.acts) if act not in known)
    after = replace(held, acts=held.acts + new_acts)
    if _has_gap(after, named):
        return Applied(after, OutcomeKind.REFUSED, RefusalCode.GAP, new_acts=new_acts)
    return Applied(after, OutcomeKind.APPLIED, new_acts=new_acts)


def _has_gap(held: HeldSubject, named: NamedMessage) -> bool:
    return named.after is not None and named.after not in held.acts


def _refuse(held: HeldSubject | None, code: RefusalCode) -> Applied:
    return Applied(held, OutcomeKind.REFUSED, code)
