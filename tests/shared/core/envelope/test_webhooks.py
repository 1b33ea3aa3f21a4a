"""Webhooks are signed and read like in the Standard Webhooks library; input that the library mishandles is refused."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.core.clock import SystemClock
from shared.core.envelope.webhooks import TOLERANCE_S, new_secret, secret_bytes, signed_headers, verify_webhook
from shared.core.errors import EvidenceRejected, Refused

SECRET, OTHER = "whsec_" + b64encode(bytes(range(32))).decode(), "whsec_" + b64encode(bytes(32)).decode()
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
BODY = b'{"type":"case.accept"}'


def rejected(
    code: str, headers: dict[str, str], body: bytes = BODY, *, at: datetime = AT, secret: str = SECRET
) -> None:
    with pytest.raises(EvidenceRejected, match=code):
        verify_webhook(secret, headers, body, at=at)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True), st.text(max_size=200))
def test_the_library_verifies_what_is_signed_here(message_id: str, text: str) -> None:
    headers = signed_headers([SECRET], message_id, text.encode(), at=SystemClock().now())
    Webhook(SECRET).verify(text, headers, json_parse=False)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True), st.text(max_size=200))
def test_what_the_library_signs_verifies_here(message_id: str, text: str) -> None:
    signature = Webhook(SECRET).sign(message_id, AT, text)
    headers = {"Webhook-Id": message_id, "Webhook-Timestamp": str(int(AT.timestamp())), "Webhook-Signature": signature}
    assert verify_webhook(SECRET, headers, text.encode(), at=AT) == message_id


def test_what_is_signed_is_what_the_specification_shows() -> None:
    """The example of Standard Webhooks 1.0.0, the only one that a receiver has."""
    secret, message_id, body = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
    )
    headers = signed_headers([secret], message_id, body, at=datetime.fromtimestamp(1614265330, UTC))
    assert headers == {
        "webhook-id": message_id,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_while_a_secret_is_replaced_either_of_the_two_verifies(secret: str) -> None:
    now = SystemClock().now()
    headers = signed_headers([SECRET, OTHER], "evt_1", BODY, at=now)
    assert verify_webhook(secret, headers, BODY, at=now) == "evt_1"
    Webhook(secret).verify(BODY, headers)


def test_the_library_refuses_what_is_refused_here() -> None:
    now = SystemClock().now()
    headers = signed_headers([SECRET], "evt_1", BODY, at=now)
    for changed in (headers | {"webhook-id": "evt_2"}, headers | {"webhook-timestamp": str(int(now.timestamp()) + 1)}):
        rejected("webhook_signature_invalid", changed, at=now)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(BODY, changed)
    rejected("webhook_signature_invalid", headers, BODY + b" ", at=now)
    rejected("webhook_signature_invalid", headers, at=now, secret=OTHER)


def test_a_message_that_was_kept_is_not_taken_later() -> None:
    headers = signed_headers([SECRET], "evt_1", BODY, at=AT)
    edge = timedelta(seconds=TOLERANCE_S)
    assert verify_webhook(SECRET, headers, BODY, at=AT + edge) == verify_webhook(SECRET, headers, BODY, at=AT - edge)
    rejected("webhook_too_old", headers, at=AT + edge + timedelta(seconds=1))
    rejected("webhook_ahead", headers, at=AT - edge - timedelta(seconds=1))


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_said(missing: str) -> None:
    headers = signed_headers([SECRET], "evt_1", BODY, at=AT)
    del headers[missing]
    rejected("webhook_headers_missing", headers)


@pytest.mark.parametrize("signature", ["garbage", "v1", "v1,", "v1,!", "v2,AAAA", "", "v1,é", "  ,"])
def test_a_malformed_signature_is_refused_and_breaks_nothing(signature: str) -> None:
    """For some of these the library raises errors of other modules."""
    headers = signed_headers([SECRET], "evt_1", BODY, at=AT)
    rejected("webhook_signature_invalid", headers | {"webhook-signature": signature})
    good = headers["webhook-signature"]
    assert verify_webhook(SECRET, headers | {"webhook-signature": f"{signature} {good}"}, BODY, at=AT) == "evt_1"


@pytest.mark.parametrize("seconds", ["1.5", "-1", "nan", "١", "9" * 13, ""])
def test_a_time_that_is_no_whole_number_is_refused(seconds: str) -> None:
    rejected(
        "webhook_headers_malformed", signed_headers([SECRET], "evt_1", BODY, at=AT) | {"webhook-timestamp": seconds}
    )


def test_an_id_with_a_full_stop_is_refused() -> None:
    """The signed text could be split at another full stop."""
    rejected("webhook_headers_malformed", signed_headers([SECRET], "evt.1", BODY, at=AT))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", SECRET.removeprefix("whsec_"), "whsec_AAAA"])
def test_what_cannot_be_a_secret_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(Refused) as found:
        secret_bytes(secret)
    assert found.value.code == "webhook_secret_malformed"
    assert "AAAA" not in str(found.value)


def test_a_new_secret_has_256_bits_and_no_other_is_like_it() -> None:
    made = {new_secret() for _ in range(10)}
    assert len(made) == 10
    assert {len(secret_bytes(each)) for each in made} == {32}
