"""The effects of a withdrawal: its recipients, who may acknowledge it, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import RetentionStatement
from shared.core.errors import Refused
from shared.core.protocol.message import Draft
from shared.core.vocabulary.answers import KeptBasis
from shared.core.vocabulary.judgement import RetentionClass
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store.referrals import PostgresReferrals
from shared.features.search.rules import EVERYTHING
from shared.platform.database.transactions import RowScope
from shared.platform.observability.telemetry import close_telemetry, configure_telemetry
from tests.services.hotline.origin import KEK, Origin, applied, said
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER

REASON = WithdrawalReason.FILED_IN_ERROR


KEPT = RetentionStatement(retention=RetentionClass.MINIMAL, basis=KeptBasis.LEGAL_HOLD, until=date(2030, 1, 1))


async def acknowledged(
    origin: Origin, referral_id: UUID, *, number: int = 1, kept: RetentionStatement | None = None
) -> str | None:
    """Apply an agency's acknowledgement; return the code of its refusal, or None if it is applied."""
    words = {"fate": "erased" if kept is None else "kept", "kept": kept}
    return (await applied(origin, said("withdrawal_acknowledged", referral_id, POLICE, number, **words)))[0]


async def erased(origin: Origin, referral_id: UUID, *, number: int) -> str | None:
    """Apply the erasure of a retained record; return the code of its refusal, or None if it is applied."""
    return (await applied(origin, said("record_erased", referral_id, POLICE, number, fate="erased")))[0]


@pytest.mark.parametrize("gone", [POLICE, PROVIDER])
async def test_a_recipient_that_has_left_the_directory_keeps_nobody_from_being_told(origin: Origin, gone: str) -> None:
    referral_id = await origin.file()
    told = {edge["recipient"] for edge in (await origin.show(referral_id))["edges"]}
    await origin.forget()
    parties = tuple(each for each in origin.world.document.parties if each.id != gone)
    later = origin.world.document.model_copy(update={"version": 2, "parties": parties})
    origin.world.place(later, AT - timedelta(minutes=1))
    await origin.withdraw(referral_id, REASON)
    assert {row.recipient for row in await origin.waiting()} == told - {gone}
    shown = await origin.show(referral_id)
    assert shown["state"] == "withdrawn"
    assert (await origin.edge(referral_id, gone))["answer"] == "none"


async def test_a_withdrawal_is_acknowledged_once_it_has_been(origin: Origin) -> None:
    referral_id = await origin.file()
    assert await acknowledged(origin, referral_id) == "answer_out_of_order"
    await origin.withdraw(referral_id, REASON)
    assert await acknowledged(origin, referral_id) is None
    assert await acknowledged(origin, referral_id, number=2) == "answer_out_of_order"
    assert await acknowledged(origin, referral_id, kept=KEPT) == "answer_repeated"


async def test_who_was_restored_may_say_once_more_that_it_has_erased(origin: Origin) -> None:
    """The recipient's database has forgotten its answer, but its erasure journal has not.

    The repeat changes nothing.
    """
    first, second = await origin.file(), await origin.file()
    for each in (first, second):
        await origin.withdraw(each, REASON)
    assert await acknowledged(origin, first) is None
    before = (await origin.show(first))["ticks"]
    assert await acknowledged(origin, first) is None
    assert (await origin.show(first))["ticks"] == before
    assert await acknowledged(origin, second, kept=KEPT) is None
    assert await acknowledged(origin, second) == "answer_repeated", "another fate is another answer"


async def test_what_was_kept_is_erased_after_it_was_answered_and_stays_acknowledged(origin: Origin) -> None:
    referral_id = await origin.file()
    await origin.withdraw(referral_id, REASON)
    assert await erased(origin, referral_id, number=1) == "answer_out_of_order"
    assert await acknowledged(origin, referral_id, number=2) is None
    before = (await origin.show(referral_id))["ticks"]
    assert await erased(origin, referral_id, number=3) is None
    shown = await origin.show(referral_id)
    assert {edge["answer"] for edge in shown["edges"] if edge["recipient"] == POLICE} == {"record_erased"}
    assert shown["ticks"] == before
    assert await erased(origin, referral_id, number=4) == "answer_out_of_order"


