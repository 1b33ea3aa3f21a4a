"""`causeway audit reconcile`: the counts match, and any tampering is named with its coordinates."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from pydantic_core import from_json, to_json

from deploy.accounting.run import reconciled
from shared.core.ids import uuid7
from shared.platform.database.columns import compress, decompress
from tests.acceptance.programs import causeway
from tests.support.running import HOTLINE, Exchange, referral

Record = Callable[[str, object], None]

_STREAM = """
SELECT writer, addressee, incarnation, lane, max(number) AS last FROM entry
WHERE writer = 'hotline' AND addressee = 'law_enforcement' AND lane = 1 GROUP BY 1, 2, 3, 4 ORDER BY 3 DESC LIMIT 1
"""
_OF_NUMBER = """
SELECT *, ctid FROM entry WHERE (writer, addressee, incarnation, lane) = ($1, $2, $3, $4::smallint) AND number = $5
"""


@pytest.fixture(scope="module")
async def settled(exchange: Exchange) -> Exchange:
    """Return the exchange after a few more referrals were delivered, answered, and read by audit."""
    async with exchange.client(HOTLINE) as client:
        await client.submit_batch([referral() for _ in range(20)])
    # Otherwise messages in transit could arrive between the tampering and the comparison.
    await exchange.until_all_have_answered()
    await exchange.until_quiet()
    await exchange.until_audited()
    return exchange


def told(exchange: Exchange) -> tuple[int, list[dict[str, str]]]:
    """Return exit code and differences of the verb."""
    ran = causeway(exchange.state, "audit", "reconcile", "--json")
    assert ran.returncode in (0, 1), ran.stderr
    found: list[dict[str, str]] = json.loads(ran.stdout)["differences"]
    return ran.returncode, found


async def differences(exchange: Exchange) -> list[dict[str, str]]:
    """Return the differences that the verb would report, without its process."""
    found: list[dict[str, str]] = (await reconciled(exchange.endpoints)).as_json()["differences"]
    return found


async def last_offer(exchange: Exchange) -> asyncpg.Record:
    """Return the last message of the ordinary stream to the agencies' instance, from audit's data."""
    admin = await exchange.admin("audit")
    stream = await admin.fetchrow(_STREAM)
    row = await admin.fetchrow(_OF_NUMBER, *stream)
    await admin.close()
    return row


def named(row: asyncpg.Record) -> str:
    """Return the name of a stream as it appears in differences."""
    return f"{row['writer']} → {row['addressee']} {'urgent' if row['lane'] == 0 else 'ordinary'} {row['incarnation']}"


async def test_the_counts_add_up(settled: Exchange, record_property: Record) -> None:
    ran = causeway(settled.state, "audit", "reconcile", "--json")
    accounts = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert [accounts[name]["difference"] for name in ("I", "II", "III", "IV")] == [0, 0, 0, 0]
    assert accounts["differences"] == []
    terms = accounts["I"]
    assert terms["submitted"] == terms["refused"] + terms["accepted"] >= 20
    fates = {name: count for name, count in accounts["II"].items() if name not in ("numbered", "difference")}
    assert accounts["II"]["numbered"] == sum(fates.values())
    assert fates.keys() == {"applied", "refused", "moved", "deferred", "waiting", "dead", "in_flight"}
    assert accounts["III"]["edges"] == accounts["III"]["messages"] >= 60
    record_property(
        "figure", f"{accounts['II']['numbered']} messages of {terms['submitted']} referrals: differences 0, 0, 0"
    )


async def test_a_person_reads_the_same_as_a_table(settled: Exchange) -> None:
    ran = causeway(settled.state, "audit", "reconcile")
    assert ran.returncode == 0
    assert "Reconciliation" in ran.stdout
    assert "submitted" in ran.stdout


async def test_a_receive_state_that_went_back_is_named(settled: Exchange) -> None:
    """The recipient has fewer messages than it acknowledged to their writer, as after deleted rows."""
    row = await last_offer(settled)
    admin = await settled.admin("law_enforcement")
    move = "UPDATE receive_state SET ordinary_through = ordinary_through + $1 WHERE writer = 'hotline'"
    await admin.execute(move, -1)
    code, found = told(settled)
    await admin.execute(move, 1)
    await admin.close()
    assert code == 1
    where = f"{named(row)} #{row['number']}"
    assert {"equation": "II", "what": "acknowledged, and not taken by its recipient", "where": where} in found
    assert {each["equation"] for each in found} == {"II"}


async def test_an_entry_that_audit_lacks_is_named_by_its_place_and_by_its_message(settled: Exchange) -> None:
    last = await last_offer(settled)
    admin = await settled.admin("audit")
    key = last["writer"], last["addressee"], last["incarnation"], last["lane"]
    entry = await admin.fetchrow(_OF_NUMBER, *key, last["number"] - 3)
    async with row_kept(admin, "entry", entry["ctid"]):
        await admin.execute("DELETE FROM entry WHERE ctid = $1", entry["ctid"])
        found = await differences(settled)
    await admin.close()
    message, log = f"{named(entry)} #{entry['number']}", f"{entry['topic']}/{entry['partition']}"
    # Its effect has no cause at audit any more.
    uncaused = [each for each in found if each["equation"] == "IV"]
    assert {each["what"].partition(":")[0] for each in uncaused} == {"an act that no message states"}
    assert {each["where"].partition(" ")[0] for each in uncaused} == {entry["subject"]}
    delivered, *in_kafka = [each for each in found if each not in uncaused]
    assert delivered == {"equation": "II", "what": "delivered, not in audit's log", "where": message}
    # After the previous test the writer may have sent again: then Kafka has the message twice, and each place is named.
    assert {each["what"] for each in in_kafka} == {"in Kafka, not in audit's log"}
    places = [each["where"] for each in in_kafka]
    assert f"{log}/{entry['offset']} {message}" in places
    assert all(each.startswith(f"{log}/") and each.endswith(f" {message}") for each in places)


@asynccontextmanager
async def altered(admin: asyncpg.Connection, table: str, change: str, where: str) -> AsyncIterator[asyncpg.Record]:
    """Change one row of audit's within this context; afterwards restore it."""
    row = await admin.fetchrow(f"SELECT *, ctid FROM {table} WHERE {where} LIMIT 1")
    async with row_kept(admin, table, row["ctid"]):
        await admin.execute(f"UPDATE {table} SET {change} WHERE ctid = $1", row["ctid"])
        yield row


