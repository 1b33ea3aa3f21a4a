"""An instance's database is lost and restored from a dump while the others go on: audit's, an agency's, an origin's.

    python -m tests.failures.restores --count 1000

A third of the referrals is filed before the dump, a third after it, so that the dump knows nothing of them, and a third
once the instance runs again. What `docs/operations` says of a database that is gone is what is done here.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from deploy.accounting.differences import Reconciliation
from deploy.accounting.run import reconciled
from deploy.devstack.postgres import binaries
from shared.vocabulary.referral import WithdrawalReason
from tests.journeys.parties import ran
from tests.support.running import AGENCY, HOTLINE, Exchange, referral, running_exchange, until

ORIGIN, RECIPIENT, AUDIT = "hotline", "law_enforcement", "audit"
RESTORED: Final = (AUDIT, RECIPIENT, ORIGIN)
_CASES = "SELECT referral_id, state FROM case_file WHERE party = $1"
_EDGES_HELD = "SELECT said FROM inbox WHERE sender = $1 AND subject = ANY($2::text[]) AND revision IS NOT NULL"
_NOTICES = """
SELECT i.said FROM inbox AS i WHERE i.sender = $1 AND i.type = 'causeway.notice_issued.v1'
"""
_SENT = """
SELECT sender, recipient, epoch, sequence FROM outbox WHERE sender LIKE '%.%' AND recipient LIKE '%.%'
UNION ALL SELECT sender, recipient, epoch, sequence FROM settled WHERE sender LIKE '%.%' AND recipient LIKE '%.%'
"""
_STRAYS = "SELECT instance, edge_id FROM stray"
_AHEAD = "SELECT referral_id FROM referral WHERE work_reason = 'recipient_ahead'"
_OURS = "SELECT referral_id FROM referral"
_EDGES = "SELECT edge_id FROM edge"
_REUSED = """
SELECT count(*) FROM (SELECT sender, recipient, epoch, sequence FROM entry WHERE sequence > 0
                      GROUP BY 1, 2, 3, 4 HAVING count(DISTINCT digest) > 1) AS twice
