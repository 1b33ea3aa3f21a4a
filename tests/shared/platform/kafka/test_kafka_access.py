"""The TLS options that Kafka access gives to its clients: whether to use TLS, and the trusted authorities."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from deploy.devstack.servers import make_certificates
from shared.core.clock import SystemClock
from shared.platform.kafka.access import KafkaAccess

SERVERS = "kafka.example:9093"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """Return a key with its certificate, and the authority that signed it."""
    return make_certificates(tmp_path, name="sample", clock=SystemClock())


def trusted(access: KafkaAccess) -> list[str]:
    """Return the common names of the authorities whose certificates are accepted."""
    context = access.client_options("sample")["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    return [dict(pair for part in each["subject"] for pair in part)["commonName"] for each in context.get_ca_certs()]


def test_tls_without_a_file_trusts_the_systems_store(
    made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    access = KafkaAccess(SERVERS, "hotline", "secret", tls=True)
    # OpenSSL reads its store from here: the store of a system that has installed this authority.
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_FILE", str(made[1]))
    assert access.client_options("c")["security_protocol"] == "SASL_SSL"
    assert trusted(access) == ["devstack authority"]
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    assert trusted(access) == []


def test_an_authority_of_ones_own_is_the_only_one_that_is_trusted(made: tuple[Path, Path]) -> None:
    assert trusted(KafkaAccess(SERVERS, "hotline", "secret", tls=True, ca_file=made[1])) == ["devstack authority"]


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_a_file_of_certificates_never_goes_with_a_plain_connection(made: tuple[Path, Path], name: str) -> None:
    identity, authority = made
    file = authority if name == "ca_file" else identity
    options = KafkaAccess(SERVERS, "hotline", "secret", **{name: file}).client_options("c")
    assert options["security_protocol"] == "SASL_SSL"


def test_both_kinds_of_client_are_told_the_same() -> None:
    plain, secure = KafkaAccess(SERVERS, "hotline", "secret"), KafkaAccess(SERVERS, "hotline", "secret", tls=True)
    assert (plain.security().use_ssl, plain.security().ssl_context) == (False, None)
    assert secure.security().use_ssl
    assert secure.security().ssl_context is not None
    assert KafkaAccess(SERVERS, tls=True).client_options("c")["security_protocol"] == "SSL"


def test_access_names_the_protocol_that_its_credentials_need() -> None:
    plain = KafkaAccess("kafka.example:9092")
    scram = KafkaAccess("kafka.example:9092", "hotline", "secret")
    assert plain.client_options("c")["security_protocol"] == "PLAINTEXT"
    assert scram.client_options("c")["security_protocol"] == "SASL_PLAINTEXT"
    assert scram.client_options("c")["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "secret" not in repr(scram)
