"""Traces in Kafka of one referral: no recipient can link two messages by them, alone or with another recipient."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from shared.core.ids import uuid7
from tests.acceptance.flows import read_again
from tests.support.driver_delivery import inbox_prefix, inbox_topic
from tests.support.running import HOTLINE, Exchange, referral

OTHER_PROVIDER = "provider-001.example"
INDUSTRY, AUDIT = inbox_topic("industry", "hotline"), inbox_prefix("audit")


@dataclass(frozen=True, slots=True)
class Sent:
    """One record: its topic, its message and its trace."""

    topic: str
    type: str
    message_id: str
    trace_id: str


def linkable(sent: Sequence[Sent]) -> set[str]:
    """Return the traces that occur in more than one message of the inboxes."""
    messages = {(each.message_id, each.trace_id) for each in sent if not each.topic.startswith(AUDIT)}
    return {trace_id for trace_id, count in Counter(trace_id for _, trace_id in messages).items() if count > 1}


@dataclass(frozen=True, slots=True)
class Flow:
    """A referral with its own trace, and every message that it caused."""

    filing: str
    sent: Sequence[Sent]


@pytest.fixture(scope="module")
async def flow(exchange: Exchange) -> Flow:
    """Submit a referral to two providers, a hotline and an agency, and withdraw it; return all records of its flow."""
    first = referral()["items"][0]
    second = first | {
        "locator": {"kind": "url", "value": f"https://images.{OTHER_PROVIDER}/gallery/1"},
        "hosting": [{"jurisdiction": "NL", "provider": OTHER_PROVIDER, "method": "stated"}],
    }
    filing = uuid7().hex
    async with exchange.http(HOTLINE) as http:
        headers = {"Idempotency-Key": str(uuid7()), "traceparent": f"00-{filing}-00f067aa0ba902b7-01"}
        filed = await http.post("/v1/referrals", json=referral(items=[first, second]), headers=headers)
        await exchange.until_taken()
        path = f"/v1/referrals/{filed.json()['referral_id']}:withdraw"
        await http.post(path, json={"reason": "filed_in_error"}, headers={"Idempotency-Key": str(uuid7())})
        await exchange.until_taken()
        await exchange.until_audited()
    async with exchange.http("auditor.example") as http:
        headers = {"Purpose": "traces of one referral"}
        shown = await http.get(f"/v1/flows/{filed.json()['referral_id']}", headers=headers)
    messages = shown.json()["messages"]
    sent = []
    for each, record in zip(messages, read_again(exchange.endpoints, messages), strict=True):
        (traceparent,) = (b64decode(text) for name, text in record["headers"] if name == "traceparent")
        sent.append(Sent(each["topic"], each["type"], each["message_id"], traceparent[3:35].decode()))
    return Flow(filing, sent)


def test_no_two_messages_to_parties_or_instances_share_a_trace(flow: Flow) -> None:
    notices = [each for each in flow.sent if each.topic == INDUSTRY and "notice_" in each.type]
    assert [each.type.split(".")[1] for each in notices].count("notice_issued") == 2
    assert len(notices) == 4
    assert {each.topic.split(".")[2] for each in flow.sent} == {"hotline", "law_enforcement", "industry", "audit"}
    assert linkable(flow.sent) == set()


def test_no_message_has_the_trace_that_the_caller_chose(flow: Flow) -> None:
    assert flow.filing not in {each.trace_id for each in flow.sent}


def test_messages_that_carried_the_filings_trace_would_be_found(flow: Flow) -> None:
    """Negative control: as if each message carried the trace of its fact."""
    passed_on = [replace(each, trace_id=flow.filing) for each in flow.sent]
    assert linkable(passed_on) == {flow.filing}
