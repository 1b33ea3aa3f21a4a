"""The covered bytes are frozen, complete and unambiguous."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.content_proof import leaf_digest
from shared.core.envelope.headers import COVERED, Attributes, Envelope, Tier, encode_headers
from tests.shared.core.envelope.builders import BODY, any_attributes, any_further_attributes, attributes, covered_bytes

GOLDEN = b"""\
ce_dataschema:https://schemas.causeway.example/notice_issued.v1.json
ce_exercise:true
ce_guard:00112233445566778899aabbccddeeff released
ce_id:019539f0-7c00-7abc-8def-0123456789ab
ce_recipient:provider-c
ce_sender:hotline-a
ce_source:/instances/hotline
ce_specversion:1.0
ce_subject:019539f0-7c00-7abc-8def-0123456789ac
ce_tier:hosted
ce_time:2026-03-01T12:30:10Z
ce_type:causeway.notice_issued.v1
content-type:application/vnd.causeway.message

{}
"""


def test_version_one_covers_these_bytes_for_ever() -> None:
    golden = Attributes(
        id=UUID("019539f0-7c00-7abc-8def-0123456789ab"),
        type="causeway.notice_issued.v1",
        source="/instances/hotline",
        time=datetime(2026, 3, 1, 12, 30, 10, tzinfo=UTC),
        subject="019539f0-7c00-7abc-8def-0123456789ac",
        dataschema="https://schemas.causeway.example/notice_issued.v1.json",
        sender="hotline-a",
        recipient="provider-c",
        tier=Tier.HOSTED,
        exercise=True,
        guard="00112233445566778899aabbccddeeff released",
    )
    assert covered_bytes(golden, b"{}\n") == GOLDEN


@given(any_further_attributes, st.binary(max_size=200))
def test_the_covered_bytes_can_be_built_from_the_headers_on_the_wire(drawn: Attributes, body: bytes) -> None:
    wire = encode_headers(Envelope(drawn, body))
    head = b"".join(name.encode() + b":" + value + b"\n" for name, value in sorted(wire))
    assert covered_bytes(drawn, body) == head + b"\n" + body


@given(any_attributes, st.binary(max_size=200) | st.just(b"ce_id:x\n\n"))
def test_the_covered_bytes_read_back_as_one_message_only(drawn: Attributes, body: bytes) -> None:
    *lines, rest = covered_bytes(drawn, body).split(b"\n", len(COVERED))
    pairs = [line.split(b":", 1) for line in lines]
    assert [name.decode() for name, _ in pairs] == list(COVERED)
    assert tuple(value.decode() for _, value in pairs) == drawn.texts
    assert rest == b"\n" + body


@pytest.mark.parametrize(
    "changes",
    [
        {"id": UUID("019539f0-7c00-7abc-8def-0123456789ab")},
        {"type": "causeway.referral_routed.v2"},
        {"source": "/instances/industry"},
        {"time": datetime(2026, 3, 1, 12, 30, 20, tzinfo=UTC)},
        {"subject": "other"},
        {"dataschema": "https://schemas.causeway.example/referral_routed/v2"},
        {"sender": "hotline-b"},
        {"recipient": "agency-c"},
        {"exercise": True},
        {"guard": "00112233445566778899aabbccddeeff released"},
        {"extensions": (("ce_xmore", "1"),)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_attribute_is_covered(changes: dict[str, Any]) -> None:
    assert covered_bytes(replace(attributes(), **changes), BODY) != covered_bytes(attributes(), BODY)


def test_every_attribute_has_a_case_above_and_a_header() -> None:
    """The tier has one value, so no case changes it."""
    constants, written = {"ce_specversion", "content-type"}, {"texts", "further", "head"}
    assert len(COVERED) - len(constants) == 11 == len(Attributes.__dataclass_fields__) - len(written) - 1


def test_the_digest_is_the_salted_leaf_that_is_signed() -> None:
    salt, covered = bytes(range(16)), covered_bytes(attributes(), BODY)
    assert leaf_digest(salt, covered) == hashlib.sha256(b"\x00" + salt + covered).digest()
