"""The figures of the guard report on a seeded sample: all limits hold, and every stage is needed for that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.guard_report import measures
from tests.guard_report.__main__ import main
from tests.guard_report.attempts import STAGES, as_bytes, fuzzed, refusal
from tests.guard_report.dearest import dearest, seconds
from tests.guard_report.keyed import fullest_record, largest_blob
from tests.guard_report.legitimate import submissions
from tests.guard_report.measures import Figure, structural_accepted
from tests.guard_report.positions import POSITIONS

DEAREST = dict(dearest())
Record = Callable[[str, object], None]


def test_the_claim_holds_and_no_script_is_dearer_than_twice_latin(record_property: Record) -> None:
    figures = [*measures.claim(), *measures.scripts(), *measures.channels(1)]
    assert [figure.name for figure in figures if not figure.passes] == []
    surplus = next(figure.value for figure in figures if figure.name.startswith("channels: bits"))
    record_property("figure", f"at most {surplus:.0f} bits carried beyond those charged")


@pytest.mark.parametrize("position", POSITIONS)
def test_no_place_takes_more_encrypted_bytes_than_a_record_may_carry(position: str) -> None:
    assert largest_blob(position, Random(3)) <= 1_536


def test_bytes_in_the_structure_of_a_request_are_refused() -> None:
    assert structural_accepted(STAGES) == 0


@pytest.mark.parametrize("stage", ["envelope", "schema"])
def test_without_this_stage_structure_brings_bytes_in(stage: str) -> None:
    assert structural_accepted(STAGES - {stage}) > 0


def test_no_record_carries_more_than_four_kibibytes_of_encrypted_bytes(record_property: Record) -> None:
    fullest = fullest_record(Random(2)).carried
    assert fullest <= 4_096
    record_property("figure", f"fullest keyed record {fullest:,} bytes")


def test_legitimate_records_are_refused_hardly_ever() -> None:
    """The report measures the limits on 20,000. In a sample, at most one in twenty waits for a second reviewer."""
    refused = [code for body in submissions(400, seed=20260111) if (code := refusal(as_bytes(body)))]
    assert refused.count("guard_over_budget") <= 20, refused
    assert len(refused) - refused.count("guard_over_budget") <= 2, refused


def test_fuzzed_bodies_are_accepted_or_refused_with_a_code() -> None:
    codes = {refusal(body) for body in fuzzed(submissions(40, seed=13), 3_000, seed=17)}
    assert len(codes) > 8
    assert all(code is None or code == "schema" or code.startswith(("body_", "guard_")) for code in codes)


@pytest.mark.timing
@pytest.mark.parametrize("name", DEAREST)
def test_the_guard_of_the_dearest_bodies_takes_ten_milliseconds_at_most(name: str, record_property: Record) -> None:
    least = min(seconds(DEAREST[name]) for _ in range(5))
    assert least <= 0.010
    record_property("figure", f"{1_000 * least:.1f} ms of processor time")


def test_the_report_prints_every_figure_and_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held, missed = Figure("held", 1.0, "%", 2.0), Figure("missed", 3.0, "%", 2.0)
    monkeypatch.setattr(measures, "sections", lambda share, lists: iter([held]))
    assert main(["--json", str(tmp_path / "figures.json")]) == 0
    assert [figure["name"] for figure in json.loads((tmp_path / "figures.json").read_text())] == ["held"]
    monkeypatch.setattr(measures, "sections", lambda share, lists: iter([held, missed]))
    assert main([]) == 1
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["ok", "ok", "MISSED"]
