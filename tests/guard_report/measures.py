"""The figures of the guard report, each with its bar from the design; one function per section."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from random import Random
from typing import Any

from deploy.sample.generator import SampledReferral, sample_referrals
from shared.contracts.referral import ReferralSubmission
from shared.guard import inspect, parse_body
from tests.guard_report.attempts import SINGLE_FIELD_POSITIONS, STAGES, as_bytes, fuzzed, refusal, smuggle
from tests.guard_report.encodings import ENCODINGS
from tests.guard_report.held_out import HELD_OUT
from tests.guard_report.keyed import fullest_record, largest_blob
from tests.guard_report.legitimate import submissions, typical
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import POSITIONS, Position
from tests.guard_report.second_held_out import SECOND_HELD_OUT
from tests.guard_report.structural import structural
from tests.guard_report.varied import VARIED
from tests.guard_report.varied_places import FURTHER_POSITIONS, MORE_VARIED

LEGITIMATE_SEED, ATTACK_SEED = 20260111, 7


@dataclass(frozen=True)
class Figure:
    """One measured value. `bar` is the largest (or, with `at_least`, smallest) value that passes; None has no bar.

    `spread` says of which values it is the median.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    spread: str = ""

    @property
    def passes(self) -> bool:
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def sections(share: float) -> Iterator[Figure]:
    """The whole report, with `share` of the attempts, records and bodies (1 is all)."""
    yield from attacks(share)
    yield from structure()
    yield from capacity_found()
    yield from false_positives(round(20_000 * share))
    yield from speed(max(300, round(4_000 * share)), round(100_000 * share))
    yield from stages_removed(share / 8)


Encodings = Mapping[str, Callable[[bytes], str]]


def attacks(share: float) -> Iterator[Figure]:
    """The sets of encodings: known to the recogniser, looked at later, and two that nothing was ever tuned on."""
    sets: tuple[tuple[str, Encodings, Mapping[str, Position], float | None], ...] = (
        ("known", ENCODINGS, POSITIONS, 0.5),
        ("varied", VARIED, POSITIONS, None),
        ("more varied, all places", MORE_VARIED, POSITIONS | FURTHER_POSITIONS, None),
        ("held-out", HELD_OUT, POSITIONS, 5.0),
        ("held-out 2", SECOND_HELD_OUT, POSITIONS, 5.0),
        ("held-out 2, further places", SECOND_HELD_OUT, FURTHER_POSITIONS, None),
    )
    for name, encodings, positions, bar in sets:
        tally = smuggle(payloads(), encodings, share=share, seed=ATTACK_SEED, positions=positions)
        yield Figure(f"{name}: encodings", len(encodings), "")
        yield Figure(f"{name}: attempts", tally.attempts, "")
        yield Figure(f"{name}: attempts whose position has room for the payload", tally.fitting, "")
        yield Figure(f"{name}: of these accepted with all of it", tally.share_whole, "%", bar)
        yield Figure(f"{name}: of all attempts accepted with >= 35 bytes of it", tally.share_any, "%")
        yield Figure(
            f"{name}: of all attempts accepted with >= 300 bytes of it", 100 * tally.large / tally.attempts, "%"
        )
        if not SINGLE_FIELD_POSITIONS.isdisjoint(positions):
            most = tally.single_field_bytes_max
            yield Figure(f"{name}: most payload in one field that is not a query", most, "bytes", 299)


def capacity_found() -> Iterator[Figure]:
    """Random bytes, as encryption makes them: what fits in a record, and in one position."""
    fullest = max(fullest_record(Random(seed))[0] for seed in range(3))
    yield Figure("keyed: fullest accepted record", fullest, "bytes", 4_096)
    for position in POSITIONS:
        yield Figure(f"keyed: largest blob in {position}", largest_blob(position, Random(3)), "bytes")


def structure() -> Iterator[Figure]:
    """Bytes in the structure of the request instead of in a field."""
    yield Figure("structural: requests", len(structural()), "")
    yield Figure("structural: accepted", structural_accepted(STAGES), "", 0)


