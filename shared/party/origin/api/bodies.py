"""What is posted at an origin's door, and the answers that refusals stand in: problems, as each would be alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract
from shared.contracts.decision import NotSent
from shared.contracts.fields import Url
from shared.contracts.referral import ReferralSubmission
from shared.party.origin.domain import AcceptedReferral, Cut, FiledState, Recipient
from shared.runtime.http.bodies import BATCH_ITEMS_MAX
from shared.runtime.http.problems import Problem
from shared.vocabulary.routing import WorkReason

#: The place of an item in the list that was posted, from 0.
Index = Annotated[int, Field(ge=0, lt=BATCH_ITEMS_MAX)]
ReferralPath = Annotated[str, StringConstraints(pattern=r"^/v1/referrals/[0-9a-f-]{36}$")]


class ReferralBatch(Contract):
    """Several referrals at once, each within the limits of one that is posted alone."""

    referrals: Annotated[tuple[ReferralSubmission, ...], Field(min_length=1, max_length=BATCH_ITEMS_MAX)]


class ReferenceTaken(Problem):
    """This sender has filed this external reference before, as `referral`."""

    referral: ReferralPath


class BatchAccepted(AcceptedReferral):
    """An item that was accepted, as it would have been alone."""

    index: Index
    status: Literal[202]


class BatchRefused(Contract):
    """An item that was refused, with the status and the problem that it would have been answered with alone."""

    index: Index
    status: Annotated[int, Field(ge=400, le=499)]
    problem: ReferenceTaken | Problem


class BatchAnswer(Contract):
    """One result for each item, in their order."""

    results: tuple[BatchAccepted | BatchRefused, ...]


class WouldCut(Cut):
    """What would be cut of item `n`; `target` is what a redirector's address leads to, and what would stand for it."""

    target: Url | None = None


class CheckPassed(Contract):
    """What would become of an item, what a prohibition would keep from whom, and where something would be cut.

    Of what would be `unreleased`, the recipients are those it would have once a second person lets it go.
    """

    index: Index
    ok: Literal[True]
    state: FiledState
    work_reason: WorkReason | None
    recipients: tuple[Recipient, ...]
    not_sent: tuple[NotSent, ...]
    cut: tuple[WouldCut, ...] = ()


class CheckRefused(Contract):
    """Why an item would be refused."""

    index: Index
    ok: Literal[False]
    problem: Problem


class CheckAnswer(Contract):
    """One result for each item, in their order. Nothing was stored."""

    results: tuple[CheckPassed | CheckRefused, ...]
