"""A party moves. Statements of its old instance from before the move count whenever they arrive; later ones do not."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from deploy.accounting import views
from shared.core.contracts.registry import RECORD_REVEALED, REFERRAL_DECIDED
from shared.core.protocol.message import Draft, Record
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.outgoing_messages import KnownEdge, StaleEdge
from shared.core.protocol.prepare import Prepared, prepare_again
from shared.core.vocabulary.answers import AnswerState
from shared.messaging.exceptions import OutcomeKind
from tests.services.audit.log import Log
from tests.services.audit.test_entitled import fact, revealed, shown
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import move, submission

MINUTE = timedelta(minutes=1)


def notice(filed: Prepared) -> Draft:
    return next(draft for draft in filed.drafts if draft.recipient == PROVIDER)


def opened(log: Log, filed: Prepared) -> Draft:
    subject = next(each.notice_id for each in filed.emitted if each.notice_id)
    return fact(log, RECORD_REVEALED, revealed(PROVIDER), subject=subject)


async def kept(log: Log, draft: Draft) -> Record:
    [record] = log.world.records([draft], "industry")
    await log.keep(record)
    return record


def again(log: Log, filed: Prepared) -> tuple[Draft, ...]:
    """Decide the same edge again, for the recipient's present instance."""
    [edge] = [each for each in filed.emitted if each.recipient == PROVIDER]
    known = KnownEdge(edge.edge_id, edge.notice_id, edge.instance, EdgeAnswer(AnswerState.NONE))
    origin = log.world.documents.directory.party(HOTLINE)
    assert origin is not None
    return prepare_again(
        submission(),
        referral_id=filed.referral_id,
        origin=origin,
        exercise=True,
        documents=log.world.documents,
        at=log.world.at,
        only={(edge.recipient, edge.purpose): StaleEdge(edge.edge_id, edge.message_id, "", log.world.at, 0, known)},
        body_sha256=filed.body_sha256,
        traceparent=None,
    ).drafts


@pytest.mark.parametrize(("moved_first", "kind"), [(False, "revealed"), (True, "not_entitled")])
async def test_a_fact_that_waited_counts_if_stated_before_the_move(log: Log, moved_first: bool, kind: str) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    stated = None if moved_first else opened(log, filed)
    move(log.world, PROVIDER, at=log.world.at + MINUTE)
    log.world.at += 2 * MINUTE
    record = await kept(log, stated or opened(log, filed))
    assert (await shown(log, filed, record))["kind"] == kind


async def test_a_decision_that_waited_counts_too(log: Log) -> None:
    """This is the provider's own referral, which it submitted at its old instance."""
    filed = log.world.prepared(PROVIDER)
    decided = next(draft for draft in filed.drafts if draft.message is REFERRAL_DECIDED)
    move(log.world, PROVIDER, at=log.world.at + MINUTE)
    log.world.at += 2 * MINUTE
    record = await kept(log, decided)
    line = await shown(log, filed, record)
    assert (line["kind"], line["problem"]) == ("decision", None)


async def test_an_edge_that_is_issued_anew_is_bound_to_what_was_decided_each_time(log: Log) -> None:
    before = await log.database.fetch(views.UNDERIVED, UUID(int=0))
    filed = log.world.prepared()
    first = next(record for record in await log.file(filed) if record.key == notice(filed).subject.encode())
    move(log.world, PROVIDER, at=log.world.at + MINUTE)
    log.world.at += 2 * MINUTE
    drafts = again(log, filed)
    second, *_ = records = log.world.records(drafts)
    await log.keep(*records)
    lines = [await shown(log, filed, record) for record in (first, second)]
    assert [(line["problem"], bool(line["rules"])) for line in lines] == [(None, True)] * 2
    assert len(await log.database.fetch(views.UNDERIVED, UUID(int=0))) == len(before)


async def test_a_message_under_its_id_that_nobody_decided_is_named(log: Log) -> None:
    """Negative control: the message commits to neither decision."""
    filed = log.world.prepared()
    await log.file(filed)
    move(log.world, PROVIDER, at=log.world.at + MINUTE)
    log.world.at += 2 * MINUTE
    message, *_ = log.world.records(again(log, filed))
    await log.keep(message)  # its fact is never stated
    assert (await shown(log, filed, message))["problem"] == "edge_not_committed"


async def test_the_old_instances_report_counts_for_what_came_after_the_move(log: Log) -> None:
    """The report was written under the earlier directory, and appended when another instance served the party."""
    filed = log.world.prepared()
    move(log.world, PROVIDER, at=log.world.at + MINUTE)
    log.world.at += 2 * MINUTE
    records = await log.file(filed)
    late = next(record for record in records if record.key == notice(filed).subject.encode())
    await log.report(late, OutcomeKind.MOVED, by="industry")
    assert (await shown(log, filed, late))["outcome"] == "moved"
