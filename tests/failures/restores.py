"""An instance's database is lost and restored from a dump while the others go on: audit's, an agency's, an origin's.

    python -m tests.failures.restores --count 1000

So many referrals are filed after the dump, which knows nothing of them; some before it, and some once the instance runs
again. Each command of what `docs/operations` says of a database that is restored is run here as it stands there; the
rest heals without a verb. Of what the agency was sent meanwhile Kafka keeps nothing: it comes from its origin again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.book import Reconciliation
from deploy.accounting.run import reconciled
from deploy.devstack.servers import binaries
from shared.kernel.authority import Role
from shared.vocabulary.referral import WithdrawalReason
from tests.failures.delivered import forget
from tests.journeys.commands import ROOT, blocks, shell
from tests.support import driver, driver_audit
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import LANES, inbox_topic
from tests.support.running import AGENCY, HOTLINE, Exchange, referral, running_exchange, until

ORIGIN, RECIPIENT, AUDIT = "hotline", "law_enforcement", "audit"
RESTORED: Final = (AUDIT, RECIPIENT, ORIGIN)
PAGE: Final = ROOT / "docs" / "operations" / "README.md"
#: How long anything may take to come to rest.
REST_S_MAX: Final = 1_200.0
#: Together in one post.
TOGETHER: Final = 100


class Counts(NamedTuple):
    """How many referrals are filed before the dump, between it and the loss, and once the instance runs again."""

    before: int
    after: int
    later: int


@dataclass(slots=True)
class Restored:
    """One restore: what was filed before the dump, after it, and once the instance ran again; what is there then."""

    instance: str
    before: list[UUID] = field(default_factory=list)
    after: list[UUID] = field(default_factory=list)
    later: list[UUID] = field(default_factory=list)
    withdrawn: UUID | None = None
    accepted: UUID | None = None
    #: Edges that the restored origin knew before, and does not know any more.
    edges_forgotten: frozenset[UUID] = frozenset()
    #: Those of them that another instance holds, each with the subject by which that names it.
    held_elsewhere: dict[UUID, UUID] = field(default_factory=dict)
    cases: dict[UUID, str] = field(default_factory=dict)
    strays: frozenset[UUID] = frozenset()
    ahead: frozenset[UUID] = frozenset()
    #: Referrals with an act that the restored recipient forgot, on its operator's list; and such lines of the origin.
    forgotten_acts: frozenset[UUID] = frozenset()
    acts_listed_at_origin: int = 0
    reused: int = 0
    accounting: Reconciliation | None = None
    #: How a key that was revoked after the dump is answered, before the restore and after it.
    revoked: list[int] = field(default_factory=list)

    def line(self) -> str:
        assert self.accounting is not None
        accounts = self.accounting.as_json()
        differences = "/".join(str(accounts[equation]["difference"]) for equation in ("I", "II", "III"))
        return (
            f"restored {self.instance}: {len(self.after)} referrals after its dump, {len(self.edges_forgotten)} edges "
            f"forgotten, {len(self.strays)} of them listed, {len(self.ahead)} on the work list, "
            f"{len(self.cases)} cases, numbers given twice {self.reused}, differences (I)/(II)/(III) {differences}"
        )


async def restore_through(exchange: Exchange, folder: Path, instance: str, counts: Counts) -> Restored:
    """File referrals around a dump of one instance and its restore; what is then on all sides."""
    found = Restored(instance)
    found.before = await _file(exchange, counts.before)
    await _quiet(exchange)
    edges_before = await driver.list_edge_ids(exchange)
    backup = folder / f"{instance}-backup"
    party = next(name for name, each in exchange.parties.items() if each.url == exchange.endpoints.address(instance))
    key = await exchange.issued(instance, party, Role.VIEWER)
    await back_up(exchange, instance, backup)
    await _revoke(exchange, instance, party)
    found.revoked.append(await _answered(exchange, party, key))
    found.after = await _file(exchange, counts.after)
    found.accepted, found.withdrawn = found.before[0], found.before[1]
    async with exchange.client(AGENCY) as agency, exchange.client(HOTLINE) as hotline:
        await agency.act_on_case("accept", found.accepted)
        await hotline.withdraw(found.withdrawn, WithdrawalReason.FILED_IN_ERROR)
    await _quiet(exchange)
    if instance == ORIGIN:
        found.edges_forgotten = await driver.list_edge_ids(exchange) - edges_before
        tracks = await driver.list_edge_tracks(exchange)
        found.held_elsewhere = {edge: track for edge, track in tracks.items() if edge in found.edges_forgotten}
    exchange.stop(instance)
    if instance == RECIPIENT:
        await _forget_all(exchange, inbox_topic(RECIPIENT, ORIGIN))
    await restore(exchange, instance, backup)
    exchange.serve(instance)
    exchange.wait_ready(instance)
    found.revoked.append(await _answered(exchange, party, key))
    found.later = await _file(exchange, counts.later)
    await come_back(exchange)
    if instance != AUDIT:
        # It has told what it holds; its peers look at that in their own time.
        await until(lambda: _acts_are_back(exchange, found), seconds_max=REST_S_MAX)
        await until(lambda: _strays_are_listed(exchange, found), seconds_max=REST_S_MAX)
    await _quiet(exchange)
    await _look(exchange, found)
    return found


async def _revoke(exchange: Exchange, instance: str, party: str) -> None:
    """Revoke all keys of the party but its own, and wait until the running instance has that in its journal."""
    await driver.revoke_other_keys(exchange, party)

    async def noted() -> bool:
        return not await driver.has_unwritten_endings(exchange, instance)

    await until(noted)


async def _answered(exchange: Exchange, party: str, key: str) -> int:
    """How whoever holds this key is answered."""
    async with exchange.http(party) as client:
        return (await client.get("/v1/whoami", headers={"Authorization": f"Bearer {key}"})).status_code


async def back_up(exchange: Exchange, instance: str, folder: Path) -> None:
    """As the operator's page says it, into a folder that is this backup's alone."""
    await asyncio.to_thread(_follow, exchange, instance, folder, page()[0])


async def restore(exchange: Exchange, instance: str, folder: Path) -> None:
    """Make its database what it was at the backup; the instance does not run."""
    await asyncio.to_thread(_follow, exchange, instance, folder, page()[1])


async def come_back(exchange: Exchange) -> None:
    """Wait until each instance knows what its peers hold, and lacks nothing of theirs."""
    await exchange.until_all_have_answered(REST_S_MAX)
    await exchange.until_quiet(REST_S_MAX)


def page() -> list[list[str]]:
    """The two blocks of commands of the page's part on a restored database: the dump, and its way back."""
    found = [block for block in blocks(PAGE) if any("backup.dump" in line for line in block)]
    assert len(found) == 2
    return found


