"""Telemetry of one referral: spans through every instance, figures that change, and no content."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import Parse, ParseError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from prometheus_client.parser import text_string_to_metric_families

from shared.core.ids import uuid7
from tests.support.canary import new_mark, search
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral
from tests.support.stack import INSTANCES

PAGE = Path(__file__).parents[2] / "docs/operations/traces.md"
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Span:
    """One span as the official protobuf classes read it."""

    service: str
    name: str
    trace_id: str
    links: frozenset[str]
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Told:
    """One submitted and accepted referral, and the telemetry about it."""

    exchange: Exchange
    filing: str
    taking_up: str
    acknowledging: str
    mark: str
    before: dict[str, dict[str, float]]

    def spans(self) -> list[Span]:
        return [span for name in INSTANCES for span in read_spans(self.exchange.spans_file(name))]


def read_spans(path: Path) -> list[Span]:
    """Parse every line strictly: an unknown name is an error. OTLP/JSON has ids in hexadecimal, protobuf in base64."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        for resource in Parse(json.dumps(_in_base64(json.loads(line))), TracesData()).resource_spans:
            service = next(
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            )
            found += [_span(service, each) for scope in resource.scope_spans for each in scope.spans]
    return found


def _span(service: str, span: Any) -> Span:
    assert len(span.trace_id) == 16
    assert len(span.span_id) == 8
    links = frozenset(link.trace_id.hex() for link in span.links)
    return Span(service, span.name, span.trace_id.hex(), links, frozenset(each.key for each in span.attributes))


def _in_base64(value: Any) -> Any:
    if isinstance(value, dict):
        ids = {"traceId", "spanId", "parentSpanId"}
        return {
            name: b64encode(bytes.fromhex(each)).decode() if name in ids else _in_base64(each)
            for name, each in value.items()
        }
    return [_in_base64(each) for each in value] if isinstance(value, list) else value


def linked(spans: Iterable[Span], trace_id: str) -> list[Span]:
    return [span for span in spans if trace_id in span.links]


def request(spans: Iterable[Span], caller: str) -> str:
    """Return the trace of the single request that came with the trace `caller`."""
    (found,) = linked(spans, caller)
    return found.trace_id


def reached(spans: Sequence[Span], trace_id: str) -> set[tuple[str, str]]:
    """Return (service, span) of everything that is linked from a trace, over any number of links."""
    found: set[tuple[str, str]] = set()
    open_traces, seen = [trace_id], {trace_id}
    while open_traces:
        for span in linked(spans, open_traces.pop()):
            found.add((span.service, span.name))
            if span.trace_id not in seen:
                seen.add(span.trace_id)
                open_traces.append(span.trace_id)
    return found


#: The spans after the request of a referral, and those after an agency's act.
LED_TO = {
    ("hotline", "batch.publish"),
    ("hotline", "batch.consume"),  # the other hotline has the same instance
    ("law_enforcement", "batch.consume"),
    ("industry", "batch.consume"),
    ("audit", "batch.consume"),
}
LED_BACK = {("law_enforcement", "batch.publish"), ("hotline", "batch.consume"), ("audit", "batch.consume")}
#: The spans that link to the trace of the request itself.
AT_ONCE = {
    ("hotline", "message.create"),
    ("hotline", "batch.publish"),  # of the fact, which keeps the request's trace
    ("audit", "batch.consume"),
}


def told_at_once(spans: Sequence[Span], filing: str) -> set[tuple[str, str]]:
    """Return (service, span) of the spans that link to the trace of the request with this caller's trace."""
    return {(span.service, span.name) for span in linked(spans, request(spans, filing))}


@pytest.fixture(scope="module")
async def told(exchange: Exchange) -> Told:
    """Submit a referral with a marked location, let the agency accept it, and wait until all messages are read."""
    # Wait for the messages of earlier tests, so that only this referral changes the figures.
    await exchange.until_taken()
    await exchange.until_audited()
    before = {name: figures(exchange, name) for name in INSTANCES}
    filing, taking_up, acknowledging, mark = uuid7().hex, uuid7().hex, uuid7().hex, new_mark()
    item = referral()["items"][0] | {
        "locator": {"kind": "url", "value": f"https://images.{PROVIDER}/{mark}"},
        "hashes": {"md5": bytes.fromhex(mark).hex() * 2},
    }
    answer = await act(exchange, HOTLINE, "/v1/referrals", referral(items=[item]), trace=filing)
    assert answer.status_code == 202
    referral_id = answer.json()["referral_id"]
    refused = await act(exchange, HOTLINE, "/v1/referrals", referral(exercise=False, items=[item]), trace=uuid7().hex)
    assert refused.status_code == 422
    await exchange.until_taken()
    accepted = await act(exchange, AGENCY, f"/v1/cases/{referral_id}:accept", {}, trace=taking_up)
    assert accepted.status_code == 202
    async with exchange.client(HOTLINE) as hotline:
        notice = next(each for each in (await hotline.show(referral_id)).edges if each.recipient == PROVIDER)
    path = f"/v1/notices/{notice.notice_id}:acknowledge"
    acknowledged = await act(exchange, PROVIDER, path, {}, trace=acknowledging)
    assert acknowledged.status_code == 202
    await exchange.until_taken()
    await exchange.until_audited()
    found = Told(exchange, filing, taking_up, acknowledging, mark, before)
    await until(lambda: reached(found.spans(), filing) >= LED_TO and told_at_once(found.spans(), filing) == AT_ONCE)
    await until(lambda: reached(found.spans(), taking_up) >= LED_BACK)
    await until(lambda: ("hotline", "batch.consume") in reached(found.spans(), acknowledging))
    return found


