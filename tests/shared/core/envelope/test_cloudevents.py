"""The official CloudEvents library writes the same record and reads our record as the same event."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_json
from shared.core.envelope.headers import Attributes, Envelope, decode_headers, encode_headers
from shared.core.envelope.record_value import join_value
from tests.shared.core.envelope.builders import any_attributes

clear_parts = st.dictionaries(st.text("abcdef_", min_size=1), st.integers(-(2**53) + 1, 2**53 - 1) | st.text()).map(
    canonical_json
)
bodies = st.builds(join_value, clear_parts, st.none() | st.binary(max_size=80))


def as_cloudevent(envelope: Envelope) -> CloudEvent:
    """Return the same event as an object of the library."""
    ours = envelope.attributes
    return CloudEvent(
        {
            "specversion": "1.0",
            "id": str(ours.id),
            "type": ours.type,
            "source": ours.source,
            "time": ours.time.astimezone(UTC),
            "subject": ours.subject,
            "dataschema": ours.dataschema,
            "datacontenttype": "application/vnd.causeway.message",
            "sender": ours.sender,
            "recipient": ours.recipient,
            "tier": ours.tier.value,
            "exercise": "true" if ours.exercise else "false",
            "guard": ours.guard,
        },
        envelope.body,
    )


def differences(envelope: Envelope, event: BaseCloudEvent) -> list[str]:
    """Return the attributes that the library reads differently."""
    expected: dict[str, Any] = as_cloudevent(envelope).get_attributes()
    found = event.get_attributes()
    return [name for name in expected.keys() | found.keys() if str(expected.get(name)) != str(found.get(name))]


@given(any_attributes, bodies)
def test_the_library_writes_the_same_headers_and_value(attributes: Attributes, body: bytes) -> None:
    envelope = Envelope(attributes, body)
    record = to_binary_event(as_cloudevent(envelope))
    assert record.headers == dict(encode_headers(envelope))
    assert record.value == envelope.body


@given(any_attributes, bodies)
def test_the_library_reads_our_record_as_the_same_event(attributes: Attributes, body: bytes) -> None:
    envelope = Envelope(attributes, body)
    event = from_binary_event(KafkaMessage(headers=dict(encode_headers(envelope)), key=None, value=body))
    assert differences(envelope, event) == []
    data = event.get_data()  # the library returns text if the bytes are UTF-8
    assert (data.encode() if isinstance(data, str) else data) == body


@given(any_attributes, bodies)
def test_we_read_the_librarys_record_as_the_same_event(attributes: Attributes, body: bytes) -> None:
    envelope = Envelope(attributes, body)
    record = to_binary_event(as_cloudevent(envelope))
    assert decode_headers(list(record.headers.items()), record.value) == envelope
