"""Log events and fields are closed lists, and external text never gets into them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.observability.logs import EVENTS, FIELDS, LEVELS, configure_logs, log
from tests.support.manual_clock import ManualClock

DOCUMENT = Path(__file__).parents[4] / "docs/operations/logs.md"
CLOCK_START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def written(write: Any, *, clock: ManualClock | None = None, level: Any = "info") -> list[dict[str, Any]]:
    stream = io.StringIO()
    configure_logs(instance="hotline", stream=stream, clock=clock or ManualClock(CLOCK_START), level=level)
    write()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_what_happened_where_and_when() -> None:
    lines = written(lambda: log("relay_waits", code="broker_unavailable", count=3))
    assert lines == [
        {
            "at": "2026-05-04T12:00:00.000Z",
            "code": "broker_unavailable",
            "count": 3,
            "event": "relay_waits",
            "instance": "hotline",
            "level": "warning",
        }
    ]


def test_a_line_below_the_level_is_not_written() -> None:
    assert written(lambda: log("service_started"), level="warning") == []
    assert len(written(lambda: log("service_started"))) == 1


def test_an_event_that_is_not_listed_is_reported_without_its_name() -> None:
    lines = written(lambda: structlog.get_logger().warning("a made-up event", url="x"))
    assert [line["event"] for line in lines] == ["log_line_broken"]
    assert "made-up" not in json.dumps(lines)


def test_a_field_that_is_not_listed_is_dropped_and_raises_an_alarm() -> None:
    line = written(lambda: structlog.get_logger().warning("relay_waits", url="x", code="c"))[0]
    assert line["fields_dropped"] == 1
    assert line["level"] == "error"
    assert line["code"] == "c"
    assert "url" not in line


@given(st.text(min_size=1).filter(lambda text: not re.fullmatch(r"[A-Za-z0-9._:/{}\-]{0,128}", text)))
def test_text_that_is_not_an_opaque_identifier_never_gets_into_a_line(text: str) -> None:
    line = written(lambda: log("relay_waits", code=text))[0]
    assert "code" not in line
    assert line["fields_dropped"] == 1


async def test_junk_of_one_sender_is_one_line_a_minute_with_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Any] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda *call: planned.append(call))
    stream = io.StringIO()
    configure_logs(instance="hotline", stream=stream, clock=ManualClock(CLOCK_START))
    for offset in range(300):
        log("record_alarm", code="signature_invalid", topic="a.inbox", partition=0, offset=offset)
    log("record_alarm", code="signature_invalid", topic="b.inbox", partition=0, offset=7)
    log("record_alarm", code="body_malformed", topic="a.inbox", partition=0, offset=8)
    for _ in range(3):
        log("relay_waits", code="broker_unavailable")
    at_once = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line.get("topic"), line.get("offset"), line.get("count")) for line in at_once] == [
        ("a.inbox", 0, None),
        ("b.inbox", 7, None),
        ("a.inbox", 8, None),
        *[(None, None, None)] * 3,
    ]
    assert {seconds for seconds, *_ in planned} == {60}
    for _, write, *arguments in planned[:3]:
        write(*arguments)
    later = [json.loads(line) for line in stream.getvalue().splitlines()][len(at_once) :]
    assert [(line["code"], line["topic"], line["offset"], line["count"]) for line in later] == [
        ("signature_invalid", "a.inbox", 299, 299)
    ]


def test_a_library_says_who_spoke_but_not_what() -> None:
    def speak() -> None:
        logging.getLogger("aiokafka.conn").error("secret value %s", "hunter2", exc_info=KeyError("hunter2"))

    lines = written(speak)
    assert [(line["library"], line["kind"], line["error"]) for line in lines] == [
        ("aiokafka.conn", "error", "KeyError")
    ]
    assert "hunter2" not in json.dumps(lines)


def test_a_library_that_floods_gets_one_line_per_ten_seconds_with_the_count() -> None:
    clock = ManualClock(CLOCK_START)

    def flood() -> None:
        for _ in range(1000):
            logging.getLogger("aiokafka").warning("gone")
            clock.advance(0.02)
        logging.getLogger("other").warning("also")

    lines = written(flood, clock=clock)
    assert [(line["library"], line["count"]) for line in lines] == [("aiokafka", 1), ("aiokafka", 500), ("other", 1)]


def test_a_library_is_heard_from_warning_on() -> None:
    assert written(lambda: logging.getLogger("uvicorn").info("chatter")) == []


def test_configuring_twice_does_not_double_the_lines_of_libraries() -> None:
    def twice() -> None:
        logging.getLogger("uvicorn").error("once")

    written(lambda: None)
    assert len(written(twice)) == 1


def test_every_event_and_field_is_documented_and_nothing_else_is() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (info|warning|error) \|", DOCUMENT.read_text(), re.MULTILINE)
    fields = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert dict(rows) == LEVELS
    assert LEVELS.keys() == EVENTS
    assert set(fields) == FIELDS | {"at", "event", "instance", "level", "trace_id", "fields_dropped"}
