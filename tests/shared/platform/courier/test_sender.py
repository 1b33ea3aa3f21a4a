"""One attempt: every answer of a receiver gives a code, and the receiver gets its event and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.core.clock import SystemClock
from shared.platform.courier import addresses
from shared.platform.courier.addresses import AddressRules
from shared.platform.courier.sender import HEAD_BYTES_MAX, Sender, SendResult
from tests.support.http_receiver import OK, Raw, receiving

LOCAL = AddressRules(loopback_http=True)
NAME = "hooks.party.example"


async def sent(raw: Raw, *, answer_s_max: float = 150) -> SendResult:
    async with receiving(raw):
        sender = Sender(LOCAL, answer_s_max=answer_s_max)
        return await sender.post(f"http://127.0.0.1:{raw.port}/hook?a=1", {"webhook-id": "evt_1"}, b'{"a":1}')


async def test_a_receiver_gets_the_headers_and_the_body_as_they_were_signed() -> None:
    raw = Raw()
    assert await sent(raw) == SendResult("delivered", 204)
    head, _, body = raw.got[0].partition(b"\r\n\r\n")
    assert body == b'{"a":1}'
    assert head.decode().split("\r\n") == [
        "POST /hook?a=1 HTTP/1.1",
        f"Host: 127.0.0.1:{raw.port}",
        "User-Agent: causeway",
        "Content-Type: application/json",
        "Content-Length: 7",
        "Connection: close",
        "webhook-id: evt_1",
    ]


@pytest.mark.parametrize(
    ("answer", "hangs", "status"),
    [
        *((b"HTTP/1.1 %d Fine\r\n\r\n" % status, False, status) for status in (200, 201, 202, 204, 299)),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, False, 204),
        (b"HTTP/1.1 200 Fine\r\nContent-Length: 999999\r\n\r\nx", True, 200),
    ],
    ids=["200", "201", "202", "204", "299", "after an interim answer", "without its body"],
)
async def test_any_status_of_success_is_one(answer: bytes, hangs: bool, status: int) -> None:
    assert await sent(Raw(answer, hangs=hangs)) == SendResult("delivered", status)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_any_other_is_none_and_no_redirect_is_followed(status: int) -> None:
    async with receiving(Raw()) as elsewhere:
        answer = b"HTTP/1.1 %d Go\r\nLocation: http://127.0.0.1:%d/\r\n\r\n" % (status, elsewhere.port)
        assert await sent(Raw(answer)) == SendResult("status_refused", status)
        assert elsewhere.got == []


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 99999\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 Fine\r\nX: " + b"x" * HEAD_BYTES_MAX * 3,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
    ],
    ids=["other", "status", "version", "endless", "interim"],
)
async def test_what_is_no_answer_is_said(answer: bytes) -> None:
    assert await sent(Raw(answer, hangs=True)) == SendResult("answer_malformed")


@pytest.mark.timing
async def test_one_that_never_answers_is_left() -> None:
    assert await sent(Raw(b"HTTP/1.1 2", hangs=True), answer_s_max=0.2) == SendResult("timed_out")


async def test_one_that_is_not_there_is_said() -> None:
    async with receiving(Raw()) as gone:
        pass
    assert await Sender(LOCAL).post(f"http://127.0.0.1:{gone.port}/", {}, b"") == SendResult("connection_failed")
    assert await sent(Raw(b"")) == SendResult("connection_failed")


async def test_a_name_that_leads_nowhere_is_said() -> None:
    async def nothing(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    assert await Sender(AddressRules(), resolve=nothing).post(f"https://{NAME}/", {}, b"") == SendResult(
        "name_unresolved"
    )


async def over_tls(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, trusted: bool = True
) -> tuple[Raw, SendResult]:
    """Return an attempt at `NAME`, which resolves to this machine once and shows a certificate of `name`."""
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    identity = certificate(folder, name)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(identity)
    async with receiving(Raw(), tls=shown) as raw:

        async def here(_host: str, _port: int) -> Sequence[str]:
            return ["127.0.0.1"]

        trust = ssl.create_default_context(cafile=str(identity) if trusted else None)
        sender = Sender(AddressRules(ports=frozenset({raw.port})), resolve=here, trust=trust)
        return raw, await sender.post(f"https://{NAME}:{raw.port}/", {}, b"{}")


async def test_the_certificate_is_of_the_name_although_the_number_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, came = await over_tls(tmp_path, monkeypatch, NAME)
    assert came == SendResult("delivered", 204)
    assert len(raw.got) == 1


@pytest.mark.parametrize(("name", "trusted"), [("other.example", True), (NAME, False)])
async def test_one_that_does_not_verify_is_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    raw, came = await over_tls(tmp_path, monkeypatch, name, trusted=trusted)
    assert (raw.got, came) == ([], SendResult("tls_failed"))


def certificate(folder: Path, name: str) -> Path:
    """Return a key with its own certificate for `name`, PEM."""
    key, of = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now: datetime = SystemClock().now().astimezone(UTC)
    made = (
        x509.CertificateBuilder(of, of, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "receiver.pem"
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path