"""


@dataclass(slots=True)
class Restored:
    """One restore: what was filed before the dump, after it, and once the instance ran again; what is there then."""

    instance: str
    before: list[UUID] = field(default_factory=list)
    after: list[UUID] = field(default_factory=list)
    later: list[UUID] = field(default_factory=list)
    withdrawn: UUID | None = None
    accepted: UUID | None = None
    #: Numbers of parties that the dump does not know.
    lost: frozenset[tuple[Any, ...]] = frozenset()
    edges_forgotten: frozenset[UUID] = frozenset()
    cases: dict[UUID, str] = field(default_factory=dict)
    strays: frozenset[UUID] = frozenset()
    ahead: frozenset[UUID] = frozenset()
    reused: int = 0
    recovery: Any = None
    accounting: Reconciliation | None = None

    def line(self) -> str:
        assert self.accounting is not None
        accounts = self.accounting.as_json()
        differences = "/".join(str(accounts[equation]["difference"]) for equation in ("I", "II", "III"))
        return (
            f"restored {self.instance}: {len(self.after)} referrals after its dump, {len(self.lost)} numbers lost, "
            f"{len(self.strays)} edges forgotten and listed, {len(self.ahead)} on the work list, "
            f"{len(self.cases)} cases, numbers given twice {self.reused}, differences (I)/(II)/(III) {differences}"
        )


async def restore_through(exchange: Exchange, folder: Path, instance: str, count: int) -> Restored:
    """File `count` referrals around a dump of one instance and its restore; what is then on all sides."""
    found = Restored(instance)
    found.before = await _file(exchange, count // 3)
    await _quiet(exchange)
    edges_before = await _edges(exchange)
    sent_before = await _sent(exchange, instance)
    dump = folder / f"{instance}.dump"
    _postgres(exchange, "pg_dump", "--format=custom", f"--file={dump}", database=instance)
    found.after = await _file(exchange, count // 3)
    found.accepted, found.withdrawn = found.before[0], found.before[1]
    async with exchange.client(AGENCY) as agency, exchange.client(HOTLINE) as hotline:
        await agency.accept_case(found.accepted)
        await hotline.withdraw(found.withdrawn, WithdrawalReason.FILED_IN_ERROR)
    await _quiet(exchange)
    found.lost = await _sent(exchange, instance) - sent_before
    found.edges_forgotten = (await _edges(exchange) - edges_before) if instance == ORIGIN else frozenset()
    exchange.stop(instance)
    _postgres(exchange, "pg_restore", "--clean", "--create", "--exit-on-error", str(dump), database="")
    if instance != AUDIT:
        assert ran(exchange, "recover", instance).returncode == 1, "it does not run yet"
    exchange.serve(instance)
    exchange.wait_ready(instance)
    found.later = await _file(exchange, count - 2 * (count // 3))
    if instance != AUDIT:
        await until(lambda: _recovered(exchange, instance, found))
    await _quiet(exchange)
    await _look(exchange, found)
    return found


async def _recovered(exchange: Exchange, instance: str, found: Restored) -> bool:
    looked = await asyncio.to_thread(ran, exchange, "recover", instance, "--look")
    found.recovery = looked.stdout
    return looked.returncode == 0


async def _look(exchange: Exchange, found: Restored) -> None:
    found.cases = {row[0]: row[1] for row in await _rows(exchange, RECIPIENT, _CASES, AGENCY)}
    found.strays = frozenset(row["edge_id"] for row in await _rows(exchange, ORIGIN, _STRAYS))
    found.ahead = frozenset(row[0] for row in await _rows(exchange, ORIGIN, _AHEAD))
    [[found.reused]] = await _rows(exchange, AUDIT, _REUSED)
    found.accounting = await reconciled(exchange.endpoints)


async def _file(exchange: Exchange, count: int) -> list[UUID]:
    async with exchange.client(HOTLINE) as hotline:
        return [UUID(str((await hotline.submit(referral())).referral_id)) for _ in range(count)]


async def _quiet(exchange: Exchange) -> None:
    await exchange.until_quiet()
    await exchange.until_audited()


async def _sent(exchange: Exchange, instance: str) -> frozenset[tuple[Any, ...]]:
    if instance == AUDIT:
        return frozenset()
    return frozenset(tuple(row) for row in await _rows(exchange, instance, _SENT))


async def _edges(exchange: Exchange) -> frozenset[UUID]:
    return frozenset(row[0] for row in await _rows(exchange, ORIGIN, _EDGES))


async def _rows(exchange: Exchange, instance: str, query: str, *arguments: Any) -> Sequence[Any]:
    connection = await exchange.admin(instance)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


def _postgres(exchange: Exchange, program: str, *arguments: str, database: str) -> None:
    """A client program of PostgreSQL, as its administrator; `database` of an instance, else of the server."""
    url = exchange.stack.postgres.admin_url
    if database:
        url = f"{url.rpartition('/')[0]}/causeway_{database}"
    done = subprocess.run(
        [str(binaries() / program), f"--dbname={url}", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check(found: Restored) -> None:
    """Raises `AssertionError` where something did not come back that could, or is lost and not named."""
    assert found.accounting is not None
    assert found.reused == 0
    filed = {*found.before, *found.after, *found.later}
    assert filed <= found.cases.keys(), "what the restored instance had forgotten has come back, and new ones came"
    assert found.accepted is not None
    assert found.withdrawn is not None
    assert (found.cases[found.accepted], found.cases[found.withdrawn]) == ("accepted", "withdrawn")
    if found.instance == AUDIT:
        assert found.accounting.differences == ()
    if found.instance == ORIGIN:
        assert found.strays == found.edges_forgotten
        assert found.withdrawn in found.ahead


def main(arguments: Sequence[str], say: Callable[[str], object] = print) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count: int = parser.parse_args(arguments).count
    with tempfile.TemporaryDirectory() as folder, running_exchange(Path(folder) / "state") as exchange:
        for instance in RESTORED:
            began = time.monotonic()
            found = asyncio.run(restore_through(exchange, Path(folder), instance, count // len(RESTORED)))
            say(f"{found.line()}, in {time.monotonic() - began:.0f} s")
            assert found.accounting is not None
            kinds = Counter((each.equation, each.what) for each in found.accounting.differences)
            for (equation, what), n in kinds.items():
                say(f"  ({equation}) {what}: {n}")
            say(str(found.recovery))
            check(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
