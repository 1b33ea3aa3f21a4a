"""Spans have listed names and attributes, follow a request, and never contain sent content."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.core.envelope.headers import TRACEPARENT
from shared.core.errors import Refused
from shared.platform.observability.telemetry import (
    Attributes,
    SpanName,
    close_telemetry,
    configure_telemetry,
    current_trace_id,
    current_traceparent,
    message_traceparent,
    span,
    traceparents,
)

DOCUMENT = Path(__file__).parents[4] / "docs/operations/traces.md"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01", f"00-{TRACE_ID}-{SPAN_ID}-00"

Spans = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def off_afterwards() -> Iterator[None]:
    yield
    close_telemetry()


@pytest.fixture
def spans(tmp_path: Path) -> Spans:
    """Return the spans written so far, with telemetry on for every trace."""
    path = tmp_path / "spans.jsonl"
    configure_telemetry(instance="hotline", sampling_ratio=1.0, spans_file=path)
    return lambda: read(path)


def read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    return [each for d in documents for r in d["resourceSpans"] for s in r["scopeSpans"] for each in s["spans"]]


def test_a_span_is_written_as_otlp_json_with_the_instance_as_service(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    configure_telemetry(instance="hotline", sampling_ratio=1.0, spans_file=path)
    with span("http.request", links=[SAMPLED], attributes={"http.route": "/v1/referrals"}):
        pass
    resource = json.loads(path.read_text())["resourceSpans"][0]["resource"]["attributes"]
    (written,) = read(path)
    assert {"key": "service.name", "value": {"stringValue": "hotline"}} in resource
    assert (written["name"], written["kind"]) == ("http.request", 2)
    assert [(link["traceId"], link["spanId"]) for link in written["links"]] == [(TRACE_ID, SPAN_ID)]
    assert written["attributes"] == [{"key": "http.route", "value": {"stringValue": "/v1/referrals"}}]


class Collector(BaseHTTPRequestHandler):
    """Accepts spans like a collector: at one path, as protobuf, read by OpenTelemetry's own messages."""

    taken: ClassVar[list[tuple[str, ExportTraceServiceRequest]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        plain = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        if self.path == "/v1/traces":
            self.taken.append((self.path, ExportTraceServiceRequest.FromString(plain)))
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("path", ["", "/", "/v1/traces"])
def test_spans_reach_a_collector_by_its_base_address_and_by_the_whole_one(path: str) -> None:
    Collector.taken.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}{path}"
        configure_telemetry(instance="hotline", sampling_ratio=1.0, otlp_endpoint=address)
        with span("http.request"):
            pass
        close_telemetry()  # exports the waiting spans
        server.shutdown()
        thread.join()
    ((_, request),) = Collector.taken
    (resource,) = request.resource_spans
    assert [each.name for each in resource.scope_spans[0].spans] == ["http.request"]
    assert "hotline" in [each.value.string_value for each in resource.resource.attributes]


def test_what_runs_inside_a_span_can_name_it_to_others(spans: Spans) -> None:
    assert current_traceparent() is None
    with span("http.request"):
        inside, trace_id = current_traceparent(), current_trace_id()
    assert str(inside).startswith(f"00-{spans()[0]['traceId']}-{spans()[0]['spanId']}-")
    assert trace_id == spans()[0]["traceId"]


@pytest.mark.parametrize("name", ["http.request", "batch.consume"])
def test_a_trace_of_its_own_has_nothing_of_those_that_it_links_to(spans: Spans, name: SpanName) -> None:
    with span(name, links=[SAMPLED]):
        inside = current_traceparent()
    assert TRACE_ID not in str(inside)
    assert SPAN_ID not in str(inside)


def test_a_batch_begins_a_trace_of_its_own_with_a_link_to_each_record(spans: Spans) -> None:
    with span("http.request"), span("batch.consume", links=[SAMPLED, "malformed", SAMPLED]):
        pass
    batch = next(each for each in spans() if each["name"] == "batch.consume")
    assert batch["traceId"] != TRACE_ID
    assert "parentSpanId" not in batch
    assert [(link["traceId"], link["spanId"]) for link in batch["links"]] == [(TRACE_ID, SPAN_ID)] * 2


def test_a_batch_of_many_records_keeps_a_bounded_number_of_links(spans: Spans) -> None:
    with span("batch.consume", links=[SAMPLED] * 500):
        pass
    assert len(spans()[0]["links"]) == 128


def test_a_message_gets_a_trace_of_its_own_whose_first_span_links_to_its_cause(spans: Spans) -> None:
    with span("http.request"):
        first, second = message_traceparent(SAMPLED), message_traceparent(SAMPLED)
    created = [each for each in spans() if each["name"] == "message.create"]
    named = [f"00-{each['traceId']}-{each['spanId']}" for each in created]
    assert [str(first)[:-3], str(second)[:-3]] == named
    assert len({TRACE_ID, *(each["traceId"] for each in spans())}) == 4
    assert [(link["traceId"], link["spanId"]) for each in created for link in each["links"]] == [
        (TRACE_ID, SPAN_ID)
    ] * 2
    assert not any("parentSpanId" in each for each in created)


def test_a_message_that_nothing_recorded_has_caused_has_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    configure_telemetry(instance="hotline", sampling_ratio=0.0, spans_file=path)
    assert [message_traceparent(None), message_traceparent(UNSAMPLED), message_traceparent("malformed")] == [None] * 3
    assert read(path) == []


@pytest.mark.parametrize("parent", ["", "malformed", f"00-{'0' * 32}-{SPAN_ID}-01", f"ff-{TRACE_ID}-{SPAN_ID}-01"])
def test_a_malformed_link_counts_as_none(spans: Spans, parent: str) -> None:
    with span("http.request", links=[parent]):
        pass
    assert "links" not in spans()[0]


@pytest.mark.parametrize(
    ("name", "links", "recorded"),
    [
        ("http.request", [SAMPLED], 1),
        ("http.request", [UNSAMPLED], 0),
        ("http.request", [], 0),
        ("batch.consume", [UNSAMPLED, SAMPLED], 1),
        ("batch.consume", [UNSAMPLED, UNSAMPLED], 0),
    ],
)
def test_what_one_of_the_linked_traces_records_is_recorded_and_new_traces_by_ratio(
    tmp_path: Path, name: SpanName, links: list[str], recorded: int
) -> None:
    path = tmp_path / "spans.jsonl"
    configure_telemetry(instance="hotline", sampling_ratio=0.0, spans_file=path)
    with span(name, links=links):
        assert (current_traceparent() is not None) == bool(recorded)
    assert len(read(path)) == recorded


def test_an_error_leaves_its_code_and_class_and_not_its_text(spans: Spans) -> None:
    with pytest.raises(Refused), span("http.request"):
        raise Refused("url_malformed", "hunter2")
    with pytest.raises(ValueError, match="hunter2"), span("http.request"):
        raise ValueError("hunter2")
    texts = json.dumps(spans())
    assert "url_malformed" in texts
    assert "ValueError" in texts
    assert "hunter2" not in texts
    assert [each["status"]["code"] for each in spans()] == [2, 2]


def test_the_traces_of_a_batch_are_read_from_the_headers_that_messages_carry(spans: Spans) -> None:
    said = [(TRACEPARENT, SAMPLED.encode()), ("baggage", b"x=1")]
    assert traceparents([said, [(TRACEPARENT, None)], [], [(TRACEPARENT, b"\xff")]]) == [SAMPLED, "\ufffd"]


def test_off_nothing_is_written_named_or_looked_for_and_a_message_does_not_carry_its_cause_on() -> None:
    assert message_traceparent(SAMPLED) is None
    assert traceparents([[(TRACEPARENT, SAMPLED.encode())]]) == []
    with span("http.request", links=[SAMPLED]) as notes:
        notes.add({"http.route": "/"})
        assert current_traceparent() is None
        assert current_trace_id() is None


def test_every_span_and_attribute_is_documented_and_nothing_else_is() -> None:
    names = re.findall(r"^\| `([a-z_.]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(names) == sorted([*get_args(SpanName), *Attributes.__annotations__])
