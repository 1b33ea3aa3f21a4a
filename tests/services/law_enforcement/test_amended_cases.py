"""A case of two purposes is amended for each of them, with one message each."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.law_enforcement.app import FEATURES
from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance, CaseAcceptedClear, CaseRecord, OutcomeReport
from shared.core.contracts.base import Contract
from shared.core.contracts.questions import Dispute, DisputeStatement, Question
from shared.core.contracts.registry import REFERRAL_PASSED_ON, REFERRAL_WITHDRAWN
from shared.core.errors import Defect, Refused
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import CaseOutcome, YesNoUnknown
from shared.core.vocabulary.questions import DisputeReason, NeedsInfo
from shared.delivery.sending import Unit
from shared.delivery.subjects import ListedTracks
from shared.delivery.tracks import TrackChange, TrackKey, TrackSide, note_tracks
from shared.features.cases.effects import AgencyHandler
from shared.features.received.rules import ItemAct
from shared.features.received.store.items import PostgresItems
from shared.messaging.tracks import track_of
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, AT, HOTLINE, OTHER_AGENCY, OTHER_HOTLINE, numbered, offered
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.services.law_enforcement.test_cases import ACCEPT

PURPOSES = ("investigation", "victim_identification")


def amended(referral_id: UUID, purpose: str, *, priority: str = "p2_normal", revision: int = 2) -> Received:
    message = offered(referral_id, purpose=purpose, priority=priority)
    return replace(message, clear=message.clear.model_copy(update={"revision": revision}))


async def case_of_two(agencies: Agencies, *, is_accepted: bool) -> UUID:
    referral_id = uuid7()
    assert await agencies.receive(*(offered(referral_id, purpose=each) for each in PURPOSES)) == [None, None]
    if is_accepted:
        await agencies.act("accept", ACCEPT, referral_id)
    return referral_id


@pytest.mark.parametrize("is_accepted", [False, True])
@pytest.mark.parametrize("order", [PURPOSES, PURPOSES[::-1]])
@pytest.mark.parametrize("at_once", [False, True])
async def test_each_purpose_is_amended(
    agencies: Agencies, order: tuple[str, ...], *, is_accepted: bool, at_once: bool
) -> None:
    referral_id = await case_of_two(agencies, is_accepted=is_accepted)
    messages = [amended(referral_id, each) for each in order]
    batches = [messages] if at_once else [[each] for each in messages]
    assert [await agencies.receive(*batch) for batch in batches] == [[None] * len(batch) for batch in batches]
    shown = await agencies.show(referral_id)
    assert (shown["revision"], [each["purpose"] for each in shown["further"]]) == (2, ["victim_identification"])
    kept = sorted((each["purpose"], each["revision"]) for each in shown["earlier"])
    assert kept == ([(each, 1) for each in PURPOSES] if is_accepted else [])
    assert await agencies.receive(*messages) == ["edge_exists"] * 2, "and no revision twice"


@pytest.mark.parametrize("is_accepted", [False, True])
@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_case_is_as_urgent_as_any_purpose_says(agencies: Agencies, purpose: str, *, is_accepted: bool) -> None:
    referral_id = await case_of_two(agencies, is_accepted=is_accepted)
    assert await agencies.receive(amended(referral_id, purpose, priority="p0_child_at_risk")) == [None]
    assert (await agencies.show(referral_id))["priority"] == "p0_child_at_risk"


# -- Guards below and before the use cases of agencies: states in the database, sealed fields, roles.


REFERENCE = "2026/000417"


async def test_no_act_leads_to_a_state_that_nobody_has_a_word_for(agencies: Agencies) -> None:
    """PostgreSQL alone guards this: a holder of the service's role cannot make a row that no list could show."""
    referral_id = await agencies.offer()
    statement = "UPDATE received SET state = $2 WHERE subject = $1"
    async with agencies.database.transaction(RowScope([AGENCY], Role.ANALYST, "decline")) as session:
        await session.driver.execute("SAVEPOINT before")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.driver.execute(statement, referral_id, "garbage")
        await session.driver.execute("ROLLBACK TO SAVEPOINT before")
        await session.driver.execute(statement, referral_id, "declined")  # control: a state that exists
    assert (await agencies.show(referral_id))["state"] == "declined"


async def test_what_is_sealed_never_lies_among_the_words(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", CaseAcceptance(case_reference=REFERENCE), referral_id)
    async with agencies.database.transaction(RowScope([AGENCY], Role.ANALYST, "read")) as session:
        said = await session.driver.fetchval("SELECT answers FROM received WHERE subject = $1", referral_id)
    assert said == {"accepted_at": "2026-05-04T12:00:00.000Z"}
    async with agencies.cases("outcome") as cases:
        item = (await cases.find([referral_id]))[referral_id, AGENCY]
        clear = CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered())
        sealed = CaseRecord(case_reference=REFERENCE)
        with pytest.raises(Defect, match="sealed_words_without_place"):
            await PostgresItems.act_many(cases, [ItemAct(item, "ongoing", clear, sealed)], AT)


