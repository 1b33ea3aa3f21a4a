"""`causeway audit reconcile`: the counts add up, and whatever is tampered with is named with its coordinates."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from deploy.accounting.run import reconciled
from shared.kernel.ids import uuid7
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
  AND e.type = 'causeway.referral_offered.v1'
ORDER BY e.kept_at DESC LIMIT 1
"""


@pytest.fixture(scope="module")
async def settled(exchange: Exchange) -> Exchange:
    """The exchange with a few more referrals delivered, answered for, and read by audit."""
    async with exchange.client(HOTLINE) as client:
        await client.submit_batch([referral() for _ in range(20)])
    # It would come in between what is taken away and what is compared.
    await exchange.until_all_have_stood()
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


def told(exchange: Exchange) -> tuple[int, list[dict[str, str]]]:
    """Exit code and differences of the verb."""
    ran = causeway(exchange.state, "audit", "reconcile", "--json")
    assert ran.returncode in (0, 1), ran.stderr
    found: list[dict[str, str]] = json.loads(ran.stdout)["differences"]
    return ran.returncode, found


async def differences(exchange: Exchange) -> list[dict[str, str]]:
    """What the verb would tell, without its process."""
    found: list[dict[str, str]] = (await reconciled(exchange.endpoints)).as_json()["differences"]
    return found


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
    fates = {name: count for name, count in accounts["II"].items() if name not in ("emitted", "difference")}
    assert accounts["II"]["emitted"] == sum(fates.values())
    assert fates.keys() == {"applied", "refused", "moved", "gone", "deferred", "waiting", "parked", "in_flight"}
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
        code, found = told(settled)
    await admin.close()
    place = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
    pair = f"{row['sender']} → {row['recipient']}"
    assert code == 1
    assert found == [
        {"equation": "II", "what": "emitted is not the sum of its fates",
         "where": f"{pair}, epoch {row['epoch']}, sequences {row['sequence']}"},
        {"equation": "II", "what": "receipted, but in no inbox", "where": f"{place} {pair} #{row['sequence']}"},
    ]  # fmt: skip


async def test_an_entry_that_audit_lacks_is_named_by_its_place_and_by_its_message(settled: Exchange) -> None:
    admin = await settled.admin("audit")
    entry = await admin.fetchrow(_IN_THE_MIDDLE)
    where = 'topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" = $4'
    place = entry["topic"], entry["topic_id"], entry["partition"]
    async with row_taken(admin, "entry", where, *place, entry["offset"]):
        found = await differences(settled)
    await admin.close()
    named = f"{entry['message_id']} {entry['sender']} → {entry['recipient']} #{entry['sequence']}"
    assert found == [
        {"equation": "II", "what": "delivered, not in audit's log", "where": f"not in audit's log {named}"},
        {"equation": "II", "what": "in Kafka, not in audit's log",
         "where": f"{entry['topic']}/{entry['partition']}/{entry['offset']}"},
    ]  # fmt: skip


@asynccontextmanager
async def altered(admin: asyncpg.Connection, table: str, change: str, where: str) -> AsyncIterator[asyncpg.Record]:
    """Within it one row of audit's says something else; afterwards it is back as it was."""
    row = await admin.fetchrow(f"SELECT *, ctid FROM {table} WHERE {where} LIMIT 1")
    async with row_kept(admin, table, row["ctid"]):
        await admin.execute(f"UPDATE {table} SET {change} WHERE ctid = $1", row["ctid"])
        yield row


@asynccontextmanager
async def row_kept(admin: asyncpg.Connection, table: str, place: Any) -> AsyncIterator[None]:
    generated = "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
    names = ", ".join(f'"{row["attname"]}"' for row in await admin.fetch(generated, table))
    await admin.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE ctid = $1", place)
    key = '(topic, topic_id, partition, "offset")' if table == "entry" else "(message_id, receipt_id)"
    try:
        yield
    finally:
        await admin.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key.strip('()')} FROM kept)")
        await admin.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM kept")
        await admin.execute("DROP TABLE kept")


