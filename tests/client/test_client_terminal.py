"""What a person at a terminal sees: tables, bars, and progress in plain lines."""

from __future__ import annotations

import sys

import pytest

from client.cli import output
from client.cli.progress import progress


def test_a_terminal_gets_a_table_in_which_cells_are_text_and_never_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table(("name", "value"), [("[bold]a[/bold]", "[link=https://h.example]b[/link]"), (None, 3)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["[bold]a[/bold]", "[link=https://h.example]b[/link]"]
    assert lines[2].split() == ["3"]


def test_an_id_is_copied_whole_from_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    ids = ["019ab0e5-1111-7111-8111-111111111111", "019ab0e5-2222-7111-8111-111111111111"]
    output.table(("referral", "a", "b"), [(each, "x " * 40, "provider-026.example " * 4) for each in ids])
    shown = capsys.readouterr().out
    assert all(each in shown for each in ids)
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("imported", 200) as told:
        told(100, 1)
        told(200, 2)
    shown = capsys.readouterr()
    assert "imported, 2 refused" in shown.err
    assert "200/200" in shown.err
    assert shown.out == ""


def test_plain_progress_of_a_long_file_is_about_twenty_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("imported", 100_000) as told:
        for line in range(100, 100_001, 100):
            told(line, 0)
    assert len(capsys.readouterr().err.splitlines()) == 20
