"""Of what was erased among neighbours of the same segments nobody opens anything, whatever they have got hold of.

The attacker has every database and every private key, after both readers have acknowledged and the rows are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from client.views import ReferralView
from deploy.operator.retention import apply
from deploy.site.endpoints import OwnedDatabase
from shared.core.clock import SystemClock
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.evidence import check_evidence, read_evidence
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store.intake import opened
from shared.features.received.store.arriving import open_record
from tests.benchmarks.input import documents_of
from tests.support.running import HOTLINE, PROVIDER, SERVICES, Exchange, referral, running_exchange, until

pytestmark = pytest.mark.long

TOGETHER, BATCHES = 100, 2
REST_S_MAX = 300.0
#: By then an origin keeps nothing of what everybody has erased.
LATER = timedelta(days=400)
_RECORDS = "SELECT referral_id AS id, referral_id, party, content, wrapped_key FROM referral"
_RECEIVED = "SELECT subject AS id, * FROM {} WHERE wrapped_key IS NOT NULL"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    with running_exchange(tmp_path / "state") as running:
        yield running


async def attacked(exchange: Exchange) -> set[tuple[str, UUID]]:
    """What every database and every key open: by instance, its own id of the subject."""
    found = set[tuple[str, UUID]]()
    for instance in SERVICES:
        kek = KeyEncryptionKey.load((exchange.state / "keys" / instance / "kek.key").read_text().strip())
        if instance == "hotline":
            rows = await exchange.rows_past_policies(instance, f"{_RECORDS} WHERE wrapped_key IS NOT NULL")
            found |= {("origin", row["id"]) for row in rows if opened(row, kek).items}
        for row in await exchange.rows_past_policies(instance, _RECEIVED.format("received")):
            record = open_record(row, kek)
            assert record is not None
            assert record.part.plaintext
            found.add((instance, row["id"]))
    return found


async def sealed_bytes(exchange: Exchange) -> int:
    """Messages that instances still keep for their peers, or as exceptions: what is sealed to a key of theirs."""
    query = "SELECT (SELECT count(*) FROM segment) + (SELECT count(*) FROM exception)"
    return sum([(await exchange.rows_past_policies(each, query))[0][0] for each in SERVICES])


async def all_acknowledge(exchange: Exchange, withdrawn: list[UUID]) -> None:
    """Have services answer withdrawals by their rules, and wait until each recipient has erased."""
    labels = [f"{each}-withdrawals" for each in SERVICES]
    for instance, label in zip(SERVICES, labels, strict=True):
        settings = {"WITHDRAWAL_ANSWER_H": "0"}
        exchange.serve(instance, only=("withdrawals", "documents"), label=label, settings=settings)

    async def erased() -> bool:
        async with exchange.client(HOTLINE) as hotline:
            shown = [await hotline.show(each) for each in (withdrawn[0], withdrawn[-1])]
        return all(edge.answer == "withdrawal_acknowledged" for each in shown for edge in each.edges)

    await until(erased, seconds_max=REST_S_MAX)
    await exchange.until_quiet(REST_S_MAX)
    exchange.stop(*labels)


def subjects_of(shown: ReferralView) -> set[UUID]:
    return {shown.referral_id, *(edge.notice_id for edge in shown.edges if edge.notice_id)}


async def proves(provider: httpx.AsyncClient, shown: ReferralView, exchange: Exchange) -> bool:
    """Whether the provider's evidence of its notice holds; there is none once it was erased."""
    [notice] = [edge.notice_id for edge in shown.edges if edge.recipient == PROVIDER]
    answer = await provider.get(f"/v1/notices/{notice}/evidence")
    if answer.status_code == httpx.codes.GONE:
        return False
    for each in read_evidence(answer.content).evidence:
        check_evidence(each, documents_of(exchange.state).directory)
    return True


async def test_an_attacker_opens_nothing_of_what_was_erased_and_all_neighbours_prove(
    exchange: Exchange, record_property: Callable[[str, object], None]
) -> None:
    async with exchange.client(HOTLINE) as hotline, exchange.http(PROVIDER) as provider:
        filed = list[UUID]()
        for _ in range(BATCHES):
            answers = await hotline.submit_batch([referral() for _ in range(TOGETHER)])
            filed += [each.referral_id for each in answers if each.referral_id]
        await exchange.until_quiet(REST_S_MAX)
        shown = [await hotline.show(each) for each in filed]
        gone, kept = shown[::2], shown[1::2]
        before = await attacked(exchange)
        for each in gone:
            await hotline.withdraw(each.referral_id, WithdrawalReason.FILED_IN_ERROR)
        await exchange.until_quiet(REST_S_MAX)
        await all_acknowledge(exchange, [each.referral_id for each in gone])
        owned = OwnedDatabase("hotline", exchange.endpoints.database("hotline").owner_url)
        await apply(owned, SystemClock().now() + LATER)

        async def nothing_is_kept() -> bool:
            return await sealed_bytes(exchange) == 0

        await until(nothing_is_kept, seconds_max=REST_S_MAX)
        after = await attacked(exchange)
        ids = set().union(*map(subjects_of, gone))
        # Control: the same attacker opened each of them at its origin and at each recipient before.
        assert len({each for each in before if each[1] in ids}) == 4 * len(gone)
        assert {each for each in after if each[1] in ids} == set()
        assert {each for each in before if each[1] not in ids} == after
        assert [await proves(provider, each, exchange) for each in gone] == [False] * len(gone)
        assert [await proves(provider, each, exchange) for each in kept] == [True] * len(kept)
    record_property("figure", f"{len(gone)} erased, 0 opened; {len(kept)} neighbours prove")