async def test_a_viewer_is_forbidden_before_his_words_are_looked_at(agencies: Agencies) -> None:
    unknown = YesNoUnknown.UNKNOWN
    # Closed without a reason. A permitted agency would get an error about the reason.
    said = OutcomeReport(outcome=CaseOutcome.CLOSED, child_identified=unknown, child_safeguarded=unknown)
    with pytest.raises(Refused, match="forbidden"):
        await agencies.act("outcome", said, uuid7(), role=Role.VIEWER)


# -- An agency's questions and disputes name items of its case, known only from its record.


def asking(*about: int) -> Question:
    return Question(needs=(NeedsInfo.STILL_THERE,), about=about)


def contesting(*numbers: int) -> Dispute:
    return Dispute(disputed=tuple(DisputeStatement(n=n, reason=DisputeReason.DUPLICATE) for n in numbers))


@pytest.mark.parametrize(
    ("act", "said", "field"),
    [("ask", asking(1, 99), "/about/1"), ("dispute", contesting(1, 99), "/disputed/1/n")],
    ids=["ask", "dispute"],
)
async def test_an_absent_item_leaves_no_trace(agencies: Agencies, act: str, said: Contract, field: str) -> None:
    referral_id = await agencies.offer()
    with pytest.raises(Refused) as refused:
        await agencies.act(act, said, referral_id)
    assert (refused.value.code, refused.value.field) == ("item_unknown", field)
    assert await agencies.sent(referral_id) == []
    right = asking(1) if act == "ask" else contesting(1)
    assert await agencies.act(act, right, referral_id) == "offered"
    assert len(await agencies.sent(referral_id)) == 1


# -- Decisions of agencies alone: further purposes of one referral, and when closing needs a reason.


# -- Peer sync at agencies: a subject of an agency that a peer lacks goes on the operator's list.


_LINES = "SELECT kind, peer, closed_at IS NULL AS is_open FROM operator_line WHERE subject = $1"
_CLOSE = "UPDATE operator_line SET closed_at = now(), closed_by = 'somebody' WHERE subject = $1"
PEER = "industry"


async def lines(agencies: Agencies, subject: UUID) -> list[tuple[str, str, bool]]:
    return [tuple(row) for row in await agencies.database.fetch(_LINES, subject)]


@pytest.mark.parametrize("hook", ["mark_missing", "mark_untold", "taken_back_there"])
async def test_a_subject_that_cannot_be_sent_again_is_listed_until_closed(agencies: Agencies, hook: str) -> None:
    subject = uuid7()
    for _ in range(2):
        async with agencies.database.transaction() as session:
            tracks = ListedTracks(session.driver)
            await getattr(tracks, hook)([(subject, "provider-a.example")] * 2, PEER)
            await tracks.note_places({PEER: {}})
        assert await lines(agencies, subject) == [("undecidable", PEER, True)]
    async with agencies.database.transaction() as session:
        await session.driver.execute(_CLOSE, subject)
    assert await lines(agencies, subject) == [("undecidable", PEER, False)]
    async with agencies.database.transaction() as session:
        await getattr(ListedTracks(session.driver), hook)([(subject, "provider-a.example")], PEER)
    assert await lines(agencies, subject) == [("undecidable", PEER, True)], "it can happen again"


# -- A case referral does not begin a case if it arrives after the origin's withdrawal.


async def came(agencies: Agencies, withdrawn_by: str) -> list[str]:
    """Return the codes for a case that is referred after `withdrawn_by` withdrew its own referral of that id."""
    subject = uuid7()
    track = track_of(REFERRAL_WITHDRAWN, withdrawn_by, AGENCY, subject=subject)
    assert track is not None
    key = TrackKey("hotline", TrackSide.HELD, track)
    tombstone = TrackChange(key, subject, withdrawn_by, AGENCY, is_withdrawn=True)
    passed: Any = SimpleNamespace(
        message_id=uuid7(),
        message=REFERRAL_PASSED_ON,
        subject_id=subject,
        filed_by=HOTLINE,
        sender=OTHER_AGENCY,
        recipient=AGENCY,
        sealed=None,
    )
    async with agencies.database.transaction(RowScope((AGENCY,), Role.SERVICE, "apply")) as session:
        await note_tracks(session.driver, [tombstone])
        unit = Unit(session)
        door = Asking(kek=KEK, documents=agencies.documents, now=lambda: AT, features=FEATURES)
        return list((await door.apply(unit, [passed])).values())


class Asking(AgencyHandler):
    """A handler that refuses any message that passes the check for withdrawals."""

    def _may_be_told(self, message: Any) -> None:
        raise Refused("nothing_else")


async def test_it_is_refused_as_what_its_sender_withdrew_would_be(agencies: Agencies) -> None:
    assert await came(agencies, HOTLINE) == ["subject_withdrawn"]
    assert await came(agencies, OTHER_HOTLINE) == ["nothing_else"]
