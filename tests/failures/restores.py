"""An instance's database is lost and restored while the others continue: audit's, an agency's, an origin's.

    python -m tests.failures.restores --count 1000 --way point-in-time
    python -m tests.failures.restores --count 1000 --order 0 0      the same backup twice; `0 1`: then one made after it

`--count` referrals are submitted after the backup, which does not contain them. Some are submitted before it, and some
without a pause during the outage and the restore. It recovers without a command. Kafka retains none of the agency's
messages from that time, so the origin sends them again. Pauses are a sixtieth as long; a peer states its holdings once
an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.book import Reconciliation
from deploy.accounting.run import reconciled
from shared.core.authority import Role
from shared.core.vocabulary.referral import WithdrawalReason
from tests.acceptance.backups import Backup, Way, back_up
from tests.failures.delivered import filings, forget
from tests.failures.load import Sender
from tests.failures.verdict import differences_in
from tests.support import driver, driver_audit
from tests.support import driver_delivery as delivery
from tests.support.altered_instance import HASTY
from tests.support.driver_delivery import LANES, inbox_topic
from tests.support.running import AGENCY, HOTLINE, Exchange, referral, running_exchange, until

ORIGIN, RECIPIENT, AUDIT = "hotline", "law_enforcement", "audit"
RESTORED: Final = (AUDIT, RECIPIENT, ORIGIN)
#: Maximum time until the exchange is at rest.
REST_S_MAX: Final = 1_200.0
#: Referrals in one post, and posts per second during the outage and the restore.
TOGETHER, LATER_PER_S = 100, 10.0
#: The backup that is restored, if there is one; the numbers of the backups, in their order.
ONCE: Final = (0,)


class Counts(NamedTuple):
    """Number of referrals submitted before the backup, between it and the loss, and during the restore."""

    before: int
    after: int
    later: int


@dataclass(slots=True)
class Restored:
    """The referrals submitted before the backup, after it and during the restore, and the final state."""

    instance: str
    way: Way
    before: list[UUID] = field(default_factory=list)
    after: list[UUID] = field(default_factory=list)
    later: list[UUID] = field(default_factory=list)
    withdrawn: UUID | None = None
    accepted: UUID | None = None
    #: Edges that the restored origin knew before, and does not know any more; and messages that carried its edges.
    edges_forgotten: set[UUID] = field(default_factory=set)
    messages_forgotten: set[UUID] = field(default_factory=set)
    #: Those of them that another instance holds, each with the subject by which that instance names it.
    held_elsewhere: dict[UUID, UUID] = field(default_factory=dict)
    #: Events by their position in a party's feed, and the number of positions that have had another event since.
    events: dict[tuple[object, int], object] = field(default_factory=dict)
    events_reused: int = 0
    cases: dict[UUID, str] = field(default_factory=dict)
    strays: frozenset[UUID] = frozenset()
    ahead: frozenset[UUID] = frozenset()
    #: Referrals with an act that the restored recipient lost, on its operator's list; and such lines of the origin.
    forgotten_acts: frozenset[UUID] = frozenset()
    acts_listed_at_origin: int = 0
    reused: int = 0
    accounting: Reconciliation | None = None
    #: Answers to a key that was revoked after the dump, before the restore and after it.
    revoked: list[int] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"restored {self.instance} by {self.way}: {len(self.after)} referrals after its backup, "
            f"{len(self.edges_forgotten)} edges lost, {len(self.strays)} of them listed, {len(self.ahead)} on the "
            f"operator's list, {len(self.cases)} cases, numbers used twice {self.reused + self.events_reused}, "
            f"differences (I)/(II)/(III)/(IV) {differences_in(self.accounting)}"
        )


async def restore_through(
    exchange: Exchange, folder: Path, instance: str, counts: Counts, way: Way = Way.DUMP, order: Sequence[int] = ONCE
) -> Restored:
    """Submit referrals around backups of one instance, restore these in order, and return the final state."""
    found = Restored(instance, way)
    found.before = await _file(exchange, counts.before)
    await _quiet(exchange)
    party = next(name for name, each in exchange.parties.items() if each.url == exchange.endpoints.address(instance))
    key = await exchange.issued(instance, party, Role.VIEWER)
    backups, known = [], []
    for number in range(max(order) + 1):
        backups.append(await back_up(exchange, instance, folder / f"{instance}-{number}", way))
        known.append(await driver.list_edge_ids(exchange))
        found.after += await _file(exchange, counts.after)
        await _quiet(exchange)
    await _revoke(exchange, instance, party)
    found.revoked.append(await _answered(exchange, party, key))
    found.accepted, found.withdrawn = found.before[0], found.before[1]
    async with exchange.client(AGENCY) as agency, exchange.client(HOTLINE) as hotline:
        await agency.act_on_case("accept", found.accepted)
        await hotline.withdraw(found.withdrawn, WithdrawalReason.FILED_IN_ERROR)
    for number in order:
        await _quiet(exchange)
        await _note_events(exchange, found)
        await _put_back(exchange, found, backups[number], known[number], counts.later)
        found.revoked.append(await _answered(exchange, party, key))
    await _quiet(exchange)
    await _look(exchange, found)
    return found


async def _put_back(exchange: Exchange, found: Restored, backup: Backup, known: frozenset[UUID], later: int) -> None:
    """Lose the database and restore the backup, while others submit without a pause; wait until all is recovered."""
    if found.instance == ORIGIN:
        tracks = found.held_elsewhere | await driver.list_edge_tracks(exchange)
        found.held_elsewhere = {edge: track for edge, track in tracks.items() if edge not in known}
        found.edges_forgotten = (found.edges_forgotten | await driver.list_edge_ids(exchange)) - known
        found.messages_forgotten |= await driver.list_edge_messages(exchange)
    exchange.stop(found.instance)
    if found.instance == RECIPIENT:
        await _forget_all(exchange, inbox_topic(RECIPIENT, ORIGIN))
    async with Sender(exchange, withdrawn_share=0) as sender:
        sending = asyncio.create_task(sender.send_paced(filings(later), LATER_PER_S))
        await backup.put_back()
        exchange.serve(found.instance)
        exchange.wait_ready(found.instance)
        await sending
    found.later += map(UUID, sender.tally.accepted.values())
    await come_back(exchange)
    if found.instance != AUDIT:
        # It has stated its holdings; its peers compare them later.
        await until(lambda: _acts_are_back(exchange, found), seconds_max=REST_S_MAX)
        await until(lambda: _strays_are_listed(exchange, found), seconds_max=REST_S_MAX)


async def _note_events(exchange: Exchange, found: Restored) -> None:
    """Read all events of the agency and of the hotline; count positions that had another event before."""
    for party in (HOTLINE, AGENCY):
        async with exchange.client(party) as client:
            page = await client.events()
            while page.items:
                for each in page.items:
                    told = each.model_dump_json()
                    found.events_reused += found.events.setdefault((party, page.epoch, each.number), told) != told
                page = await client.events(after=page.items[-1].number, epoch=page.epoch)


async def _revoke(exchange: Exchange, instance: str, party: str) -> None:
    """Revoke all keys of the party but its own, and wait until the running instance has that in its journal."""
    await driver.revoke_other_keys(exchange, party)

    async def noted() -> bool:
        return not await driver.has_unwritten_endings(exchange, instance)

    await until(noted)


async def _answered(exchange: Exchange, party: str, key: str) -> int:
    """Return the answer to a request with this key."""
    async with exchange.http(party) as client:
        return (await client.get("/v1/whoami", headers={"Authorization": f"Bearer {key}"})).status_code


async def come_back(exchange: Exchange) -> None:
    """Wait until each instance knows its peers' holdings and has all of its messages from them."""
    await exchange.until_all_have_answered(REST_S_MAX)
    await exchange.until_quiet(REST_S_MAX)