async def act(exchange: Exchange, party: str, path: str, body: dict[str, Any], *, trace: str) -> httpx.Response:
    headers = {"Idempotency-Key": str(uuid7()), "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    async with exchange.http(party) as http:
        return await http.post(path, json=body, headers=headers)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition. A span is written when it ends, a moment after its effects are visible."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("spans are missing")
        await asyncio.sleep(0.2)


#: An acknowledgement is sent at most every 10 s.
ACKNOWLEDGED_S_MAX = 200.0


def figures(exchange: Exchange, instance: str) -> dict[str, float]:
    """Return the metrics of an instance, parsed by Prometheus' own parser."""
    text = httpx.get(f"{exchange.endpoints.metrics[instance]}/metrics", trust_env=False, timeout=60).text
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def documented_attributes() -> set[str]:
    return set(re.findall(r"^\| `([a-z_.]+)` \|", PAGE.read_text(encoding="utf-8").partition("## Attributes")[2], re.M))


def test_the_request_of_one_referral_leads_to_spans_of_every_instance(told: Told) -> None:
    spans = told.spans()
    assert {(span.service, span.name) for span in linked(spans, told.filing)} == {("hotline", "http.request")}
    assert told_at_once(spans, told.filing) == AT_ONCE
    assert reached(spans, told.filing) >= LED_TO


@pytest.mark.parametrize("service", ["law_enforcement", "industry"])
def test_a_recipient_has_one_message_of_the_referral_and_nothing_of_its_request(told: Told, service: str) -> None:
    spans = told.spans()
    filing = request(spans, told.filing)
    messages = {each.trace_id for each in linked(spans, filing) if each.name == "message.create"}
    assert len(messages) == 3
    theirs = [each for each in spans if each.service == service]
    known = {trace_id for each in theirs for trace_id in (each.trace_id, *each.links)}
    assert len(messages & known) == 1
    assert {told.filing, filing}.isdisjoint(known)
    assert {told.filing, filing, *messages} <= {trace for each in spans for trace in (each.trace_id, *each.links)}


def test_what_an_agency_does_leads_back_to_the_origin(told: Told) -> None:
    assert reached(told.spans(), told.taking_up) >= LED_BACK


def test_answers_lead_back_from_each_recipient(told: Told) -> None:
    for answering in (told.taking_up, told.acknowledging):
        assert ("hotline", "batch.consume") in reached(told.spans(), answering)


def test_a_trace_that_nobody_began_leads_nowhere(told: Told) -> None:
    assert reached(told.spans(), uuid7().hex) == set()


def test_a_line_that_is_not_otlp_is_refused_by_the_foreign_parser(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text('{"resourceSpans": [{"scopeSpans": [{"spans": [{"invented": 1}]}]}]}\n')
    with pytest.raises(ParseError):
        read_spans(path)


def test_no_span_has_an_attribute_that_the_page_does_not_list(told: Told) -> None:
    used = {name for span in told.spans() for name in span.attributes}
    assert used - documented_attributes() == set()
    assert {"http.route", "batch_records"} <= used


def test_no_span_holds_anything_of_a_location_or_a_hash(told: Told, tmp_path: Path) -> None:
    for name in INSTANCES:
        (tmp_path / name).write_bytes(told.exchange.spans_file(name).read_bytes())
    assert search(tmp_path, told.mark) == []
    (tmp_path / "planted").write_text(json.dumps({"value": f"https://images.{PROVIDER}/{told.mark}"}))
    assert {hit.place for hit in search(tmp_path, told.mark)} == {"planted"}


@pytest.mark.parametrize(
    ("instance", "metric", "grows"),
    [
        ("hotline", "causeway_messages_total{emitted}", 3),
        ("hotline", "causeway_messages_total{applied}", 3),  # the offer to the other hotline, and both answers
        ("hotline", "causeway_intake_seconds_count{}", 2),
        ("hotline", "causeway_refusals_total{exercise_mismatch}", 1),
        ("law_enforcement", "causeway_messages_total{applied}", 1),
        ("law_enforcement", "causeway_messages_total{emitted}", 1),
        ("industry", "causeway_messages_total{applied}", 1),
        ("industry", "causeway_messages_total{emitted}", 1),
    ],
)
def test_figures_move_by_what_happened(told: Told, instance: str, metric: str, grows: int) -> None:
    after = figures(told.exchange, instance)
    assert after[metric] - told.before[instance].get(metric, 0.0) == grows


def test_nothing_waits_when_all_is_done(told: Told) -> None:
    """Each recipient acknowledges accepted messages some seconds later."""
    gauges = ("outbox_rows", "unacked_age_seconds", "bus_lag_records")
    for name in ("hotline", "law_enforcement", "industry"):
        deadline = time.monotonic() + ACKNOWLEDGED_S_MAX
        while any(found := [figures(told.exchange, name)[f"causeway_{gauge}{{}}"] for gauge in gauges]):
            assert time.monotonic() < deadline, (name, dict(zip(gauges, found, strict=True)))
            time.sleep(0.5)


def test_the_parties_of_the_referral_are_in_no_metric(told: Told) -> None:
    for name in INSTANCES:
        text = httpx.get(f"{told.exchange.endpoints.metrics[name]}/metrics", trust_env=False, timeout=60).text
        assert [party for party in (HOTLINE, OTHER_HOTLINE, AGENCY, PROVIDER) if party in text] == []