def false_positives(count: int) -> Iterator[Figure]:
    """Legitimate records that are refused."""
    refused = sum(1 for body in submissions(count, LEGITIMATE_SEED) if refusal(as_bytes(body)) is not None)
    yield Figure("legitimate: records", count, "")
    yield Figure("legitimate: refused", 100 * refused / count, "%", 0.1)


def speed(count: int, fuzzed_count: int) -> Iterator[Figure]:
    """Processor time of parsing, schema and guard together. `typical` are records as hotlines send them most."""
    for name, bodies, bar in (
        ("sampled record", (each.referral for each in _sampled(count)), None),
        ("typical record", typical(count, 11), 3_000.0),
        ("record of the legitimate corpus", submissions(count, 12), None),
    ):
        rounds = _rounds(bodies)
        rates = [1 / statistics.fmean(times) for times in rounds]
        slow = [1_000 * sorted(times)[int(0.99 * len(times))] for times in rounds]
        p99_bar = None if bar is None else 3.0
        yield Figure(f"speed: {name}, a second and core", statistics.median(rates), "", bar, True, _spread(rates))
        yield Figure(f"speed: {name}, 99th percentile", statistics.median(slow), "ms", p99_bar, spread=_spread(slow))
    worst = 0.0
    for body in fuzzed(islice(submissions(400, 13), 400), fuzzed_count, seed=17):
        start = time.process_time()
        refusal(body)
        worst = max(worst, time.process_time() - start)
    yield Figure(f"speed: worst of {fuzzed_count} fuzzed bodies", 1_000 * worst, "ms", 100)


def _sampled(count: int) -> Iterable[SampledReferral]:
    return sample_referrals(start=date(2026, 3, 15), end=date(2026, 4, 20), count=count, seed=7, dirty=0.0)


def stages_removed(share: float) -> Iterator[Figure]:
    """With every stage all bars hold; with one left out, whichever it is, at least one bar is missed."""
    for stage in (None, *sorted(STAGES)):
        stages = STAGES - {stage} if stage else STAGES
        known = smuggle(payloads(), ENCODINGS, share=share, seed=ATTACK_SEED, stages=stages)
        unseen = smuggle(payloads(), HELD_OUT, share=share, seed=ATTACK_SEED, stages=stages)
        figures = [
            Figure("known encodings accepted", known.share_whole, "%", 0.5),
            Figure("held-out encodings accepted", unseen.share_whole, "%", 5.0),
            Figure("structural accepted", structural_accepted(stages), "", 0),
            Figure("fullest record", fullest_record(Random(1), stages)[0], "bytes", 4_096),
        ]
        name = f"without {stage}" if stage else "with every stage"
        for figure in figures:
            yield Figure(f"{name}: {figure.name}", figure.value, figure.unit)
        missed = sum(1 for figure in figures if not figure.passes)
        yield Figure(f"{name}: bars missed", missed, "", 1 if stage else 0, at_least=stage is not None)


def structural_accepted(stages: frozenset[str]) -> int:
    """How many of the structural requests are accepted."""
    return sum(
        1
        for q in structural().values()
        if refusal(q.body, stages, content_type=q.content_type, encoding=q.encoding) is None
    )


def _rounds(bodies: Iterable[dict[str, Any]]) -> list[list[float]]:
    """Five rounds over the bodies that are accepted: the processor time of each body."""
    raw = [body for body in map(as_bytes, bodies) if refusal(body) is None]
    gc.collect()
    gc.freeze()  # what the report itself holds is no burden of the guard's
    return [[_seconds(body) for body in raw] for _ in range(5)]


def _seconds(body: bytes) -> float:
    start = time.process_time()
    inspect(ReferralSubmission.model_validate(parse_body("application/json", None, body)))
    return time.process_time() - start


def _spread(values: list[float]) -> str:
    return f"median of {len(values)}, {min(values):,.2f} to {max(values):,.2f}"
