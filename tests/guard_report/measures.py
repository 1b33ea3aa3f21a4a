"""The figures of the guard report, each with its bar from the design; one function per section."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

from pydantic import ValidationError

from shared.contracts.referral import ReferralSubmission
from shared.guard import inspect, parse_body
from shared.kernel.errors import Refused
from tests.guard_report.attempts import STAGES, as_bytes, fuzzed, refusal, smuggle
from tests.guard_report.encodings import ENCODINGS
from tests.guard_report.held_out import HELD_OUT
from tests.guard_report.keyed import fullest_record, largest_blob
from tests.guard_report.legitimate import submissions, typical
from tests.guard_report.payloads import payloads
from tests.guard_report.positions import POSITIONS
from tests.guard_report.structural import structural
from tests.guard_report.varied import VARIED

LEGITIMATE_SEED, ATTACK_SEED = 20260111, 7


@dataclass(frozen=True)
class Figure:
    """One measured value. `bar` is the largest (or, with `at_least`, smallest) value that passes; None has no bar."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False

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


def attacks(share: float) -> Iterator[Figure]:
    """The three sets of encodings: known to the recogniser, unknown to it, and written after everything was frozen."""
    sets = (("known", ENCODINGS, 0.5), ("varied", VARIED, None), ("held-out", HELD_OUT, 5.0))
    for name, encodings, bar in sets:
        tally = smuggle(payloads(), encodings, share=share, seed=ATTACK_SEED)
        yield Figure(f"{name}: encodings", len(encodings), "")
        yield Figure(f"{name}: attempts", tally.attempts, "")
        yield Figure(f"{name}: attempts whose position has room for the payload", tally.fitting, "")
        yield Figure(f"{name}: of these accepted with all of it", tally.share_whole, "%", bar)
        yield Figure(f"{name}: of all attempts accepted with >= 35 bytes of it", tally.share_any, "%")
        yield Figure(
            f"{name}: of all attempts accepted with >= 300 bytes of it", 100 * tally.large / tally.attempts, "%"
        )
        yield Figure(
            f"{name}: most payload in one field that is not a query", tally.single_field_bytes_max, "bytes", 299
        )


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
    times = sorted(_seconds(typical(count, 11)))
    yield Figure("speed: typical records per second and core", 1 / statistics.fmean(times), "", 3_000, at_least=True)
    yield Figure("speed: typical record, 99th percentile", 1_000 * times[int(0.99 * len(times))], "ms", 3)
    times = sorted(_seconds(submissions(count, 12)))
    yield Figure("speed: record of the legitimate corpus, mean", 1_000 * statistics.fmean(times), "ms")
    yield Figure("speed: record of the legitimate corpus, 99th percentile", 1_000 * times[int(0.99 * len(times))], "ms")
    worst = 0.0
    for body in fuzzed(islice(submissions(400, 13), 400), fuzzed_count, seed=17):
        start = time.process_time()
        refusal(body)
        worst = max(worst, time.process_time() - start)
    yield Figure(f"speed: worst of {fuzzed_count} fuzzed bodies", 1_000 * worst, "ms", 100)


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


def _seconds(bodies: Iterable[dict[str, Any]]) -> list[float]:
    """Processor time per accepted body: the least of five runs, because other programs only ever add to it."""
    raw = [as_bytes(body) for body in bodies]
    gc.collect()
    least: dict[int, float] = {}
    for _ in range(5):
        for number, body in enumerate(raw):
            start = time.process_time()
            try:
                inspect(ReferralSubmission.model_validate(parse_body("application/json", None, body)))
            except (Refused, ValidationError):
                continue
            least[number] = min(least.get(number, 1.0), time.process_time() - start)
    return list(least.values())
