"""A second person: what is over its budget, or beyond its party's day, goes when another one of the party lets it go.

It is decided afresh then, by the law in force. What another drops, or nobody looks at in time, is erased; that it was,
and by whom, is kept by audit.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.contracts.facts import ReferralReviewedClear
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
from shared.kernel.authority import require_another, state_forbids
from shared.kernel.errors import not_found
from shared.party.origin.records import Unreleased
from shared.party.origin.store.reviews import PostgresReviews
from shared.party.origin.use_cases.acting import Acting
from shared.party.origin.use_cases.day import debit_one
from shared.party.taking import Taking
from shared.runtime.watch.logs import log
from shared.vocabulary.referral import ReviewOutcome

RELEASE: Final = row(Subject.REFERRAL, "release")
DROP: Final = row(Subject.REFERRAL, "drop")
#: So many referrals expire in one transaction.
EXPIRED_MAX: Final = 100


async def release_referral(referral_id: UUID, acting: Acting) -> str:
    """Let a referral go that somebody else has filed; the state it has come to.

    It counts against the party's day: raises `DaySpent` where that has no room, but for a child at risk. Raises
    `Refused`: `not_found`, `forbidden`, `state_forbids`, and `second_person_needed` for whoever filed it.
    """
    documents, at = acting.documents(), acting.at
    found = await _found(referral_id, RELEASE, acting)
    origin, filed_by, content = documents.directory.party(found.party), found.filed_by, found.content
    if origin is None or filed_by is None or content is None:
        raise not_found()
    await debit_one(acting.reviews, content, cost(content), acting)
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
        released=Released(filed_by, acting.actor),
    )
    if not await acting.reviews.release(acting.actor, again):
        raise state_forbids()
    await _told(found, RELEASE, ReviewOutcome.RELEASED, state=again.disposition, acting=acting)
    return again.disposition


async def drop_referral(referral_id: UUID, acting: Acting) -> str:
    """Erase a referral that somebody else has filed; the state it has come to. Raises as `release_referral`."""
    found = await _found(referral_id, DROP, acting)
    if not await acting.reviews.drop(referral_id, acting.actor):
        raise state_forbids()
    await _told(found, DROP, ReviewOutcome.DROPPED, state=ReferralState.DROPPED, acting=acting)
    return ReferralState.DROPPED


async def expire_referrals(
    reviews: PostgresReviews, taking: Taking, documents: Documents, *, instance: str, days: int, at: datetime
) -> None:
    """Erase what has waited for a second person for so many days."""
    expired = await reviews.expire(at - timedelta(days=days), taking)
    if expired:
        end = ReviewOutcome.EXPIRED
        await reviews.send([_fact(each, end, None, instance=instance, documents=documents, at=at) for each in expired])
        dropped = ReferralState.DROPPED.value
        await reviews.note([happened(DROP, each.referral_id, party=each.party, state=dropped) for each in expired])
        log("referrals_expired", count=len(expired))


async def _found(referral_id: UUID, act: Act, acting: Acting) -> Unreleased:
    found = await acting.reviews.find(referral_id)
    if found is None:
        raise not_found()
    acting.require(act.name, found.state)
    require_another(acting.actor, {found.filed_by})
    return found


async def _told(found: Unreleased, act: Act, outcome: ReviewOutcome, *, state: str, acting: Acting) -> None:
    """Audit who did what, and the party that it was done."""
    documents = acting.documents()
    instance = documents.directory.instance_of(found.party)
    assert instance is not None
    fact = _fact(found, outcome, acting.actor, instance=instance.id, documents=documents, at=acting.at)
    await acting.reviews.send([fact])
    await acting.reviews.note([happened(act, found.referral_id, party=found.party, state=state)])


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
