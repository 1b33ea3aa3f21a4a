"""`python -m tests.benchmarks.filled_accounts`: reconciliation of two million equal messages, filled by SQL.

It runs over everything, then after the seal only, and over everything again after retention: never with a difference.
Prints the time of each run and the peak memory of this process. Exit code 1 if there is a difference, or if a day takes
more memory than permitted. Kafka is not read: its records of a week are compared one by one elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from deploy.accounting.book import open_snapshot
from deploy.accounting.books import Comparison
from deploy.accounting.edges import SealedDays, sealable
from deploy.accounting.streams import NUMBERED
from deploy.operator.retention import apply
from deploy.site.endpoints import DatabaseEndpoint, OwnedDatabase
from shared.messaging.streams import begin_chain, extend_chain
from shared.platform.database.migrate import upgrade
from tests.benchmarks.filled import END, fill_by, unforced
from tests.services.databases import running_databases

DAY_MIB_MAX: Final = 200
KINDS: Final = ("hotline", "law_enforcement", "audit")
_INCARNATION: Final = UUID("01990000-0000-7000-8000-000000000000")
_OFFER: Final = "{id}, 'causeway.referral_offered.v1', 'big.example', 'agency.example'"
#: The fact of a decision has the id of its referral except for one digit.
_FACT: Final = "overlay({id}::text placing '9' from 20 for 1)::uuid, 'causeway.referral_decided.v1', 'hotline', 'audit'"
_FROM: Final = "FROM generate_series(1, {rows}) AS i"
_NOTHING: Final = f"decode('{begin_chain(_INCARNATION).hex()}', 'hex')"
#: The chain after each number. The digest of a message is that of its number as text.
_CHAINS: Final = f"""
DO $chains$
DECLARE
    chain bytea := {_NOTHING};
BEGIN
    CREATE TEMP TABLE chain_at (number bigint PRIMARY KEY, chain bytea);
    FOR i IN 1..{{rows}} LOOP
        chain := sha256(chain || sha256(i::text::bytea));
        INSERT INTO chain_at VALUES (i, chain);
    END LOOP;
END $chains$
"""
_ENTRY: Final = """
INSERT INTO entry (message_id, type, sender, recipient, topic, topic_id, partition, "offset", broker_time, kind,
                   digest, verified, subject, exercise, writer, addressee, incarnation, lane, number, chain, edge_id,
                   commitment)
SELECT {message}, 'causeway.inbox.{to}.hotline.v1', '{life}', 1, i, {{ago}}, '{kind}',
       sha256(i::text::bytea), true, {{id}}::text, false, 'hotline', '{to}', '{life}', 1, i,
       chain_at.chain, {edge}, decode(repeat('cc', 32), 'hex')
{rows} JOIN chain_at ON chain_at.number = i
"""
#: The decision of each fact, with its one edge.
_DECIDED: Final = f"""
INSERT INTO decision (message_id, digest, ordinal, referral_id, exercise, broker_time, entitled, origin, sender,
                      disposition, detail, edge_ids, edge_recipients, edge_purposes, edge_rules, edge_commitments)
SELECT {_FACT.partition(", ")[0]}, sha256(i::text::bytea), 0, {{id}}, false, {{ago}}, true, 'big.example',
       'hotline', 'routed', '',
       ARRAY[{{id}}], ARRAY['agency.example'], ARRAY['p1'], ARRAY['r1'], ARRAY[decode(repeat('cc', 32), 'hex')]
{_FROM}
"""


def _entry(message: str, to: str, *, kind: str, edge: str = "NULL") -> str:
    values = {"message": message, "to": to, "kind": kind, "edge": edge}
    return _ENTRY.format(life=_INCARNATION, rows=_FROM, **values)


def _sent(to: str) -> Sequence[str]:
    """Return the own streams to one peer, whose messages were all taken."""
    return (
        f"""
INSERT INTO stream_pair (peer, incarnation, state)
VALUES ('{to}', '{_INCARNATION}', '{{{{"is_audited":{str(to != "audit").lower()},"probe_pause_s":60}}}}')
""",
        f"""
INSERT INTO stream (peer, lane, incarnation, last, chain, sent, moved_at, acked, audit_acked, kept_above, kept_chain,
                    is_full, p0_last)
SELECT '{to}', lane, '{_INCARNATION}', lane * {{rows}}, reached, lane * {{rows}}, now(), lane * {{rows}},
       lane * {{rows}}, lane * {{rows}}, reached, false, 0
FROM (VALUES (0, {_NOTHING}), (1, decode('{{chain}}', 'hex'))) AS lanes (lane, reached)
""",
    )


def _taken(addressee: str) -> str:
    """Return the hotline's streams to one addressee, as their reader took them."""
    return f"""
INSERT INTO receive_state (writer, addressee, incarnation, urgent_chain, urgent_through, urgent_next_offset,
                           urgent_is_stopped, urgent_has_gap, ordinary_chain, ordinary_through, ordinary_next_offset,
                           ordinary_is_stopped, ordinary_has_gap, owes_ack, is_urgent, entered_count, closed_count,
                           revision)
VALUES ('hotline', '{addressee}', '{_INCARNATION}', {_NOTHING}, 0, 0, false, false, decode('{{chain}}', 'hex'),
        {{rows}}, {{rows}}, false, false, false, false, 0, 0, 1)
"""


