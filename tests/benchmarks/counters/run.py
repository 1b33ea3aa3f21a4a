"""One run of `make counters`: every load on a running exchange, and its figures by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.benchmarks.counters.bounds import GATHERED, IN_BATCHES, LIFE, RETAINED, SINGLE
from tests.benchmarks.counters.intervals import APPLIES, FILES, Counted, Interval, counted
from tests.benchmarks.counters.loads import BATCH, Loads
from tests.benchmarks.counters.readings import Name, sum_of, table_bytes
from tests.support.running import Exchange

KB: Final = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """Number of referrals in a run: `warm` before the count, once in each way, and then those of each load.

    A connection prepares its statements on first use, which is not counted: `warm` uses each connection of a pool.

    `idle_s` is the time in which background work is measured, `still_s` that without growth of Kafka after a load.
    """

    warm: int
    batches: int
    single: int
    lives: int
    idle_s: float
    still_s: float

    @property
    def all(self) -> int:
        """All referrals that a run takes from the sample."""
        return 2 * self.warm + self.batches + self.single + self.lives


#: The page images are those of 1,000 referrals between two checkpoints.
WHOLE: Final = Size(warm=600, batches=1_000, single=1_000, lives=100, idle_s=30.0, still_s=20.0)
SHORT: Final = Size(warm=300, batches=300, single=0, lives=0, idle_s=10.0, still_s=12.0)


@dataclass(slots=True)
class Report:
    """Figures by load and name, and rows and bytes by table or topic for each load."""

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    places: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)

    def add(self, load: str, interval: Interval, count: int) -> None:
        """Store the cost of an interval for each of its `count` referrals."""
        self.figures[load] = figures_of(interval, count)
        self.places[load] = places_of(interval.counts, count)

    def add_retained(self, grown: Mapping[Name, int], count: int) -> None:
        """Store the bytes by which the tables have grown for each of `count` open or answered referrals."""
        self.figures[RETAINED] = {"KB": sum(grown.values()) / count / KB}
        self.places[RETAINED] = places_of(grown, count)


async def measure(exchange: Exchange, size: Size) -> Report:
    """Run all loads on a running exchange and return their figures."""
    loads, report = Loads(exchange, size.all), Report()
    empty = await table_bytes(exchange, compacted=False)
    await loads.file(size.warm, batch=BATCH, run="warm")
    if size.single:
        await loads.file(size.warm, batch=1, run="warmer")
        await exchange.until_all_have_answered()
    async with counted(exchange, idle_s=size.idle_s, still_s=size.still_s) as servers:
        report.idle = servers.idle_totals()
        interval = await servers.interval(lambda: loads.file(size.batches, batch=BATCH, run="batches"))
        report.add(IN_BATCHES, interval, size.batches)
        if size.single:
            interval = await servers.interval(lambda: loads.file(size.single, batch=1, run="single"))
            report.add(SINGLE, interval, size.single)
        if size.lives:
            report.add(LIFE, await _live(servers, loads, size.lives), size.lives)
            grown = await table_bytes(exchange, compacted=True)
            grown.subtract(empty)
            report.add_retained(grown, size.all)
    return report


async def _live(servers: Counted, loads: Loads, count: int) -> Interval:
    """Count whole lives: submitted in batches, acknowledged by both recipients, answered by both."""
    refs: list[str] = []

    async def file() -> None:
        refs.extend(await loads.file(count, batch=BATCH, run="life"))

    filed = await servers.interval(file)
    subjects = await loads.subjects(refs)
    await servers.settle()
    acknowledged = await servers.interval(lambda: loads.acknowledge(subjects))
    answered = await servers.interval(lambda: loads.answer(subjects))
    return filed.then(acknowledged).then(answered)


def figures_of(interval: Interval, count: int) -> dict[str, float]:
    """Return the figures of an interval in which `count` referrals were submitted, each per referral."""

    def each(*kinds: str) -> float:
        return sum(sum_of(interval.counts, kind) for kind in kinds) / count

    filed = interval.count_of(FILES)
    return {
        "rows": each("inserted", "updated", "deleted"),
        "rows inserted": each("inserted"),
        "rows updated": each("updated"),
        "of them HOT": each("hot"),
        "rows deleted": each("deleted"),
        "TOAST rows": each("toast"),
        "statements": sum(done.statements for done in interval.transactions) / count,
        "round trips": sum(done.trips for done in interval.transactions) / count,
        "transactions": len(interval.transactions) / count,
        "WAL records": each("wal_records"),
        "WAL KB without page images": each("wal_bytes") / KB,
        "page images KB": each("page_image_bytes") / KB,
        "Kafka records": each("records"),
        "Kafka KB": each("kafka_bytes") / KB,
        "signatures made": each("sign"),
        "signatures verified": each("verify"),
        "encapsulations": each("encapsulate"),
        "decapsulations": each("decapsulate"),
        GATHERED: count / filed if filed else 0.0,
        "round trips of an intake transaction": interval.trips_of(FILES),
        "round trips of a consumed batch": interval.trips_of(APPLIES),
    }


def places_of(counts: Mapping[Name, float], count: int) -> dict[str, dict[str, float]]:
    """Return each kind of count by table or topic, each per referral."""
    places: dict[str, dict[str, float]] = {}
    for name, total in counts.items():
        if name.place:
            places.setdefault(name.kind, {})[name.place] = total / count
    return places
