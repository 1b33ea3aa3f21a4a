"""The figures of the guard report, each with its limit from the design; one function per section. First the claim."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from shared.core.contracts.referral import ReferralSubmission
from shared.core.guard import as_kept, cost, inspect, parse_body
from shared.core.guard.budget import BUDGET
from shared.core.guard.charge import BYTE, ONE, shipped
from shared.core.guard.templates import templates
from shared.core.guard.url_redaction import kept
from tests.guard_report.attempts import STAGES, as_bytes, fuzzed, refusal
from tests.guard_report.channels import CHANNELS, charge_of, surplus_bits
from tests.guard_report.dearest import dearest, seconds
from tests.guard_report.hostile import structural
from tests.guard_report.keyed import fullest_record, largest_blob
from tests.guard_report.legitimate import submissions, typical
from tests.guard_report.lists import addresses_in
from tests.guard_report.positions import POSITIONS
from tests.guard_report.word_lists import WORDS
from tests.support.slow_charge import kraft_sums, shipped_draft

LEGITIMATE_SEED = 20260111


@dataclass(frozen=True)
class Figure:
    """One measured value. `bar` is the largest (or, with `at_least`, smallest) value that passes; None has no limit.

    `spread`: the values of which it is the median.
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


def sections(share: float, lists: Path | None = None) -> Iterator[Figure]:
    """Yield the whole report. `share`: the part of attempts, records and bodies (1 is all); `lists`: a folder."""
    yield from claim()
    yield from channels(round(40 * share) or 1)
    yield from capacity_found()
    yield from real_lists(lists)
    yield from scripts()
    yield from false_positives(round(20_000 * share))
    yield from speed(max(300, round(4_000 * share)), round(100_000 * share))
    yield from stages_removed()


def claim() -> Iterator[Figure]:
    """Yield the limit of a record and its proof: Kraft's inequality in every state of the model's machine."""
    draft, sums = shipped_draft(), list(kraft_sums(shipped()))
    yield Figure("claim: bits that a record can carry at most", 8 * BUDGET.everything, "bits", 8 * 4_096)
    yield Figure("claim: bits without its hashes", 8 * BUDGET.record, "bits", 8 * 1_536)
    yield Figure("claim: bits of one field", 8 * BUDGET.field, "bits", 8 * 320)
    yield Figure("model: entries", len(draft.costs), "", 65_536)
    yield Figure("model: contexts", len(draft.escapes), "")
    yield Figure("model: states of the machine", len(sums), "")
    yield Figure("model: states that do not obey Kraft's inequality", sum(total > ONE for total in sums), "", 0)


def channels(texts: int) -> Iterator[Figure]:
    """Measure random bytes in every encoding, in the path of an address: never more of them than were charged."""
    yield Figure("channels: encodings", len(CHANNELS), "")
    most = max(surplus_bits(encode, Random(f"{name}/{n}")) for name, encode in CHANNELS.items() for n in range(texts))
    yield Figure("channels: bits carried beyond those charged, at most", most, "bits", 32)


def capacity_found() -> Iterator[Figure]:
    """Measure random bytes, like encrypted content: the capacity of a record, and of one position."""
    fullest = max(fullest_record(Random(seed)).carried for seed in range(3))
    yield Figure("capacity: fullest accepted record", fullest, "bytes", 4_096)
    for position in POSITIONS:
        yield Figure(f"capacity: largest blob in {position}", largest_blob(position, Random(3)), "bytes", 1_536)


def real_lists(folder: Path | None) -> Iterator[Figure]:
    """Measure real addresses outside the model's data, list by list: over budget, and refused for another reason."""
    for name, addresses in addresses_in(folder):
        codes = [refusal_of(address) for address in addresses]
        over = sum(code == "guard_over_budget" for code in codes)
        yield Figure(f"list {name}: addresses", len(codes), "")
        yield Figure(f"list {name}: over budget, for a second person", 100 * over / len(codes), "%", 1.0)
        rest = sum(code is not None for code in codes) - over
        yield Figure(f"list {name}: refused", 100 * rest / len(codes), "%", 0.25)


def refusal_of(address: str) -> str | None:
    """Return the reason for the refusal of a record with this one address."""
    item = {"locator": {"kind": "url", "value": address}}
    return refusal(as_bytes(_BASE | {"items": [item]}))


_BASE: dict[str, Any] = next(iter(submissions(1, 3))) | {"subject_accounts": [], "correlations": []}