@asynccontextmanager
async def row_kept(admin: asyncpg.Connection, table: str, place: Any) -> AsyncIterator[None]:
    generated = "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
    names = ", ".join(f'"{row["attname"]}"' for row in await admin.fetch(generated, table))
    await admin.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE ctid = $1", place)
    keys = {"entry": '(topic, topic_id, partition, "offset")', "decision": "(message_id, digest, ordinal)"}
    key = keys.get(table, "(message_id, report_id)")
    try:
        yield
    finally:
        await admin.execute(f"DELETE FROM {table} WHERE {key} IN (SELECT {key.strip('()')} FROM kept)")
        await admin.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM kept")
        await admin.execute("DROP TABLE kept")


async def test_an_altered_decision_is_named_while_kafka_has_the_record(settled: Exchange) -> None:
    admin = await settled.admin("audit")
    detail = await admin.fetchval("SELECT detail FROM decision WHERE origin IS NOT NULL LIMIT 1")
    said = from_json(decompress(detail))
    other = compress(to_json(said | {"facts": said["facts"] | {"user": ["FR"]}}))
    for stored in (other, b""):
        change = f"detail = decode('{stored.hex()}', 'hex')"
        async with altered(admin, "decision", change, f"detail = decode('{detail.hex()}', 'hex')") as row:
            entry = await admin.fetchrow("SELECT * FROM entry WHERE digest = $1", row["digest"])
            found = await differences(settled)
        assert entry is not None
        where = f"{entry['topic']}/{entry['partition']}/{entry['offset']} {entry['message_id']}"
        what = f"audit's decision on {row['referral_id']} says another detail than its record"
        assert found == [{"equation": "II", "what": what, "where": where}]
    await admin.close()