async def _forget_all(exchange: Exchange, topic: str) -> None:
    """Have Kafka's retention delete all records of the topic."""
    for lane in LANES:
        await forget(exchange, topic, lane, below=(await delivery.find_bounds(exchange, topic, lane)).end)


async def _acts_are_back(exchange: Exchange, found: Restored) -> bool:
    cases, named = await driver.list_cases(exchange, AGENCY), await _forgotten_acts(exchange, found)
    are_there = {*found.before, *found.after, *found.later} <= cases.keys()
    is_back = found.accepted in named or cases.get(found.accepted) == "accepted"
    return are_there and is_back and cases.get(found.withdrawn) == "withdrawn"


async def _forgotten_acts(exchange: Exchange, found: Restored) -> frozenset[UUID]:
    return await delivery.list_forgotten_acts(exchange, RECIPIENT, [*found.before, *found.after], (HOTLINE, AGENCY))


async def _strays_are_listed(exchange: Exchange, found: Restored) -> bool:
    strays = await driver.list_lost_edges(exchange, found.held_elsewhere)
    behind = await driver.list_referrals_behind_recipient(exchange)
    ahead = behind if found.instance == ORIGIN else {found.withdrawn}
    return strays == found.held_elsewhere.keys() and found.withdrawn in ahead


