"""Messages that add up are sealed: they are not read again, but are still compared in a full reconciliation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from deploy.accounting.book import Reconciliation
from deploy.accounting.edges import FILE, SealedDays, day_of, id_at, read_sealed, sealable, write_sealed
from deploy.accounting.run import reconciled
from deploy.accounting.streams import SealedStream, Stream
from shared.core.clock import SystemClock
from shared.core.errors import Refused
from shared.core.ids import coarse_uuid7, uuid7
from tests.support.manual_clock import ManualClock
from tests.support.running import HOTLINE, Exchange, referral

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_message_belongs_to_the_day_of_its_id() -> None:
    assert day_of(coarse_uuid7(NOON)) == date(2026, 5, 4)
    assert id_at(date(2026, 5, 4)) <= coarse_uuid7(NOON) < id_at(date(2026, 5, 5))
    assert day_of(UUID(int=2**128 - 1)) == date.max


def test_a_day_is_sealed_when_it_is_over_for_a_day_and_nothing_before_it_is_open() -> None:
    assert sealable(NOON) == sealable(NOON, None) == date(2026, 5, 3)
    assert sealable(NOON, None, coarse_uuid7(NOON - timedelta(days=5))) == date(2026, 4, 29)


def test_what_was_sealed_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_sealed(tmp_path) == SealedDays()
    stream = Stream("hotline", "industry", uuid7(), 1)
    fates = Counter({("a.example", "b.example", "applied"): 7, ("a.example", "c.example", "refused"): 1})
    written = SealedDays(
        date(2026, 5, 3), {stream: SealedStream(8, b"\1" * 32, fates)}, {"edges": 3}, {"t/0": ("id", 5)}
    )
    write_sealed(tmp_path, written)
    assert read_sealed(tmp_path) == written
    assert written.counts() == {("a.example", "b.example"): 7, ("a.example", "c.example"): 1}


@pytest.mark.parametrize("text", ["", "{}", '{"form": 1}', '{"form": 2, "until": "no day"}'])
def test_a_file_that_is_none_of_ours_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(Refused, match="accounts_malformed"):
        read_sealed(tmp_path)


@pytest.fixture
def in_three_days(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reconcile three days later, when today is long over. Afterwards nothing is sealed."""
    later = ManualClock(SystemClock().now() + timedelta(days=3))
    monkeypatch.setattr("deploy.accounting.books.SystemClock", lambda: later)
    yield
    (exchange.state / FILE).unlink(missing_ok=True)


_ALTER = "UPDATE entry SET digest = $2 WHERE message_id = $1"


async def numbered(exchange: Exchange) -> int:
    """Return the number of numbered messages that audit has."""
    admin = await exchange.admin("audit")
    try:
        found: int = await admin.fetchval("SELECT count(*) FROM entry WHERE number IS NOT NULL")
    finally:
        await admin.close()
    return found


@pytest.mark.usefixtures("in_three_days")
async def test_sealed_messages_are_not_read_again_unless_everything_is_asked_for(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as client:
        await client.submit(referral())
    # The messages that instances exchange once after their start are numbered, too.
    await exchange.until_all_have_answered()
    looks, before = None, -1
    while looks is None or await numbered(exchange) != before:
        # A message came meanwhile, so the day is sealed again.
        (exchange.state / FILE).unlink(missing_ok=True)
        await exchange.until_quiet()
        await exchange.until_audited()
        before = await numbered(exchange)
        looks = await looked_at(exchange)
    first, again, everything, restored = looks
    assert first.differences == again.differences == restored.differences == ()
    assert (again.messages, again.edges) == (first.messages, first.edges)
    whats = {each.what for each in everything.differences}
    assert whats >= {"audit's entry is not on the chain of its stream", "audit has another record than Kafka"}


async def looked_at(exchange: Exchange) -> tuple[Reconciliation, Reconciliation, Reconciliation, Reconciliation]:
    """Return the sealing reconciliation, two while one of audit's entries is altered, and a full one after that."""
    first = await reconciled(exchange.endpoints)
    sealed = read_sealed(exchange.state)
    assert sealed.until is not None
    assert sealed.streams
    audit = await exchange.admin("audit")
    try:
        row = await audit.fetchrow("SELECT message_id, digest FROM entry WHERE edge_id IS NOT NULL LIMIT 1")
        await audit.execute(_ALTER, row["message_id"], b"\xab" * 32)
        again = await reconciled(exchange.endpoints)
        everything = await reconciled(exchange.endpoints, everything=True)
        await audit.execute(_ALTER, row["message_id"], row["digest"])
    finally:
        await audit.close()
    return first, again, everything, await reconciled(exchange.endpoints, everything=True)