_INVENT = """
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, writer, addressee,
                   incarnation, lane, number, chain, message_id, type, subject, sender, recipient, exercise, detail)
SELECT topic, $1, partition, "offset" + 1000000, now(), 'revealed', sha256('invented'), true, writer, addressee,
       CASE WHEN $2::bigint IS NOT NULL THEN incarnation END, CASE WHEN $2 IS NOT NULL THEN lane END, $2,
       CASE WHEN $2 IS NOT NULL THEN decode(repeat('ab', 32), 'hex') END, gen_random_uuid(),
       'causeway.record_revealed.v1', subject, 'law_enforcement', 'audit', true,
       '{"party": "police-nl.example", "role": "viewer"}'
FROM entry WHERE writer = 'hotline' AND addressee = 'audit' AND lane = 1 ORDER BY incarnation DESC, number DESC LIMIT 1
"""


@pytest.mark.parametrize("how", ["another life", "this life", "no number"])
async def test_an_invented_entry_is_named(settled: Exchange, how: str) -> None:
    admin = await settled.admin("audit")
    topic_id = await admin.fetchval(
        "SELECT topic_id FROM topic_life WHERE topic LIKE '%audit.hotline%' ORDER BY begun_at DESC LIMIT 1"
    )
    number = None if how == "no number" else 1_000_000
    await admin.execute(_INVENT, uuid7() if how == "another life" else topic_id, number)
    found = await differences(settled)
    await admin.execute("DELETE FROM entry WHERE digest = sha256('invented')")
    await admin.close()
    never = "audit has a number that its writer never gave"
    assert {each["what"] for each in found} >= {
        "another life": {"an entry that audit cannot have read", never},
        "this life": {"in audit's log, not in Kafka", never},
        "no number": {"in audit's log, not in Kafka", "an entry that audit cannot have read"},
    }[how]


async def test_an_operator_sees_how_audit_stands_to_each_topic(settled: Exchange) -> None:
    ran = causeway(settled.state, "audit", "topics", "--json")
    assert ran.returncode == 0, ran.stdout
    states = json.loads(ran.stdout)
    assert {each["state"] for each in states} == {"reading"}
    assert {each["topic"] for each in states} >= {"causeway.inbox.law_enforcement.hotline.v1"}
    assert sum(each["missing_count"] for each in states) == 0


async def test_a_forged_outcome_is_named(settled: Exchange) -> None:
    """An instance's own table says that its peer holds a message open, but the peer does not hold it."""
    row = await last_offer(settled)
    admin = await settled.admin("hotline")
    await admin.execute(
        "INSERT INTO outcome_open (peer, message_id, outcome, code, opened_at) VALUES ($1, $2, 'dead', NULL, now())",
        row["addressee"],
        row["message_id"],
    )
    found = await differences(settled)
    await admin.execute("DELETE FROM outcome_open WHERE message_id = $1", row["message_id"])
    await admin.close()
    what = "open for its writer as dead, held by its recipient as nothing"
    where = f"{row['message_id']} {row['writer']} → {row['addressee']}"
    assert found == [{"equation": "II", "what": what, "where": where}]


async def test_a_lost_answer_is_a_difference_until_a_person_closes_its_line(settled: Exchange) -> None:
    subject, act = uuid7(), uuid7()
    admin = await settled.admin("law_enforcement")
    line = "INSERT INTO operator_line (kind, peer, subject, act) VALUES ('act', 'hotline', $1, $2)"
    await admin.execute(line, subject, act)
    what, where = "an answer that its writer has lost", f"{subject} {act} law_enforcement → hotline"
    assert told(settled) == (1, [{"equation": "II", "what": what, "where": where}])
    causeway(settled.state, "operator-list", "close", "law_enforcement", "act", "hotline", "--by", "somebody")
    assert told(settled) == (0, [])
    await admin.execute("DELETE FROM operator_line WHERE subject = $1", subject)
    await admin.close()


async def test_no_accountant_can_read_what_was_reported(settled: Exchange) -> None:
    """Reconciliation uses roles that may count and do nothing else."""
    for service, query in (
        ("hotline", "SELECT content FROM referral"),
        ("hotline", "SELECT content FROM segment"),
        ("hotline", "SELECT record FROM exception"),
        ("law_enforcement", "SELECT record FROM received"),
        ("industry", "SELECT record FROM received"),
        ("hotline", "SELECT wrapped_key FROM referral"),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await settled.count_as_accountant(service, query)
