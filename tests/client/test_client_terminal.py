"""The output for a user at a terminal: tables, bars, and progress in plain lines."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from client.cli import output
from client.cli.import_file import progress
from client.cli.shown import filled
from client.cli.verb_table import table
from client.problem import ApiProblem


def test_a_terminal_gets_a_table_in_which_cells_are_text_and_never_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table(("name", "value"), [("[bold]a[/bold]", "[link=https://h.example]b[/link]"), (None, 3)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["[bold]a[/bold]", "[link=https://h.example]b[/link]"]
    assert lines[2].split() == ["3"]


def test_a_flow_is_read_at_eighty_columns() -> None:
    place = {"topic": "causeway.inbox.law_enforcement.hotline.v1", "partition": 11, "offset": 123_456_789}
    digest = {"position": 1, "at": "2026-03-15T12:00:00Z", "digest": "ab" * 32}
    said = {"type": "causeway.referral_offered.v1", "sender": "hotline-nl.example", "recipient": "agency-nl.example"}
    messages = [place | digest | said | {"rules": ["nl-one"], "outcome": "applied"}, place | digest]
    templates = table()["groups"]["flow"]["verbs"][""]["lines"]
    lines = [filled(each, message).rstrip() for message in messages for each in templates]
    assert lines == [
        "2026-03-15T12:00:00.000Z  causeway.referral_offered.v1  applied",
        "  hotline-nl.example → agency-nl.example  nl-one",
        "  causeway.inbox.law_enforcement.hotline.v1/11/123456789  abababababab",
        "2026-03-15T12:00:00.000Z  unreadable",
        "  ? → ?",
        "  causeway.inbox.law_enforcement.hotline.v1/11/123456789  abababababab",
    ]
    assert max(map(len, lines)) <= 80


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


def test_a_time_that_is_none_is_no_answer() -> None:
    with pytest.raises(ApiProblem, match="unexpected_answer"):
        filled("{at:time}", {"at": "noon"})


class _Page(NamedTuple):
    items: list[int]
    next: str | None = None


@pytest.mark.parametrize(("pages", "limit", "is_cut"), [(1, 3, False), (1, 2, True), (2, 3, True), (2, 6, False)])
async def test_a_list_that_is_cut_off_says_so(
    capsys: pytest.CaptureFixture[str], pages: int, limit: int, is_cut: bool
) -> None:
    async def read() -> AsyncIterator[Any]:
        for page in range(pages):
            yield _Page([3 * page, 3 * page + 1, 3 * page + 2], "more" if page < pages - 1 else None)

    assert await output.first(read(), limit) == list(range(min(limit, 3 * pages)))
    assert ("there are more: give a higher --limit" in capsys.readouterr().err) is is_cut