async def _look(exchange: Exchange, found: Restored) -> None:
    found.messages_forgotten -= await driver.list_edge_messages(exchange)
    found.cases = await driver.list_cases(exchange, AGENCY)
    found.strays = await driver.list_lost_edges(exchange, found.held_elsewhere)
    found.ahead = await driver.list_referrals_behind_recipient(exchange)
    if found.instance == RECIPIENT:
        found.forgotten_acts = await _forgotten_acts(exchange, found)
        found.acts_listed_at_origin = len(await delivery.list_operator_lines(exchange, ORIGIN, "act"))
    await _note_events(exchange, found)
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
    """Raises `AssertionError` if something is lost and not named, or named and not lost.

    Data that an origin has lost is named by its edges, on its operator's list and by reconciliation.
    """
    assert (found.reused, found.events_reused, found.acts_listed_at_origin) == (0, 0, 0)
    assert set(found.revoked) == {401}
    filed = {*found.before, *found.after, *found.later}
    assert filed <= found.cases.keys(), "the restored instance has recovered its lost data, and new referrals arrived"
    assert found.cases[found.withdrawn] == "withdrawn"
    # A lost act of the recipient itself is named, as its origin knows it.
    assert (found.cases[found.accepted] == "accepted") != (found.forgotten_acts == {found.accepted})
    lost = {each for each in found.accounting.differences if each.what == "an answer that its writer has lost"}
    effects = {each for each in found.accounting.differences if each.equation == "IV"}
    others = {(each.equation, each.where) for each in {*found.accounting.differences} - lost - effects}
    if found.instance == ORIGIN:
        assert (found.strays, found.ahead) == (found.held_elsewhere.keys(), {found.withdrawn})
        # Audit knows each message of the edges that its origin has lost, and the referrals.
        listed = {each for each in others if each[0] != "I"}
        assert listed == {("III", str(message)) for message in found.messages_forgotten}
    else:
        assert (others, bool(lost)) == (set(), bool(found.forgotten_acts))
        # The case is offered here, and accepted at its origin.
        assert {UUID(each.where.partition(" ")[0]) for each in effects} == found.forgotten_acts


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--way", type=Way, choices=[*Way], default=Way.DUMP)
    parser.add_argument("--order", type=int, nargs="+", default=ONCE)
    parser.add_argument("--later", type=int, default=300)
    given = parser.parse_args(arguments)
    counts = Counts(before=50, after=given.count, later=given.later)
    with tempfile.TemporaryDirectory() as folder, running_exchange(Path(folder) / "state", program=HASTY) as exchange:
        for instance in RESTORED:
            began = time.monotonic()
            found = asyncio.run(restore_through(exchange, Path(folder), instance, counts, given.way, given.order))
            print(f"{found.line()}, in {time.monotonic() - began:.0f} s")
            check(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
