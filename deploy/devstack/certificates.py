"""The certificates of Kafka's listeners: made anew by each stack, kept nowhere else."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.site.endpoints import write_private
from shared.kernel.clock import Clock

_VALID_DAYS = 365


def make_certificates(folder: Path, *, name: str, clock: Clock) -> tuple[Path, Path]:
    """Write a key with its certificate for `name` on 127.0.0.1, and the authority that signed it: both paths, PEM.

    The authority's own key is dropped: nothing else can ever be signed by it.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("devstack authority")
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key(), clock=clock)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _certificate(_name(name), authority_name, key.public_key(), clock=clock)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(authority_key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    identity_path, authority_path = folder / f"{name}.pem", folder / "authority.pem"
    write_private(identity_path, (private + certificate.public_bytes(Encoding.PEM)).decode())
    write_private(authority_path, authority.public_bytes(Encoding.PEM).decode())
    return identity_path, authority_path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, clock: Clock
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=_VALID_DAYS))
    )