async def test_the_ticks_of_a_page_are_those_of_each_referral(origin: Origin) -> None:
    filed = [await origin.file() for _ in range(3)]
    await origin.withdraw(filed[1], REASON)
    assert await acknowledged(origin, filed[1]) is None
    async with origin.database.transaction(RowScope([HOTLINE], Role.ANALYST, "read")) as session:
        referrals = PostgresReferrals(session.driver, KEK)
        page = await referrals.page(HOTLINE, EVERYTHING, state=None, cursor=None, limit=50)
        ticked = await referrals.ticked(page.items)
    assert set(filed) <= set(ticked) == {each.referral_id for each in page.items}
    for referral_id in filed:
        assert ticked[referral_id].model_dump() == (await origin.show(referral_id))["ticks"]


# -- A referral is withdrawn once. A repeated request gets the same answer, and no recipient is informed twice.


OTHER = WithdrawalReason.CONSENT_WITHDRAWN


async def tombstones(origin: Origin) -> list[str]:
    return [row.recipient for row in await origin.waiting() if row.message.type.endswith("withdrawn.v1")]


async def test_a_second_withdrawal_changes_nothing_and_tells_nobody(origin: Origin) -> None:
    referral_id = await origin.file()
    await origin.forget()
    await asyncio.gather(origin.withdraw(referral_id, REASON), origin.withdraw(referral_id, OTHER))
    told, shown = await tombstones(origin), await origin.show(referral_id)
    assert len(told) == len({*told}) == 5
    assert shown["state"] == "withdrawn"

    await origin.withdraw(referral_id, REASON)
    await origin.withdraw(referral_id, OTHER)
    assert await tombstones(origin) == told
    assert await origin.show(referral_id) == shown


@pytest.mark.parametrize("times", [0, 1])
async def test_who_may_not_withdraw_is_refused_whatever_the_state(origin: Origin, times: int) -> None:
    referral_id = await origin.file()
    for _ in range(times):
        await origin.withdraw(referral_id, REASON)
    with pytest.raises(Refused) as viewer:
        await origin.withdraw(referral_id, REASON, role=Role.VIEWER)
    with pytest.raises(Refused) as stranger:
        await origin.withdraw(referral_id, REASON, party="hotline-nl.example")
    assert (viewer.value.code, stranger.value.code) == ("forbidden", "not_found")


# -- Messages of one referral share no trace attribute by which a recipient could link them.


TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
FILING = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def spans_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "spans.jsonl"
    configure_telemetry(instance="hotline", sampling_ratio=0, spans_file=path)
    yield path
    close_telemetry()


def traces(rows: Sequence[Draft], *, audit: bool = False) -> list[str]:
    """Return the trace ids of the messages to all parties, or to audit."""
    return [str(row.traceparent)[3:35] for row in rows if (row.recipient == "audit") is audit]


def linked_to_filing(path: Path) -> set[str]:
    """Return the traces in this origin's own spans that link back to the submission."""
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    spans = [each for d in documents for r in d["resourceSpans"] for s in r["scopeSpans"] for each in s["spans"]]
    return {each["traceId"] for each in spans if any(link["traceId"] == TRACE_ID for link in each.get("links", []))}


async def test_withdrawals_share_no_trace_with_what_they_take_back(origin: Origin, spans_file: Path) -> None:
    referral_id = await origin.file(traceparent=FILING)
    sent = traces(await origin.waiting())
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    withdrawn = traces(await origin.waiting())
    assert len({*sent, *withdrawn, TRACE_ID}) == 11


async def test_what_is_decided_again_keeps_its_link_under_new_traces(origin: Origin, spans_file: Path) -> None:
    await origin.file(traceparent=FILING)
    before = await origin.waiting()
    await origin.forget()
    await origin.refused(before)
    after = await origin.waiting()
    assert len({*traces(before), *traces(after), TRACE_ID}) == 11
    assert traces(after, audit=True) == [TRACE_ID]
    assert {*traces(after)} <= linked_to_filing(spans_file)


async def test_what_was_filed_without_a_trace_is_sent_without_one(origin: Origin, spans_file: Path) -> None:
    await origin.file()
    assert {row.traceparent for row in await origin.waiting()} == {None}
