"""Traces: OpenTelemetry spans with closed lists of names and attributes (`docs/operations/traces.md`).

Without telemetry, a span costs one comparison. Each message between instances has its own trace, so that a reader of
two messages cannot see that one referral caused both. Only their origin has the links back (`message_traceparent`), and
audit, whose facts have the trace of their cause. Each consumed batch begins its own trace with a link to that of every
record.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

from google.protobuf.json_format import MessageToDict
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace import use_span as _use_span
from opentelemetry.util.types import Attributes as OtelAttributes

from shared.core.errors import CausewayError

SpanName = Literal["batch.consume", "batch.publish", "http.request", "message.create"]
Attributes = TypedDict(
    "Attributes",
    {
        "batch_records": int,
        "error.code": str,
        "error.type": str,
        "http.request.method": str,
        "http.response.status_code": int,
        "http.route": str,
    },
    total=False,
)

#: Links of one span; a batch may hold more records than that.
LINKS_MAX: Final = 128

_TRACES: Final = "/v1/traces"  # OTLP over HTTP, specification: a base address and the path of the signal
_HEADER: Final = "traceparent"  # W3C Trace Context §3.2; `shared.core.envelope.headers` writes it
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_KINDS: Final = {
    "batch.consume": SpanKind.CONSUMER,
    "batch.publish": SpanKind.PRODUCER,
    "http.request": SpanKind.SERVER,
    "message.create": SpanKind.PRODUCER,
}


class _State:
    """The process's one tracer; None while telemetry is off."""

    tracer: trace.Tracer | None = None
    provider: TracerProvider | None = None


class SpanNotes:
    """Attributes for a running span that are only known later."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def add(self, attributes: Attributes) -> None:
        if self._span is not None:
            for name, value in attributes.items():
                self._span.set_attribute(name, value)  # type: ignore[arg-type]


def configure_telemetry(
    *, instance: str, sampling_ratio: float, otlp_endpoint: str | None = None, spans_file: Path | None = None
) -> None:
    """Record `sampling_ratio` of new traces, and all traces whose caller records them; send them to the given targets.

    With neither an endpoint (OTLP over HTTP) nor a file, telemetry is off. The file gets one line of OTLP JSON per
    span at once: for tests and diagnosis, not for load.
    """
    close_telemetry()
    if otlp_endpoint is None and spans_file is None:
        return
    provider = TracerProvider(
        resource=Resource.create({"service.name": instance}), sampler=ParentBased(_LinkedOrRatio(sampling_ratio))
    )
    if otlp_endpoint is not None:
        # OTLP sends spans to a path below a base address; an address with that path stays unchanged.
        address = f"{otlp_endpoint.removesuffix(_TRACES).rstrip('/')}{_TRACES}"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    if spans_file is not None:
        provider.add_span_processor(SimpleSpanProcessor(FileExporter(spans_file)))
    _State.provider, _State.tracer = provider, provider.get_tracer("causeway")


def close_telemetry() -> None:
    """Send the waiting spans, and turn telemetry off."""
    if _State.provider is not None:
        _State.provider.shutdown()
    _State.provider = _State.tracer = None


@contextmanager
def span(name: SpanName, *, links: Sequence[str] = (), attributes: Attributes | None = None) -> Iterator[SpanNotes]:
    """Open a span around the block, in the present trace, or with `links` in a new trace.

    `links` are `traceparent` texts; malformed ones are ignored. An exception adds its code or class to the span, never
    its text.
    """
    tracer = _State.tracer
    if tracer is None:
        yield SpanNotes(None)
        return
    # A batch belongs to many traces, so it always begins a new one.
    context = Context() if links else None
    contexts = [found for text in links[:LINKS_MAX] if (found := _span_context(text)) is not None]
    started = tracer.start_span(
        name,
        context,
        kind=_KINDS[name],
        links=[Link(each) for each in contexts],
        attributes=dict(attributes or {}),  # type: ignore[arg-type]
    )
    with _use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield SpanNotes(started)
        except BaseException as error:
            code: Attributes = {"error.code": error.code} if isinstance(error, CausewayError) else {}
            SpanNotes(started).add({"error.type": type(error).__name__, **code})
            started.set_status(Status(StatusCode.ERROR))
            raise


def current_traceparent() -> str | None:
    """Return the present span as a `traceparent` header (W3C Trace Context §3.2), or None without a recorded one."""
    context = trace.get_current_span().get_span_context() if _State.tracer is not None else None
    if context is None or not context.is_valid or not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_trace_id() -> str | None:
    """Return the present trace's id, 32 hexadecimal digits, or None without a recorded one."""
    traceparent = current_traceparent()
    return None if traceparent is None else traceparent[3:35]


def traceparents(headers: Iterable[Sequence[tuple[str, bytes | None]]]) -> list[str]:
    """Return the unverified `traceparent` headers of records, for telemetry only. Returns none while it is off."""
    if _State.tracer is None:
        return []
    return [
        value.decode("ascii", "replace")
        for each in headers
        for name, value in each
        if name == _HEADER and value is not None
    ]


def message_traceparent(cause: str | None) -> str | None:
    """Return the `traceparent` of a message to another instance: a new trace, whose first span links to `cause`.

    The link stays in this process's own telemetry, and the message does not reveal `cause`. Returns None if `cause` is
    not recorded.
    """
    if cause is None:
        return None
    with span("message.create", links=[cause]):
        return current_traceparent()


class FileExporter(SpanExporter):
    """An exporter that appends spans to a file, one OTLP JSON document (`resourceSpans`) per line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        document = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_hexadecimal(document), separators=(",", ":")) + "\n")
        return SpanExportResult.SUCCESS


class _LinkedOrRatio(Sampler):
    """A sampler that records a new trace if a linked one is recorded, else by ratio."""

    def __init__(self, ratio: float) -> None:
        self._always = TraceIdRatioBased(1.0)
        self._ratio = TraceIdRatioBased(ratio)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: OtelAttributes = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        linked = any(link.context.trace_flags.sampled for link in links or ())
        sampler = self._always if linked else self._ratio
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return "LinkedOrRatio"


def _span_context(text: str) -> SpanContext | None:
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    trace_id, span_id, flags = (int(each, 16) for each in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))
    return context if context.is_valid else None


def _hexadecimal(value: Any) -> Any:
    """Convert ids to the hexadecimal form of OTLP JSON, from protobuf's base64."""
    if isinstance(value, dict):
        return {
            name: b64decode(item).hex() if name in {"traceId", "spanId", "parentSpanId"} else _hexadecimal(item)
            for name, item in value.items()
        }
    return [_hexadecimal(item) for item in value] if isinstance(value, list) else value
