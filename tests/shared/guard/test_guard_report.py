"""The figures of the guard report on a seeded sample: the bars hold, and every stage is what makes them hold."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guard_report.attempts import STAGES, Tally, as_bytes, fuzzed, refusal, smuggle
from tests.guard_report.encodings import ENCODINGS
from tests.guard_report.held_out import HELD_OUT
from tests.guard_report.keyed import fullest_record
from tests.guard_report.legitimate import submissions
from tests.guard_report.payloads import payloads
from tests.guard_report.structural import structural
from tests.guard_report.varied import VARIED

SEED = 7


@functools.cache
def tally(name: str, without: str = "") -> Tally:
    sets = {"known": (ENCODINGS, 0.06), "held-out": (HELD_OUT, 0.1)}
    encodings, share = sets[name]
    return smuggle(payloads(), encodings, share=share, seed=SEED, stages=STAGES - {without})


def structural_accepted(without: str = "") -> list[str]:
    stages = STAGES - {without}
    return [n for n, q in structural().items() if refusal(q.body, stages, q.content_type, q.encoding) is None]


def test_known_encodings_bring_in_at_most_half_a_per_cent() -> None:
    assert tally("known").fitting > 1_500
    assert tally("known").share_whole <= 0.5


def test_encodings_never_seen_bring_in_at_most_five_per_cent() -> None:
    assert tally("held-out").fitting > 1_500
    assert tally("held-out").share_whole <= 5.0


def test_no_single_field_but_a_query_brings_in_300_bytes() -> None:
    assert max(tally(name).single_field_bytes_max for name in ("known", "held-out")) < 300


def test_the_held_out_encodings_are_none_of_the_others() -> None:
    assert len(HELD_OUT) >= 30
    assert not set(HELD_OUT) & (set(ENCODINGS) | set(VARIED))
    sample = payloads()["jpeg_noise"]
    others = {encode(sample) for encode in (*ENCODINGS.values(), *VARIED.values())}
    assert not others & {encode(sample) for encode in HELD_OUT.values()}


def test_bytes_in_the_structure_of_a_request_are_refused() -> None:
    assert structural_accepted() == []


@pytest.mark.parametrize("stage", ["envelope", "schema", "recognise"])
def test_without_this_stage_structure_brings_bytes_in(stage: str) -> None:
    assert structural_accepted(stage)


@pytest.mark.parametrize("stage", ["rules", "capacity", "recognise"])
def test_without_this_stage_more_gets_in(stage: str) -> None:
    with_all = tally("known").accepted_whole + tally("held-out").accepted_whole
    without = tally("known", stage).accepted_whole + tally("held-out", stage).accepted_whole
    assert without > 1.2 * with_all
    assert tally("known", stage).share_whole > 0.5 or tally("held-out", stage).share_whole > 5.0


def test_no_record_carries_more_than_four_kibibytes_of_encrypted_bytes() -> None:
    assert fullest_record(__import__("random").Random(2))[0] <= 4_096


def test_legitimate_records_are_refused_at_most_once_in_a_thousand() -> None:
    refused = [code for body in submissions(2_000, seed=20260111) if (code := refusal(as_bytes(body)))]
    assert len(refused) <= 2, refused


def test_fuzzed_bodies_are_accepted_or_refused_with_a_code() -> None:
    codes = {refusal(body) for body in fuzzed(submissions(40, seed=13), 1_500, seed=17)}
    assert len(codes) > 8
    assert all(code is None or code == "schema" or code.startswith(("body_", "guard_")) for code in codes)


def test_the_report_prints_every_figure_and_writes_them(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.guard_report", "--share", "0.002", "--json", str(written)]
    printed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    figures = json.loads(written.read_text())
    assert printed.returncode in (0, 1), printed.stderr
    assert {figure["name"] for figure in figures} >= {"keyed: fullest accepted record", "legitimate: refused"}
    assert all(figure["name"] in printed.stdout for figure in figures)
