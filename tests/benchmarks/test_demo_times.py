"""The comparison of two checkouts takes turns, and judges by the ratio of medians."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import demo_times
from tests.benchmarks.demo_times import Times, alternated, main, ratio

HERE, OTHER = Path("here"), Path("other")


def test_each_round_runs_both_the_other_way_round_each_time() -> None:
    turns: list[str] = []

    def timed(checkout: Path) -> Times:
        turns.append(checkout.name)
        return {"whole": float(len(turns))}

    ours, theirs = alternated(HERE, OTHER, rounds=3, timed=timed)
    assert turns == ["here", "other", "other", "here", "here", "other"]
    assert [each["whole"] for each in ours] == [1, 4, 5]
    assert [each["whole"] for each in theirs] == [2, 3, 6]


def test_one_slow_run_does_not_move_the_ratio() -> None:
    ours, theirs = ([{"whole": seconds} for seconds in times] for times in ((60.0, 900.0, 66.0), (60.0, 60.0, 55.0)))
    assert ratio("whole", ours, theirs) == pytest.approx(1.1)


@pytest.mark.parametrize(("ours_s", "code"), [(114.0, 0), (116.0, 1)])
def test_more_than_is_allowed_is_an_error(
    ours_s: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    monkeypatch.setattr(demo_times, "HERE", tmp_path)
    taken = {tmp_path: ours_s}
    monkeypatch.setattr(demo_times, "demo_times", lambda checkout: {"whole": taken.get(checkout, 100.0)})
    other = tmp_path / "other"
    (other / ".venv").mkdir(parents=True)
    (other / ".venv" / ".ready").touch()
    monkeypatch.setattr("sys.argv", ["demo_times", str(other)])
    assert main() == code
    assert f"{ours_s:.1f} s here, 100.0 s there" in capsys.readouterr().out


def test_a_checkout_that_is_not_set_up_is_a_wrong_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["demo_times", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
