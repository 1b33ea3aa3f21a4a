"""The fate of all sent messages: nothing lost, nothing twice. It reads past every policy, as a superuser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from deploy.accounting.book import Reconciliation
from deploy.accounting.run import reconciled
from tests.failures.load import Tally
from tests.failures.split import SplitExchange
from tests.support import driver
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Rows
from tests.support.running import SERVICES, until

_ORIGINS = ("hotline", "industry")
#: Longer than two probes of a reader that has stopped.
READ_S_MAX = 180.0
#: The refusal of an edge that its recipient already has.
EDGE_EXISTS = "edge_exists"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts at rest. Promise: all are equal, and the six counts of faults are zero."""

    posted: int
    referrals: int
    #: Referrals that the API refused, by code. The guard may refuse a random one; every other code is a fault.
    refused: dict[str, int]
    edges: int
    messages_acknowledged: int
    #: Accepted or withdrawn by the API and not so in its tables; in the tables and never answered.
    referrals_lost: int
    referrals_unasked: int
    #: Edges without their effect at the recipient (withdrawal included); effects without an edge.
    effects_lost: int
    effects_unasked: int
    #: Edges that a recipient got a second time, and referrals or effects that exist more than once.
    duplicates: int
    #: Streams that their recipient or audit has not read to their end, and open messages on either side.
    streams_wrong: int
    outcomes: dict[str, int]
    accounting: Reconciliation

    @property
    def lost(self) -> int:
        return self.referrals_lost + self.effects_lost

    def faults(self) -> dict[str, object]:
        """Return the promises that were broken: empty if all is well."""
        names = [name for name in self.__slots__ if name.endswith(("lost", "unasked", "wrong")) or name == "duplicates"]
        found: dict[str, object] = {name: getattr(self, name) for name in names if getattr(self, name)}
        if any(not code.startswith("guard_") for code in self.refused):
            found["refused"] = self.refused
        if self.posted != self.referrals + sum(self.refused.values()):
            found["posted"] = self.posted
        if self.outcomes.keys() - {"applied", "withdrawn"}:
            found["outcomes"] = self.outcomes
        if self.accounting.differences:
            found["accounting"] = self.accounting.differences
        return found

    def line(self) -> str:
        """Return the counts in one line, for a person."""
        return (
            f"posted {self.posted}, referrals {self.referrals}, refused {self.refused or 0}, edges {self.edges}, "
            f"messages acknowledged {self.messages_acknowledged}, lost {self.lost}, duplicates {self.duplicates}, "
            f"differences (I)/(II)/(III)/(IV) {differences_in(self.accounting)}"
        )

    def as_json(self) -> dict[str, Any]:
        names = [name for name in self.__slots__ if name != "accounting"]
        return {name: getattr(self, name) for name in names} | {"accounting": self.accounting.as_json()}


def differences_in(accounting: Reconciliation) -> str:
    """Return the difference of each equation, for a person."""
    accounts = accounting.as_json()
    return "/".join(str(accounts[equation]["difference"]) for equation in ("I", "II", "III", "IV"))


async def judge(exchange: SplitExchange, tally: Tally) -> Verdict:
    """Compare the sender's results, the origins' tables, the recipients' effects, and the ends of all streams."""
    with suppress(AssertionError):  # unread messages are counted then

        async def all_is_read() -> bool:
            return not any([await delivery.list_unread_streams(exchange, service) for service in SERVICES])

        await until(all_is_read, seconds_max=READ_S_MAX)
    found = await _read(exchange)
    stored = {(row["party"], row["external_ref"]): row["id"] for row in found.referrals}
    withdrawn = {row["id"] for row in found.referrals if row["withdrawn"]}
    wanted = Counter(tuple(row) for row in found.edges)
    outcomes = Counter(row["outcome"] for row in found.told) + found.exceptions
    given_twice = sum(row["receipt_code"] == EDGE_EXISTS for row in found.told)
    return Verdict(
        posted=tally.posted,
        referrals=len(stored),
        refused=dict(Counter(tally.refused.values())),
        edges=wanted.total(),
        messages_acknowledged=found.acknowledged,
        referrals_lost=len(tally.accepted.items() - stored.items()) + len(tally.withdrawn - withdrawn),
        referrals_unasked=len(stored.keys() - tally.accepted.keys()) + len(withdrawn - tally.withdrawn),
        effects_lost=len(list_lost(wanted, found.effects, found.tombstones)),
        effects_unasked=len(found.effects.keys() - wanted.keys()),
        duplicates=given_twice
        + (len(found.referrals) - len(stored))
        + sum(count - 1 for count in found.effects.values()),
        streams_wrong=len(found.unread) + found.open_outcomes + outcomes["open"] + found.exceptions.total(),
        outcomes=dict(outcomes),
        accounting=await reconciled(exchange.endpoints),
    )


def list_lost(
    wanted: Collection[tuple[object, ...]],
    effects: Collection[tuple[object, ...]],
    tombstones: Collection[tuple[object, ...]],
) -> list[tuple[object, ...]]:
    """List the effects that are missing.

    A restored recipient may have lost a subject that was withdrawn meanwhile. It then receives the withdrawal alone, so
    its tombstone is the effect.
    """
    return [each for each in wanted if each not in effects and not (each[-1] and each[:2] in tombstones)]


@dataclass(slots=True)
class _Found:
    """The content of the databases. `told`: each sent edge with its outcome. `unread`: streams with an unread end."""

    referrals: Rows = field(default_factory=list)
    edges: Rows = field(default_factory=list)
    effects: Counter[tuple[object, ...]] = field(default_factory=Counter)
    told: Rows = field(default_factory=list)
    tombstones: set[tuple[object, ...]] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    exceptions: Counter[str] = field(default_factory=Counter)
    open_outcomes: int = 0
    acknowledged: int = 0


async def _read(exchange: SplitExchange) -> _Found:
    found = _Found()
    for service in SERVICES:
        if service in _ORIGINS:
            found.referrals += await driver.list_referrals(exchange, service)
            found.edges += await driver.list_expected_effects(exchange, service)
            found.told += await delivery.list_edge_outcomes(exchange, service)
        found.effects.update(tuple(row) for row in await driver.list_effects(exchange, service))
        found.tombstones |= await driver.list_tombstones(exchange, service)
        found.exceptions += await delivery.count_exceptions(exchange, service)
        found.open_outcomes += await delivery.count_open_outcomes(exchange, service)
        found.unread += await delivery.list_unread_streams(exchange, service)
        found.acknowledged += await delivery.count_acknowledged_messages(exchange, service)
    return found