def scripts() -> Iterator[Figure]:
    """Measure titles in paths, in nineteen languages: the costliest, compared with languages in Latin letters."""
    dear = {}
    for language, words in WORDS.items():
        r = Random(language)
        titles = ("-".join(r.choices(words, k=5)) for _ in range(200))
        costs = sorted(charge_of(f"https://site.example/{quote(title)}", "url") / BYTE for title in titles)
        dear[language] = costs[int(0.99 * len(costs))]
    latin = max(dear[language] for language in _LATIN)
    for language in sorted(dear):
        yield Figure(f"scripts: 99th percentile of {language}", dear[language], "bytes", 2 * latin)


_LATIN = ("en", "de", "fr", "es", "pl", "tr", "pt", "vi", "id")


def false_positives(count: int) -> Iterator[Figure]:
    """Measure legitimate records that are over budget or refused, and their cost."""
    codes = [refusal(as_bytes(body)) for body in submissions(count, LEGITIMATE_SEED)]
    over = sum(code == "guard_over_budget" for code in codes)
    yield Figure("legitimate: records", count, "")
    yield Figure("legitimate: over budget", 100 * over / count, "%", 5.0)
    yield Figure("legitimate: refused", 100 * (sum(code is not None for code in codes) - over) / count, "%", 0.25)
    shown = [ReferralSubmission.model_validate(body) for body in submissions(min(count, 2_000), LEGITIMATE_SEED)]
    spent = sorted(cost(as_kept(each)).record / BYTE for each in shown)
    yield Figure("legitimate: a record without its hashes, median", spent[len(spent) // 2], "bytes")
    yield Figure("legitimate: a record without its hashes, 99th percentile", spent[int(0.99 * len(spent))], "bytes")
    rows = templates().rows
    yield Figure("templates: rows", len(rows), "")
    yield Figure("templates: services", len({host for row in rows for host in row.hosts}), "", 60, at_least=True)
    wrong = sum(kept(before).text != after for row in rows for before, after in row.examples)
    yield Figure("templates: examples that come out otherwise", wrong, "", 0)


def speed(count: int, fuzzed_count: int) -> Iterator[Figure]:
    """Measure the processor time of parsing, schema and guard together.

    `typical` are the most frequent records of hotlines.
    """
    rounds = _rounds(typical(count, 11))
    rates = [1 / statistics.fmean(times) for times in rounds]
    slow = [1_000 * sorted(times)[int(0.99 * len(times))] for times in rounds]
    yield Figure(
        "speed: typical record, a second and core", statistics.median(rates), "", 3_000.0, True, _spread(rates)
    )
    yield Figure("speed: typical record, 99th percentile", statistics.median(slow), "ms", 3.0, spread=_spread(slow))
    worst = 0.0
    for body in fuzzed(islice(submissions(400, 13), 400), fuzzed_count, seed=17):
        start = time.process_time()
        refusal(body)
        worst = max(worst, time.process_time() - start)
    yield Figure(f"speed: worst of {fuzzed_count} fuzzed bodies", 1_000 * worst, "ms", 10)
    times = {name: min(seconds(body) for _ in range(5)) for name, body in dearest()}
    dear = max(times, key=lambda name: times[name])
    yield Figure(f"speed: worst of {len(times)} dear bodies", 1_000 * times[dear], "ms", 10, spread=dear)


def stages_removed() -> Iterator[Figure]:
    """With every stage all limits hold; with one of these left out at least one limit is missed."""
    for stage in (None, "budget", "envelope", "schema"):
        stages = STAGES - {stage} if stage else STAGES
        figures = [
            Figure("structural accepted", structural_accepted(stages), "", 0),
            Figure("fullest record", fullest_record(Random(1), stages).carried, "bytes", 4_096),
        ]
        name = f"without {stage}" if stage else "with every stage"
        for figure in figures:
            yield Figure(f"{name}: {figure.name}", figure.value, figure.unit)
        missed = sum(1 for figure in figures if not figure.passes)
        yield Figure(f"{name}: bars missed", missed, "", 1 if stage else 0, at_least=stage is not None)


def structural_accepted(stages: frozenset[str]) -> int:
    """Return the number of structural requests that are accepted."""
    codes = [
        refusal(each.body, stages, content_type=each.content_type, encoding=each.headers.get("content-encoding"))
        for each in structural()
    ]
    return codes.count(None)


def _rounds(bodies: Iterable[dict[str, Any]]) -> list[list[float]]:
    """Run five rounds over the bodies that are accepted: the processor time of each body."""
    raw = [body for body in map(as_bytes, bodies) if refusal(body) is None]
    gc.collect()
    gc.freeze()  # objects of the report itself must not slow the guard
    return [[_seconds(body) for body in raw] for _ in range(5)]


def _seconds(body: bytes) -> float:
    start = time.process_time()
    inspect(as_kept(ReferralSubmission.model_validate(parse_body("application/json", None, body))))
    return time.process_time() - start


def _spread(values: list[float]) -> str:
    return f"median of {len(values)}, {min(values):,.2f} to {max(values):,.2f}"
