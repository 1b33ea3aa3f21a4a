"""`python -m tests.benchmarks.known_places`: check that the time of an answer does not reveal a known place.

Pairs of referrals, one at a place that the party's referrals already name, one at a new place, are submitted in either
order to the hotline's intake. As a control, the same runs with an intake that looks for the place and links it before
it answers. Prints for each the median of the pairs' differences and their probability by chance (Wilcoxon's signed
ranks, normal approximation). Exit code 1 unless the first differs in neither, and the second by more than chance; a
lookup costs a tenth of a millisecond.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final
from unittest.mock import patch

from shared.core.protocol.locations import FORMS, locations
from shared.features.filing.rules import HttpReply, Request
from shared.features.filing.store import intake
from shared.features.filing.store.intake import FilingBatch, FilingConflict, PostgresFiling, opened
from shared.features.filing.store.locations import Locations
from shared.platform.database.failure_isolation import Isolation
from shared.platform.observability.retry_backoff import RetryBackoff
from tests.services.databases import migrated, running_postgres
from tests.services.doors import asking
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import HOTLINE
from tests.support.exchange_world import SUBMISSION, world

KNOWN: Final = 50
#: A larger difference, or a less probable one, reveals the place.
APART_MS_MAX: Final = 1.0
PROBABILITY_MIN: Final = 1e-6
_NAMED: Final = """
SELECT r.referral_id, r.party, r.content, r.wrapped_key FROM location_token AS l
JOIN referral AS r USING (party, referral_id)
WHERE l.party = $1 AND l.version = $2 AND l.token = $3 ORDER BY l.referral_id
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """The result of the pairs' differences."""

    pairs: int
    median_ms: float
    probability: float

    @property
    def by_time(self) -> bool:
        return abs(self.median_ms) > APART_MS_MAX

    @property
    def by_chance(self) -> bool:
        return self.probability >= PROBABILITY_MIN

    def line(self, name: str) -> str:
        return f"{name}: {self.pairs} pairs, {self.median_ms:+.3f} ms apart, by chance with {self.probability:.2g}"


class LookingFiling(PostgresFiling):
    """A forbidden intake: it looks for the place, and opens the records that name it, before it answers."""

    async def file(self, asked: Sequence[tuple[Request, HttpReply]], filing: FilingBatch) -> FilingConflict | None:
        for each in filing.prepared:
            for place in locations(json.loads(each.content), max(FORMS)):
                token = self._kek.location_token(each.origin, max(FORMS), place.form)
                for row in await self._driver.fetch(_NAMED, each.origin, max(FORMS), token):
                    opened(row, self._kek)
        return await super().file(asked, filing)


def signed_ranks(differences: Sequence[float]) -> float:
    """Return the two-sided probability of differences this lopsided, if neither side takes longer."""
    ordered = sorted((each for each in differences if each), key=abs)
    many = len(ordered)
    above = sum(rank for rank, each in enumerate(ordered, 1) if each > 0)
    mean, deviation = many * (many + 1) / 4, sqrt(many * (many + 1) * (2 * many + 1) / 24)
    return erfc(abs(above - mean) / deviation / sqrt(2)) if many else 1.0


async def measured(origin: Origin, pairs: int, named: str) -> Difference:
    """Submit `pairs` pairs and return their difference."""
    drawn, differences = random.Random(named), []
    async with origin.door() as client, origin.intake.running():
        for n in range(KNOWN):
            await _filed(client, f"{named}{n:05d}", f"{named}-first-{n}")
        await _linked(origin)
        for n in range(pairs):
            paths = {True: f"{named}{drawn.randrange(KNOWN):05d}", False: f"{named}{KNOWN + n:05d}"}
            took = {}
            for known in drawn.sample([True, False], 2):
                took[known] = await _filed(client, paths[known], f"{named}-{n}-{known}")
            differences.append(took[True] - took[False])
    return Difference(pairs, median(differences) * 1000, signed_ranks(differences))


async def _filed(client: Any, path: str, reference: str) -> float:
    """Return the seconds until the answer."""
    item = SUBMISSION["items"][0] | {"locator": {"kind": "url", "value": f"https://images.example/{path}"}}
    body = SUBMISSION | {"items": [item], "external_ref": reference}
    begun = perf_counter()
    answer = await client.post("/v1/referrals", json=body, headers=asking(HOTLINE, key=f"key-{reference}"))
    took = perf_counter() - begun
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "routed", answer.text
    return took


async def _linked(origin: Origin) -> None:
    linking = Locations(origin.database, KEK, lambda: [HOTLINE], apart=Isolation(RetryBackoff(), origin.clock))
    while await linking.look():
        pass


async def both(pairs: int) -> tuple[Difference, Difference]:
    """Measure the real intake and the forbidden one."""
    with tempfile.TemporaryDirectory() as folder, running_postgres(Path(folder), "hotline") as endpoint:
        async with migrated(endpoint, "hotline") as database:
            origin = Origin(database, world())
            await origin.forget()
            found = await measured(origin, pairs, "a")
            with patch.object(intake, "PostgresFiling", LookingFiling):
                return found, await measured(origin, pairs, "b")


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if the real intake reveals nothing, and the forbidden one is noticed."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.known_places", description=__doc__)
    options.add_argument("--pairs", type=int, default=2_000)
    found, looking = asyncio.run(both(options.parse_args(arguments).pairs))
    print(found.line("known and new places"))
    print(looking.line("with the lookup before the answer"))
    return int(found.by_time or not found.by_chance or looking.by_chance)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
