"""The covered bytes are frozen, complete and unambiguous."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.headers import COVERED, Attributes, Tier
from tests.shared.core.envelope.builders import any_attributes, covered_bytes

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


@given(any_attributes, st.binary(max_size=200) | st.just(b"ce_id:x\n\n"))
def test_the_covered_bytes_read_back_as_one_message_only(drawn: Attributes, body: bytes) -> None:
    *lines, rest = covered_bytes(drawn, body).split(b"\n", len(COVERED))
    pairs = [line.split(b":", 1) for line in lines]
    assert [name.decode() for name, _ in pairs] == list(COVERED)
    assert tuple(value.decode() for _, value in pairs) == drawn.texts
    assert rest == b"\n" + body
