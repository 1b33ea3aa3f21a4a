"""A second person: what is over its budget, or beyond its party's day, goes when another one of the party lets it go.

It is decided afresh then, by the law in force. What another drops, or nobody looks at in time, is erased; that it was,
and by whom, is kept by audit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.contracts.facts import ReferralReviewedClear
from shared.contracts.referral import ReferralRecord
from shared.contracts.registry import REFERRAL_REVIEWED
from shared.exchange.act import Act, Subject
from shared.exchange.compose import compose_fact
from shared.exchange.events import happened
from shared.exchange.message import Draft
from shared.exchange.origin import ReferralState
from shared.exchange.prepare import Documents, prepare_again
from shared.exchange.released import Released
from shared.exchange.states import row
from shared.guard import cost
from shared.kernel.authority import Authority, Role, require_another, state_forbids
from shared.kernel.errors import not_found
from shared.party.origin.domain import DaySpent
from shared.party.origin.ports import Reviews, Unreleased
from shared.party.origin.use_cases.day import Debit, debit, debit_whole
from shared.party.taking import Taking
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.referral import PriorityLevel, ReviewOutcome

RELEASE: Final = row(Subject.REFERRAL, "release")
DROP: Final = row(Subject.REFERRAL, "drop")
#: So many referrals expire in one transaction.
EXPIRED_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Reviewing:
    """Who looks at what another has filed, when, and by which permits and documents. `actor` is opaque."""

    party: str
    role: Role
    actor: str
    reviews: Reviews
    authority: Authority
    documents: Callable[[], Documents]
    at: datetime
    #: Raises the alarm that the party wanted more than its day has.
    day_filled: Callable[[], None]


async def release_referral(referral_id: UUID, reviewing: Reviewing) -> str:
    """Let a referral go that somebody else has filed; the state it has come to.

    It counts against the party's day: raises `DaySpent` where that has no room, but for a child at risk. Raises
    `Refused`: `not_found`, `forbidden`, `state_forbids`, and `second_person_needed` for whoever filed it.
    """
    documents, at = reviewing.documents(), reviewing.at
    found = await _found(referral_id, RELEASE, reviewing)
    origin, filed_by, content = documents.directory.party(found.party), found.filed_by, found.content
    if origin is None or filed_by is None or content is None:
        raise not_found()
    spent = Debit.of(found.party, cost(content))
    await _debit(spent, reviewing, directory=documents.directory, urgent=_is_urgent(content))
    again = prepare_again(
        content,
        referral_id=referral_id,
        origin=origin,
        exercise=found.exercise,
        documents=documents,
        at=at,
        only=None,
        body_sha256=found.body_sha256,
        traceparent=found.traceparent,
        released=Released(filed_by, reviewing.actor),
    )
    if not await reviewing.reviews.release(reviewing.actor, again):
        raise state_forbids()
    await _told(found, RELEASE, ReviewOutcome.RELEASED, state=again.disposition, reviewing=reviewing)
    return again.disposition


async def _debit(spent: Debit, reviewing: Reviewing, *, directory: DirectoryIndex, urgent: bool) -> None:
    if urgent:
        fits = await debit_whole(reviewing.reviews, spent, directory=directory, at=reviewing.at)
    else:
        fits = await debit(reviewing.reviews, spent, directory=directory, at=reviewing.at)
    if not fits:
        reviewing.day_filled()
    if not fits and not urgent:
        raise DaySpent(reviewing.at)


def _is_urgent(content: ReferralRecord) -> bool:
    return content.priority.level is PriorityLevel.P0_CHILD_AT_RISK


async def drop_referral(referral_id: UUID, reviewing: Reviewing) -> str:
    """Erase a referral that somebody else has filed; the state it has come to. Raises as `release_referral`."""
    found = await _found(referral_id, DROP, reviewing)
    if not await reviewing.reviews.drop(referral_id, reviewing.actor):
        raise state_forbids()
    await _told(found, DROP, ReviewOutcome.DROPPED, state=ReferralState.DROPPED, reviewing=reviewing)
    return ReferralState.DROPPED


async def expire_referrals(
    reviews: Reviews, taking: Taking, documents: Documents, *, instance: str, days: int, at: datetime
) -> None:
    """Erase what has waited for a second person for so many days."""
    expired = await reviews.expire(at - timedelta(days=days), taking)
    if expired:
        end = ReviewOutcome.EXPIRED
        await reviews.send([_fact(each, end, None, instance=instance, documents=documents, at=at) for each in expired])
        dropped = ReferralState.DROPPED.value
        await reviews.note([happened(DROP, each.referral_id, party=each.party, state=dropped) for each in expired])
        log("referrals_expired", count=len(expired))


async def _found(referral_id: UUID, act: Act, reviewing: Reviewing) -> Unreleased:
    found = await reviewing.reviews.find(referral_id)
    if found is None:
        raise not_found()
    reviewing.authority.require("referral", reviewing.role, action=act.name, state=found.state)
    require_another(reviewing.actor, {found.filed_by})
    return found


async def _told(found: Unreleased, act: Act, outcome: ReviewOutcome, *, state: str, reviewing: Reviewing) -> None:
    """Audit who did what, and the party that it was done."""
    documents = reviewing.documents()
    instance = documents.directory.instance_of(found.party)
    assert instance is not None
    fact = _fact(found, outcome, reviewing.actor, instance=instance.id, documents=documents, at=reviewing.at)
    await reviewing.reviews.send([fact])
    await reviewing.reviews.note([happened(act, found.referral_id, party=found.party, state=state)])


def _fact(
    found: Unreleased,
    outcome: ReviewOutcome,
    by: str | None,
    *,
    instance: str,
    documents: Documents,
    at: datetime,
) -> Draft:
    assert found.filed_by is not None
    return compose_fact(
        REFERRAL_REVIEWED,
        ReferralReviewedClear(origin=found.party, outcome=outcome, filed_by=found.filed_by, by=by),
        subject=found.referral_id,
        instance=instance,
        directory=documents.directory,
        exercise=found.exercise,
        at=at,
        traceparent=found.traceparent,
    )
