"""The steady run itself: it detects a test that fails while a core is busy, and it does burn one."""

from __future__ import annotations

import textwrap
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.acceptance import steady
from tests.acceptance.steady import one_round

PLANTED = """
    import os, pytest
    from pathlib import Path

    @pytest.mark.timing
    def test_steady():
        pass

    @pytest.mark.timing
    def test_unsteady():
        parent = os.getppid()
        beside = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        assert not any("while os.getppid() == parent" in Path(f"/proc/{pid}/cmdline").read_text() for pid in beside)

    def test_unmarked():
        raise AssertionError
"""


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    file = tmp_path / "test_planted.py"
    file.write_text(textwrap.dedent(PLANTED))
    return file


def test_every_marked_test_and_no_other_is_run_beside_a_burner(planted: Path, tmp_path: Path) -> None:
    count, failed = one_round([str(planted)], tmp_path / "report.xml")
    assert count == 2
    assert [name.rpartition("::")[2] for name in failed] == ["test_unsteady"]


def test_without_a_burner_it_would_pass(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    monkeypatch.setattr(steady, "a_busy_core", nullcontext)
    assert one_round([str(planted)], tmp_path / "report.xml") == (2, [])
