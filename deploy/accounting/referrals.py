"""Equation (I): every submission was refused or accepted, and was stated to audit. Pure.

submitted = refused + accepted;  accepted = routed + unroutable + orphaned + unknown_code
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from deploy.accounting.differences import Difference, Terms
from shared.vocabulary.routing import Disposition

TERMS: Final = ("submitted", "refused", "accepted", *(each.value for each in Disposition))


@dataclass(slots=True)
class Referrals:
    """Counts by party: each origin's counters and stored referrals, and its statements to audit."""

    intake: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    #: Statements that audit could not read: decisions by the party of their referral, then refusals by the instance
    #: that states them. Last, the instance that counts the refusals of each party.
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    unread_refusals: Counter[str] = field(default_factory=Counter)
    counted_by: dict[str, str] = field(default_factory=dict)

    def differences(self) -> Iterator[Difference]:
        parties = {party for party, _ in self.intake} | {party for party, _ in self.decided}
        for party in sorted(parties):
            if self.intake[party, "submitted"] != self.intake[party, "refused"] + self.intake[party, "accepted"]:
                yield Difference("I", "submitted is not refused + accepted", party, (party,))
            if self.intake[party, "accepted"] != sum(self.kept[party, each.value] for each in Disposition):
                yield Difference("I", "accepted is not the sum of its dispositions", party, (party,))
            for name in (each.value for each in Disposition):
                stated = self.decided[party, name] + self.unread[party, name]
                if (kept := self.kept[party, name]) != stated:
                    what = f"{name}: {kept} kept by the origin, {stated} stated to audit"
                    yield Difference("I", what, party, (party,))
        for party in sorted(self._refused_otherwise()):
            yield Difference("I", "refusals counted by the origin are not those stated to audit", party, (party,))

    def _refused_otherwise(self) -> set[str]:
        """Return the parties whose refusals differ from those stated to audit.

        Lacking refusals are no difference if the instance stated as many that audit could not read.
        """
        parties = {party for party, _ in (*self.intake, *self.decided)}
        lacking = {party: self.intake[party, "refused"] - self.refused[party] for party in parties}
        by_instance = Counter[str]()
        for party, count in lacking.items():
            by_instance[self.counted_by.get(party, "")] += max(count, 0)
        unread = {name for name, count in by_instance.items() if count == self.unread_refusals[name]}
        return {
            party
            for party, count in lacking.items()
            if count < 0 or (count and self.counted_by.get(party) not in unread)
        }

    def by_origin(self) -> tuple[Terms, ...]:
        """The terms of the equation of each origin."""
        parties = sorted({party for party, _ in (*self.intake, *self.kept)})
        both = Counter(self.intake) + Counter(self.kept)
        return tuple(Terms((party,), {name: both[party, name] for name in TERMS}) for party in parties)

    def totals(self) -> dict[str, int]:
        terms = dict.fromkeys(TERMS, 0)
        for (_, name), count in (*self.intake.items(), *self.kept.items()):
            terms[name] = terms.get(name, 0) + count
        return terms
