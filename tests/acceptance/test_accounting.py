"""`causeway audit reconcile`: the counts add up, and whatever is tampered with is named with its coordinates."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.acceptance.programs import causeway
from tests.support.running import AGENCY, HOTLINE, Exchange, referral

Record = Callable[[str, object], None]

_DELIVERED = """
SELECT i.message_id, i.topic, i.partition, i."offset", i.sender, i.recipient, i.epoch, i.sequence FROM inbox AS i
WHERE i.recipient = $1 AND i.outcome = 'applied' ORDER BY i.received_at DESC LIMIT 1
"""
_IN_THE_MIDDLE = """
SELECT e.* FROM entry AS e JOIN entry AS following
    ON following.topic = e.topic AND following.partition = e.partition AND following.previous_offset = e."offset"
WHERE e.previous_offset IS NOT NULL AND e.kind = 'record' AND e.topic = 'causeway.inbox.law_enforcement.hotline.v1'
ORDER BY e.kept_at DESC LIMIT 1
"""


@pytest.fixture(scope="module")
async def settled(exchange: Exchange) -> Exchange:
    """The exchange with a few more referrals delivered, answered for, and read by audit."""
    async with exchange.client(HOTLINE) as client:
        await client.submit_batch([referral() for _ in range(20)])
    await exchange.until_quiet()
    await exchange.until_audited()
    return exchange


@asynccontextmanager
async def row_taken(admin: asyncpg.Connection, table: str, where: str, *arguments: Any) -> AsyncIterator[None]:
    """Within it one row is gone; afterwards it is back as it was."""
    condition = f"FROM {table} WHERE {where}"
    await admin.execute(f"CREATE TEMP TABLE taken AS SELECT * FROM {table} LIMIT 0")
    await admin.execute(f"INSERT INTO taken SELECT * {condition}", *arguments)
    assert await admin.fetchval("SELECT count(*) FROM taken") == 1
    await admin.execute(f"DELETE {condition}", *arguments)
    try:
        yield
    finally:
        await admin.execute(f"INSERT INTO {table} SELECT * FROM taken")
        await admin.execute("DROP TABLE taken")


def differences(exchange: Exchange) -> tuple[int, list[dict[str, str]]]:
    """Exit code and differences of the verb."""
    ran = causeway(exchange.state, "audit", "reconcile", "--json")
    assert ran.returncode in (0, 1), ran.stderr
    found: list[dict[str, str]] = json.loads(ran.stdout)["differences"]
    return ran.returncode, found


async def delivered(exchange: Exchange) -> asyncpg.Record:
    """The message that an agency's inbox took last."""
    rows = await exchange.count_as_accountant("law_enforcement", _DELIVERED, AGENCY)
    return rows[0]


async def test_the_counts_add_up(settled: Exchange, record_property: Record) -> None:
    ran = causeway(settled.state, "audit", "reconcile", "--json")
    accounts = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert [accounts[name]["difference"] for name in ("I", "II", "III")] == [0, 0, 0]
    assert accounts["differences"] == []
    terms = accounts["I"]
    assert terms["submitted"] == terms["refused"] + terms["accepted"] >= 20
    assert accounts["II"]["emitted"] == accounts["II"]["applied"] + accounts["II"]["refused"] + accounts["II"]["parked"]
    assert accounts["III"]["edges"] == accounts["III"]["messages"] >= 60
    record_property(
        "figure", f"{accounts['II']['emitted']} messages of {terms['submitted']} referrals: differences 0, 0, 0"
    )


async def test_a_person_reads_the_same_as_a_table(settled: Exchange) -> None:
    ran = causeway(settled.state, "audit", "reconcile")
    assert ran.returncode == 0
    assert "Accounting" in ran.stdout
    assert "submitted" in ran.stdout


async def test_a_deleted_inbox_row_is_named(settled: Exchange) -> None:
    row = await delivered(settled)
    admin = await settled.admin("law_enforcement")
    async with row_taken(admin, "inbox", "message_id = $1", row["message_id"]):
        code, found = differences(settled)
    await admin.close()
    place = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
    pair = f"{row['sender']} → {row['recipient']}"
    assert code == 1
    assert found == [
        {"equation": "II", "what": "emitted is not applied + refused + parked + in flight",
         "where": f"{pair}, epoch {row['epoch']}, sequences [{row['sequence']}]"},
        {"equation": "II", "what": "in Kafka, in no inbox and no outbox", "where": place},
        {"equation": "II", "what": "receipted, but in no inbox", "where": f"{place} {pair} #{row['sequence']}"},
    ]  # fmt: skip


async def test_an_offset_that_audit_skipped_is_named(settled: Exchange) -> None:
    admin = await settled.admin("audit")
    entry = await admin.fetchrow(_IN_THE_MIDDLE)
    where = 'topic = $1 AND generation = $2 AND partition = $3 AND "offset" = $4'
    place = entry["topic"], entry["generation"], entry["partition"]
    point_to = f"UPDATE entry SET previous_offset = $5 WHERE {where}"
    async with row_taken(admin, "entry", where, *place, entry["offset"]):
        await admin.execute(point_to, *place, entry["offset"] + 1, entry["previous_offset"])
        code, found = differences(settled)
        await admin.execute(point_to, *place, entry["offset"] + 1, entry["offset"])
    await admin.close()
    partition = f"{entry['topic']}/{entry['partition']}"
    assert code == 1
    assert found == [
        {"equation": "II", "what": "audit skipped offsets before this entry",
         "where": f"{partition}/{entry['offset'] + 1}"},
        {"equation": "II", "what": "in Kafka, not in audit's log", "where": f"{partition}/{entry['offset']}"},
    ]  # fmt: skip


async def test_a_forged_receipt_is_named(settled: Exchange) -> None:
    row = await delivered(settled)
    admin = await settled.admin("hotline")
    forge = "UPDATE sent SET outcome = $2, code = $3 WHERE message_id = $1"
    await admin.execute(forge, row["message_id"], "refused", "state_forbids")
    code, found = differences(settled)
    await admin.execute(forge, row["message_id"], "applied", None)
    await admin.close()
    place = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
    where = f"{place} {row['sender']} → {row['recipient']} #{row['sequence']}"
    assert code == 1
    assert found == [{"equation": "II", "what": "receipted as refused, kept as applied", "where": where}]


async def test_no_accountant_can_read_what_was_reported(settled: Exchange) -> None:
    """The books are read by roles that may count and nothing else."""
    for service, query in (
        ("hotline", "SELECT content FROM referral"),
        ("hotline", "SELECT packed FROM segment"),
        ("law_enforcement", "SELECT content FROM case_edge"),
        ("industry", "SELECT content FROM notice"),
        ("hotline", "SELECT wrapped FROM data_key"),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await settled.count_as_accountant(service, query)
