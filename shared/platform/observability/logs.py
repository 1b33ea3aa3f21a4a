"""Logs: JSON lines, one event each, whose names and fields are closed lists (`docs/operations/logs.md`).

Text never comes from outside: values are counts and opaque identifiers. The message of a library's line is dropped,
because it may quote input. Its logger, level and count remain.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, Literal, TextIO, TypedDict, Unpack, cast, get_args

import structlog

from shared.core.clock import Clock, SystemClock, rfc3339

Level = Literal["info", "warning", "error"]
_Info = Literal[
    "decided_again",
    "document_placed",
    "edges_issued",
    "edges_reissued",
    "law_reviewed",
    "referral_amended",
    "service_started",
    "service_stopped",
]
_Warning = Literal[
    "access_refused",
    "answer_untold",
    "batch_redone",
    "broker_waits",
    "consumer_waits",
    "decision_waits",
    "document_ages",
    "edges_dropped",
    "endings_wait",
    "law_aged",
    "lease_waits",
    "library_spoke",
    "locations_wait",
    "proxy_unnamed",
    "question_waits",
    "referrals_expired",
    "relay_waits",
    "topic_read_again",
    "upkeep_waits",
    "webhook_waits",
    "withdrawal_untold",
    "withdrawal_waits",
]
_Error = Literal[
    "api_keys_unread",
    "batch_failed",
    "beat_refused",
    "bus_restarted",
    "child_at_risk_waits",
    "clock_set_aside",
    "document_refused",
    "incarnation_opened",
    "intake_failed",
    "log_line_broken",
    "part_failed",
    "party_alarm",
    "process_ended",
    "record_alarm",
    "records_lost",
    "referral_undecidable",
    "request_failed",
    "subject_set_aside",
    "topic_lost_its_end",
    "webhook_paused",
]
#: A line before it is written.
_Line = MutableMapping[str, Any]
EventName = _Info | _Warning | _Error


class Fields(TypedDict, total=False):
    """Every field a line may have. Texts are opaque: a code, a name from our own source, or an identifier."""

    code: str
    count: int
    digest: str
    edge: str
    error: str
    instrument: str
    kind: str
    library: str
    message_id: str
    offset: int
    part: str
    party: str
    partition: int
    peer: str
    request_id: str
    route: str
    source: str
    subject: str
    topic: str


_BY_LEVEL: Final[Mapping[Level, object]] = {"info": _Info, "warning": _Warning, "error": _Error}
LEVELS: Final[Mapping[EventName, Level]] = {
    event: level for level, events in _BY_LEVEL.items() for event in get_args(events)
}
EVENTS: Final = frozenset(LEVELS)
FIELDS: Final = frozenset(Fields.__annotations__)

#: The interval between two lines of a library and level: aiokafka alone writes 75 a second while a broker is down.
LIBRARY_INTERVAL_S: Final = 10.0

#: The interval between two lines of a `REPEATED` event, topic, code, error and source. A sender of junk could cause any
#: number. Beyond `REPEATED_MAX` different ones in an interval, further sources share one line.
REPEATED_INTERVAL_S: Final = 60.0
REPEATED_MAX: Final = 1_000
REPEATED: Final[frozenset[EventName]] = frozenset({"access_refused", "record_alarm"})

_OPAQUE = re.compile(r"[A-Za-z0-9._:/{}\-]{0,128}")
_SEVERITY: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def log(event: EventName, **fields: Unpack[Fields]) -> None:
    """Write one line. Its level is the event's own (`LEVELS`)."""
    structlog.get_logger().log(_SEVERITY[LEVELS[event]], event, **fields)


def configure_logs(
    *,
    instance: str,
    level: Level = "info",
    stream: TextIO | None = None,
    clock: Clock | None = None,
    trace_id: Callable[[], str | None] = lambda: None,
) -> None:
    """Write logs to `stream` (standard error), and replace the lines of libraries.

    `trace_id` returns the trace of the code that writes a line, if there is one.
    """
    clock = clock or SystemClock()
    structlog.configure(
        processors=[
            _closed,
            _RepeatCounter(),
            _Stamp(instance, clock, trace_id),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_SEVERITY[level]),
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, LibraryHandler):
            root.removeHandler(handler)
    root.addHandler(LibraryHandler(clock))
    root.setLevel(logging.WARNING)


class LibraryHandler(logging.Handler):
    """A handler that turns lines of the standard library's logging into `library_spoke`: logger and count, no text."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._last_s: dict[tuple[str, int], float] = {}
        self._held: dict[tuple[str, int], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        key = record.name, record.levelno
        count = self._held[key] = self._held.get(key, 0) + 1
        now_s = self._clock.now().timestamp()
        if now_s - self._last_s.get(key, -LIBRARY_INTERVAL_S) < LIBRARY_INTERVAL_S:
            return
        self._last_s[key], self._held[key] = now_s, 0
        error = record.exc_info[0] if record.exc_info else None
        fields: Fields = {"library": record.name, "kind": record.levelname.lower(), "count": count}
        if error is not None:
            fields["error"] = error.__name__
        with suppress(OSError, ValueError):  # a closed stream must not break the library that logs
            log("library_spoke", **fields)


def _closed(_logger: object, _method: str, line: _Line) -> _Line:
    """Keep only listed events and fields, and only opaque values. The rest is counted, never written."""
    event = line.pop("event", None)
    kept = {name: value for name, value in line.items() if name in FIELDS and _is_opaque(value)}
    dropped = len(line) - len(kept)
    if event not in EVENTS:
        return {"event": "log_line_broken", "count": len(line) + 1}
    if dropped:
        kept["fields_dropped"] = dropped
    return {"event": event} | kept


def _is_opaque(value: object) -> bool:
    if isinstance(value, str):
        return _OPAQUE.fullmatch(value) is not None
    return isinstance(value, int | float)


class _RepeatCounter:
    """A filter that passes the first line of a repeated event, and one a minute with the count of later ones."""

    def __init__(self) -> None:
        self._later: dict[tuple[object, ...], Fields] = {}

    def __call__(self, _logger: object, _method: str, line: _Line) -> _Line:
        event = line["event"]
        if event not in REPEATED:
            return line
        key = event, line.get("topic"), line.get("code"), line.get("error"), line.get("source")
        if key not in self._later and len(self._later) >= REPEATED_MAX:
            line["source"] = "others"
            key = (*key[:-1], "others")
        if key not in self._later:
            with suppress(RuntimeError):  # without a running loop every line passes
                asyncio.get_running_loop().call_later(REPEATED_INTERVAL_S, self._write, event, key)
                self._later[key] = {}
            return line
        fields = {name: value for name, value in line.items() if name != "event"}
        count = self._later[key].get("count", 0) + line.get("count", 1)
        self._later[key] = cast(Fields, fields | {"count": count})
        raise structlog.DropEvent

    def _write(self, event: EventName, key: tuple[object, ...]) -> None:
        if later := self._later.pop(key):
            log(event, **later)


class _Stamp:
    """A processor that adds time, instance, level and trace to a line."""

    def __init__(self, instance: str, clock: Clock, trace_id: Callable[[], str | None]) -> None:
        self._instance = instance
        self._clock = clock
        self._trace_id = trace_id

    def __call__(self, _logger: object, _method: str, line: _Line) -> _Line:
        line["at"] = rfc3339(self._clock.now())
        line["instance"] = self._instance
        line["level"] = "error" if line.get("fields_dropped") else LEVELS[line["event"]]
        if (trace_id := self._trace_id()) is not None:
            line["trace_id"] = trace_id
        return line