_FILLS: Final[Mapping[str, Sequence[str]]] = {
    "hotline": (
        *_sent("law_enforcement"),
        *_sent("audit"),
        f"""
INSERT INTO referral (referral_id, party, external_ref, revision, exercise, disposition, state, arrival, body_sha256,
                      priority, decided, content, accepted_at)
SELECT {{id}}, 'big.example', 'R-' || i, 1, false, 'routed', 'routed', i, '', 'p2_normal', '', '', {{ago}}
{_FROM}
""",
        f"""
INSERT INTO edge (edge_id, message_id, incarnation, lane, number, instance, referral_id, party, recipient, purpose,
                  reason, rules, document_digests, decided_at)
SELECT {{id}}, {{id}}, '{_INCARNATION}', 1, i, 'law_enforcement', {{id}}, 'big.example', 'agency.example', 'p1',
       'because', '{{{{r1}}}}', '', {{ago}} {_FROM}
""",
        """
INSERT INTO intake_count (party, submitted, accepted, refused) VALUES ('big.example', {rows}, {rows}, 0)
""",
    ),
    "law_enforcement": (_taken("law_enforcement"),),
    "audit": (
        _taken("law_enforcement"),
        _taken("audit"),
        _CHAINS,
        _entry(_OFFER, "law_enforcement", kind="record", edge="{id}"),
        _entry(_FACT, "audit", kind="decision"),
        _DECIDED,
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One reconciliation: its findings, its duration, and the process's peak memory meanwhile."""

    differences: int
    messages: int
    seconds: float
    peak_mib: int
    sealed: SealedDays

    def __str__(self) -> str:
        found = f"{self.messages} messages, {self.differences} differences"
        return f"{found}, {self.seconds:.1f} s, at most {self.peak_mib} MiB"


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if there is no difference and a day is read within its memory, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.filled_accounts", description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000, help="referrals: two messages each")
    rows = options.parse_args(arguments).rows
    with (
        tempfile.TemporaryDirectory(prefix="causeway-accounts-") as folder,
        running_databases(Path(folder), *KINDS) as made,
    ):
        for kind in KINDS:
            upgrade(kind, made[kind].owner_url)
            asyncio.run(_fill(made[kind], kind, rows))
        whole = asyncio.run(_read(made, SealedDays()))
        print(f"whole: {whole}", flush=True)
        day = asyncio.run(_read(made, whole.sealed))
        print(f"the last day: {day}", flush=True)
        began = time.perf_counter()
        for kind in ("hotline", "law_enforcement"):
            asyncio.run(_retain(made[kind], kind))
        print(f"retention: {time.perf_counter() - began:.1f} s", flush=True)
        after = asyncio.run(_read(made, SealedDays()))
        print(f"whole after retention: {after}", flush=True)
    broken = any(each.differences for each in (whole, day, after)) or day.peak_mib > DAY_MIB_MAX
    return 1 if broken or not whole.messages == after.messages == 2 * rows else 0


async def _fill(made: DatabaseEndpoint, kind: str, rows: int) -> None:
    owner = await asyncpg.connect(made.owner_url)
    try:
        async with unforced(owner):
            await fill_by(owner, _FILLS[kind], rows, chain=_chain_after(rows).hex())
    finally:
        await owner.close()


def _chain_after(rows: int) -> bytes:
    digests = (hashlib.sha256(str(number).encode()).digest() for number in range(1, rows + 1))
    return extend_chain(begin_chain(_INCARNATION), digests)


async def _retain(made: DatabaseEndpoint, kind: str) -> None:
    await apply(OwnedDatabase(kind, made.owner_url), END)


async def _read(made: Mapping[str, DatabaseEndpoint], sealed: SealedDays) -> Reading:
    _forget_peak()
    began, over = time.perf_counter(), sealable(END, None)
    async with AsyncExitStack() as stack:
        opened = [open_snapshot(made[kind].accountant_url, kind=kind, name=kind) for kind in KINDS]
        found = [await stack.enter_async_context(each) for each in opened]
        books = Comparison(found[:2], found[2:], sealed, SealedDays(), over)
        account = await books.streams()
        edges = await books.edges(account.sides)
        await books.referrals()
    for each in books.differences.sorted()[:5]:
        print(f"  {each.equation}: {each.what}: {each.where}")
    following = SealedDays(over, dict(account.seals()), edges.sealable(sealed.edges, until=over))
    seconds = time.perf_counter() - began
    count = len(books.differences.sorted())
    return Reading(count, account.totals()[NUMBERED], seconds, _peak_mib(), following)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> int:
    """Return the peak memory of this process since the last reset."""
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert peak is not None
    return int(peak[1]) // 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
