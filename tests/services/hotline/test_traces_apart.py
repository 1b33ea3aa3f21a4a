"""Messages of one referral share no trace attribute by which a recipient could link them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.exchange.message import Draft
from shared.runtime.delivery import sending
from shared.runtime.watch.telemetry import close_telemetry, configure_telemetry
from shared.vocabulary.referral import WithdrawalReason
from tests.services.hotline.origin import Origin

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
FILING = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def spans_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "spans.jsonl"
    configure_telemetry(instance="hotline", sampling_ratio=0, spans_file=path)
    yield path
    close_telemetry()


def traces(rows: Sequence[Draft], recipient: str | None = None) -> list[str]:
    """Return the trace ids of the messages to all parties, or to one recipient."""
    chosen = [row for row in rows if (row.recipient == recipient if recipient else is_sent(row))]
    return [str(draft.traceparent)[3:35] for draft in chosen]


def is_sent(row: Draft) -> bool:
    return row.recipient != "audit"


def linked_to_filing(path: Path) -> set[str]:
    """Return the traces in this origin's own spans that link back to the submission."""
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    spans = [each for d in documents for r in d["resourceSpans"] for s in r["scopeSpans"] for each in s["spans"]]
    return {each["traceId"] for each in spans if any(link["traceId"] == TRACE_ID for link in each.get("links", []))}


async def test_each_offer_and_notice_has_a_trace_of_its_own_that_only_the_origin_can_follow(
    origin: Origin, spans_file: Path
) -> None:
    await origin.file(traceparent=FILING)
    rows = await origin.waiting()
    assert len(set(traces(rows))) == len(traces(rows)) == 5
    assert TRACE_ID not in traces(rows)
    assert traces(rows, "audit") == [TRACE_ID]
    assert linked_to_filing(spans_file) == {*traces(rows)}


async def test_with_the_cause_passed_on_the_messages_share_its_trace(
    origin: Origin, spans_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr(sending, "message_traceparent", lambda cause: cause)
    await origin.file(traceparent=FILING)
    assert {*traces(await origin.waiting())} == {TRACE_ID}


async def test_withdrawals_share_no_trace_with_what_they_take_back(origin: Origin, spans_file: Path) -> None:
    referral_id = await origin.file(traceparent=FILING)
    sent = traces(await origin.waiting())
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    withdrawn = traces(await origin.waiting())
    assert len({*sent, *withdrawn, TRACE_ID}) == 11


async def test_what_is_decided_again_keeps_its_link_to_the_filing_under_new_traces(
    origin: Origin, spans_file: Path
) -> None:
    await origin.file(traceparent=FILING)
    before = await origin.waiting()
    await origin.forget()
    await origin.refused(before)
    after = await origin.waiting()
    assert len({*traces(before), *traces(after), TRACE_ID}) == 11
    assert traces(after, "audit") == [TRACE_ID]
    assert {*traces(after)} <= linked_to_filing(spans_file)


async def test_what_was_filed_without_a_trace_is_sent_without_one(origin: Origin, spans_file: Path) -> None:
    await origin.file()
    assert {row.traceparent for row in await origin.waiting()} == {None}