async def test_an_altered_decision_is_named_while_kafka_has_the_record(settled: Exchange) -> None:
    admin = await settled.admin("audit")
    change = "detail = jsonb_set(detail, '{facts,user}', '[\"FR\"]')"
    async with altered(admin, "entry", change, "kind = 'decision'") as row:
        found = await differences(settled)
    await admin.close()
    where = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
    assert found == [{"equation": "II", "what": "audit's entry says another detail than its record", "where": where}]


async def test_a_receipt_that_audit_shows_otherwise_is_named(settled: Exchange) -> None:
    admin = await settled.admin("audit")
    change = "outcome = 'refused', code = 'state_forbids'"
    async with altered(admin, "receipted", change, "outcome = 'applied'") as row:
        found = await differences(settled)
    await admin.close()
    receipt = f"receipt {row['receipt_id']}: message {row['message_id']}"
    assert found == [
        {"equation": "II", "what": "a receipt's word that audit does not show", "where": f"{receipt}, applied"},
        {"equation": "II", "what": "a receipt's word that was never given and audit shows",
         "where": f"{receipt}, refused"},
    ]  # fmt: skip


_INVENT = """
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, type,
                   subject, sender, recipient, recipient_instance, exercise, epoch, sequence, key_id, detail)
SELECT topic, $1, 0, "offset" + 1000000, now(), 'revealed', repeat('ab', 32), true, gen_random_uuid(),
       'causeway.record_revealed.v1', subject, 'law_enforcement', 'audit', 'audit', true, $2, $3, 'ed25519-x',
       '{"party": "police-nl.example", "role": "viewer"}'
FROM entry WHERE topic = 'causeway.inbox.audit.hotline.v1' ORDER BY "offset" LIMIT 1
"""


@pytest.mark.parametrize("how", ["another life", "this life", "no number"])
async def test_an_invented_entry_is_named(settled: Exchange, how: str) -> None:
    admin = await settled.admin("audit")
    topic_id = await admin.fetchval("SELECT topic_id FROM cursor WHERE topic LIKE '%audit.hotline%'")
    epoch, number = (None, None) if how == "no number" else (uuid7(), 7)
    await admin.execute(_INVENT, uuid7() if how == "another life" else topic_id, epoch, number)
    found = await differences(settled)
    await admin.execute("DELETE FROM entry WHERE digest = repeat('ab', 32)")
    await admin.close()
    assert {each["what"] for each in found} == {
        "another life": {"an entry that audit cannot have read", "audit has a number that its sender never gave"},
        "this life": {"in audit's log, not in Kafka", "audit has a number that its sender never gave"},
        "no number": {"in audit's log, not in Kafka", "an entry that audit cannot have read"},
    }[how]


async def test_an_operator_sees_how_audit_stands_to_each_topic(settled: Exchange) -> None:
    ran = causeway(settled.state, "audit", "topics", "--json")
    assert ran.returncode == 0, ran.stdout
    states = json.loads(ran.stdout)
    assert {each["state"] for each in states} == {"reading"}
    assert {each["topic"] for each in states} >= {"causeway.inbox.law_enforcement.hotline.v1"}
    assert sum(each["holes"] for each in states) == 0


async def test_a_forged_receipt_is_named(settled: Exchange) -> None:
    row = await delivered(settled)
    admin = await settled.admin("hotline")
    await _forge(admin, row["message_id"], "refused", "state_forbids")
    found = await differences(settled)
    await _forge(admin, row["message_id"], "applied", None)
    await admin.close()
    place = f"{row['topic']}/{row['partition']}/{row['offset']} {row['message_id']}"
    where = f"{place} {row['sender']} → {row['recipient']} #{row['sequence']}"
    assert found == [{"equation": "II", "what": "receipted as refused, kept as applied", "where": where}]


async def _forge(admin: asyncpg.Connection, message_id: object, outcome: str, code: str | None) -> None:
    """Change what the sender says it was told, wherever it keeps that by now."""
    for table in ("outbox", "settled"):
        await admin.execute(
            f"UPDATE {table} SET outcome = $2, code = $3 WHERE message_id = $1", message_id, outcome, code
        )


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