def _follow(exchange: Exchange, instance: str, folder: Path, lines: list[str]) -> str:
    """Run commands of the page as they stand, but for the instance's name; what they say."""
    server = exchange.stack.postgres.admin_url
    folder.mkdir(exist_ok=True)
    return shell(
        folder,
        *(line.replace(RECIPIENT, instance) for line in lines),
        seconds_max=REST_S_MAX,
        PATH=f"{binaries()}:/usr/local/bin:/usr/bin:/bin",
        CAUSEWAY_DEV_STATE_DIR=str(exchange.state),
        SERVER=server,
        DATABASE=f"{server.rpartition('/')[0]}/causeway_{instance}",
    )


async def _forget_all(exchange: Exchange, topic: str) -> None:
    """Kafka's retention has taken all that the topic holds."""
    for lane in LANES:
        await forget(exchange, topic, lane, below=(await delivery.find_bounds(exchange, topic, lane)).end)


async def _acts_are_back(exchange: Exchange, found: Restored) -> bool:
    cases = await driver.list_cases(exchange, AGENCY)
    is_named = found.accepted in await _forgotten_acts(exchange, found)
    return (is_named or cases.get(found.accepted) == "accepted") and cases.get(found.withdrawn) == "withdrawn"


async def _forgotten_acts(exchange: Exchange, found: Restored) -> frozenset[UUID]:
    return await delivery.list_forgotten_acts(exchange, RECIPIENT, [*found.before, *found.after], (HOTLINE, AGENCY))


async def _strays_are_listed(exchange: Exchange, found: Restored) -> bool:
    strays = await driver.list_lost_edges(exchange, found.held_elsewhere)
    behind = await driver.list_referrals_behind_recipient(exchange)
    ahead = behind if found.instance == ORIGIN else {found.withdrawn}
    return strays == found.held_elsewhere.keys() and found.withdrawn in ahead


async def _look(exchange: Exchange, found: Restored) -> None:
    found.cases = await driver.list_cases(exchange, AGENCY)
    found.strays = await driver.list_lost_edges(exchange, found.held_elsewhere)
    found.ahead = await driver.list_referrals_behind_recipient(exchange)
    if found.instance == RECIPIENT:
        found.forgotten_acts = await _forgotten_acts(exchange, found)
        found.acts_listed_at_origin = len(await delivery.list_operator_lines(exchange, ORIGIN, "act"))
    found.reused = await driver_audit.count_reused_numbers(exchange)
    found.accounting = await reconciled(exchange.endpoints)


async def _file(exchange: Exchange, count: int) -> list[UUID]:
    filed = list[UUID]()
    async with exchange.client(HOTLINE) as hotline:
        while wanted := min(count - len(filed), TOGETHER):
            results = await hotline.submit_batch([referral() for _ in range(wanted)])
            filed += [each.referral_id for each in results if each.referral_id]
    return filed


async def _quiet(exchange: Exchange) -> None:
    await exchange.until_quiet(REST_S_MAX)
    await exchange.until_audited(REST_S_MAX)


def check(found: Restored) -> None:
    """Raises `AssertionError` where something is lost and not named, or named and not lost.

    What an origin has forgotten is named by its edges, on its operator's list and by the accounts.
    """
    assert found.accounting is not None
    assert found.reused == 0
    assert found.revoked == [401, 401]
    filed = {*found.before, *found.after, *found.later}
    assert filed <= found.cases.keys(), "what the restored instance had forgotten has come back, and new ones came"
    assert found.accepted is not None
    assert found.withdrawn is not None
    assert found.cases[found.withdrawn] == "withdrawn"
    # An act of the recipient's own that it forgot is named, as its origin knows it.
    assert (found.cases[found.accepted] == "accepted") != (found.forgotten_acts == {found.accepted})
    assert found.acts_listed_at_origin == 0
    if found.instance == ORIGIN:
        assert found.strays == found.held_elsewhere.keys()
        assert found.ahead == {found.withdrawn}
        equations = Counter(each.equation for each in found.accounting.differences)
        assert equations["II"] == 0
        # Audit knows of each edge that its origin has forgotten, and of the referrals.
        assert equations["III"] == len(found.edges_forgotten)
    else:
        assert found.accounting.differences == ()


def main(arguments: Sequence[str], say: Callable[[str], object] = print) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    counts = Counts(before=50, after=parser.parse_args(arguments).count, later=50)
    with tempfile.TemporaryDirectory() as folder, running_exchange(Path(folder) / "state") as exchange:
        for instance in RESTORED:
            began = time.monotonic()
            found = asyncio.run(restore_through(exchange, Path(folder), instance, counts))
            say(f"{found.line()}, in {time.monotonic() - began:.0f} s")
            check(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
