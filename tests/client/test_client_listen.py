"""`causeway listen`: each event once, from the stored place on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.core.ids import uuid7
from tests.client.fake_service import FakeService
from tests.client.prompt import Run


def happened(service: FakeService, count: int = 1, **more: Any) -> None:
    for _ in range(count):
        event = {"number": len(service.events) + 1, "type": "case.accept", "subject": str(uuid7())}
        service.events.append(event | {"at": "2026-05-04T12:00:00.000Z"} | more)


def numbers(out: str) -> list[int]:
    return [int(line.split("\t")[0]) for line in out.splitlines()]


def test_events_are_printed_one_a_line(run: Run, service: FakeService) -> None:
    happened(service, state="accepted", by="police-nl.example")
    happened(service)
    ended = run("listen", "--from", 0, "--limit", 2)
    first, second = (event["subject"] for event in service.events)
    assert ended.out.splitlines() == [
        f"1\t2026-05-04T12:00:00.000Z\tcase.accept\t{first}\taccepted\tpolice-nl.example",
        f"2\t2026-05-04T12:00:00.000Z\tcase.accept\t{second}",
    ]
    assert ended.code == 0


def test_json_is_the_event_as_it_came_with_its_epoch(run: Run, service: FakeService) -> None:
    happened(service, 2, newer="word")
    lines = [json.loads(line) for line in run("listen", "--from", 0, "--limit", 2, "--json").out.splitlines()]
    assert lines == [{"epoch": str(service.epoch), **event} for event in service.events]


def test_it_begins_with_what_comes_next(run: Run, service: FakeService) -> None:
    happened(service, 3)
    service.comes = lambda: happened(service)
    assert numbers(run("listen", "--limit", 2).out) == [4, 5]
    assert len(service.requests) == 3


def test_many_are_read_page_by_page_and_no_more_than_asked_for(run: Run, service: FakeService) -> None:
    happened(service, 450)
    assert numbers(run("listen", "--from", 10, "--limit", 430).out) == [*range(11, 441)]


def test_it_goes_on_from_its_file(run: Run, service: FakeService, tmp_path: Path) -> None:
    happened(service, 9)
    state = tmp_path / "feed.json"
    taken = [numbers(run("listen", "--from", 2, "--limit", count, "--state", state).out) for count in (3, 1, 3)]
    assert taken == [[3, 4, 5], [6], [7, 8, 9]]
    assert json.loads(state.read_text()) == {"epoch": str(service.epoch), "number": 9}


def test_a_file_of_another_epoch_is_refused_and_stays(run: Run, service: FakeService, tmp_path: Path) -> None:
    happened(service, 2)
    state = tmp_path / "feed.json"
    run("listen", "--from", 0, "--limit", 1, "--state", state)
    before, service.epoch = state.read_text(), uuid7()
    ended = run("listen", "--limit", 1, "--state", state)
    assert (ended.code, ended.out) == (1, "")
    assert "feed_began_anew" in ended.err
    assert "delete it" in ended.err
    assert state.read_text() == before


@pytest.mark.parametrize("text", ["", "[]", '{"epoch": "x", "number": 1}', '{"epoch": 1}'])
def test_a_file_that_is_none_of_ours_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    state = tmp_path / "feed.json"
    state.write_text(text)
    ended = run("listen", "--state", state)
    assert ended.code == 2
    assert "state_file_unreadable" in ended.err
    assert state.read_text() == text
