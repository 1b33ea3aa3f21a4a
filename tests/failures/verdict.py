"""What became of everything that was sent: nothing lost, nothing twice. Read past every policy, as a superuser."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from deploy.accounting.differences import Reconciliation
from deploy.accounting.run import reconciled
from tests.failures.load import Tally
from tests.failures.split import SplitExchange
from tests.support import driver
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Rows
from tests.support.running import SERVICES

_ORIGINS = ("hotline", "industry")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts at rest. Promised: everything equal, and the six that are named for what went wrong zero."""

    posted: int
    referrals: int
    #: Referrals that the API refused, by code. The guard may refuse a drawn one; every other code is a fault.
    refused: dict[str, int]
    edges: int
    messages_receipted: int
    #: Accepted or withdrawn by the API and not so in its tables; in the tables and never answered.
    referrals_lost: int
    referrals_unasked: int
    #: Edges without their effect at the recipient (withdrawal included); effects without an edge.
    effects_lost: int
    effects_unasked: int
    #: Applications of a message beyond its first, and referrals or effects that are there more than once.
    duplicates: int
    #: Messages without a final answer still, receipted twice, or receipted otherwise than kept by the recipient.
    receipts_wrong: int
    outcomes: dict[str, int]
    accounting: Reconciliation

    @property
    def lost(self) -> int:
        return self.referrals_lost + self.effects_lost

    def faults(self) -> dict[str, object]:
        """What was promised not to happen, and did: empty where all is well."""
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
        """The counts in one line, for a person."""
        accounts = self.accounting.as_json()
        differences = "/".join(str(accounts[equation]["difference"]) for equation in ("I", "II", "III"))
        return (
            f"posted {self.posted}, referrals {self.referrals}, refused {self.refused or 0}, edges {self.edges}, "
            f"messages receipted {self.messages_receipted}, "
            f"lost {self.lost}, duplicates {self.duplicates}, differences (I)/(II)/(III) {differences}"
        )

    def as_json(self) -> dict[str, Any]:
        names = [name for name in self.__slots__ if name != "accounting"]
        return {name: getattr(self, name) for name in names} | {"accounting": self.accounting.as_json()}


async def judge(exchange: SplitExchange, tally: Tally) -> Verdict:
    """Compare what the sender was told, what the origins hold, what recipients applied and what was receipted."""
    referrals, edges, effects, inbox, sent, left = await _read(exchange)
    stored = {(row["party"], row["external_ref"]): row["id"] for row in referrals}
    withdrawn = {row["id"] for row in referrals if row["withdrawn"]}
    wanted = Counter(tuple(row) for row in edges)
    applied = {row["id"]: row["outcome"] for row in inbox}
    receipted = {row["id"]: row["outcome"] for row in sent}
    return Verdict(
        posted=tally.posted,
        referrals=len(stored),
        refused=dict(Counter(tally.refused.values())),
        edges=wanted.total(),
        messages_receipted=len(receipted),
        referrals_lost=len(tally.accepted.items() - stored.items()) + len(tally.withdrawn - withdrawn),
        referrals_unasked=len(stored.keys() - tally.accepted.keys()) + len(withdrawn - tally.withdrawn),
        effects_lost=len(wanted.keys() - effects.keys()),
        effects_unasked=len(effects.keys() - wanted.keys()),
        duplicates=sum(row["n"] - 1 for row in inbox)
        + (len(referrals) - len(stored))
        + sum(count - 1 for count in effects.values()),
        receipts_wrong=len(left) + sum(row["n"] - 1 for row in sent) + len(receipted.items() ^ applied.items()),
        outcomes=dict(Counter(applied.values())),
        accounting=await reconciled(exchange.endpoints),
    )


async def _read(exchange: SplitExchange) -> tuple[Rows, Rows, Counter[tuple[object, ...]], Rows, Rows, Rows]:
    referrals: Rows = []
    edges: Rows = []
    effects: Counter[tuple[object, ...]] = Counter()
    inbox: Rows = []
    sent: Rows = []
    left: Rows = []
    for service in SERVICES:
        if service in _ORIGINS:
            referrals += await driver.list_referrals(exchange, service)
            edges += await driver.list_expected_effects(exchange, service)
        effects.update(tuple(row) for row in await driver.list_effects(exchange, service))
        inbox += await delivery.list_received_outcomes(exchange, service)
        sent += await delivery.list_final_outcomes(exchange, service)
        left += await delivery.list_open_messages(exchange, service)
    return referrals, edges, effects, inbox, sent, left
