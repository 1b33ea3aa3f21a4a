"""Keys: which ones load, which are refused, and that secrets are never shown."""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey
from shared.core.envelope.keys import OpeningKey, SealingKey, SigningKey, SuiteName, VerifyKey
from shared.core.errors import Refused

RAW = bytes(range(32))
SUITES: list[SuiteName] = ["x25519", "mlkem768-x25519"]
PEM_HEAD = "-----BEGIN PRIVATE KEY-----\n"


def private_pem(key: Ed25519PrivateKey | X25519PrivateKey, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def public_pem(key: Ed25519PrivateKey | X25519PrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


ED25519, X25519 = Ed25519PrivateKey.from_private_bytes(RAW), X25519PrivateKey.from_private_bytes(RAW)


def test_the_rfc_8032_test_key_gives_the_public_key_and_signature_of_the_rfc() -> None:
    # RFC 8032 §7.1, test 2
    key = SigningKey(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert b64decode(key.verify_key.text()).hex() == public
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_signing_key_is_the_same_key_however_it_is_loaded() -> None:
    texts = [SigningKey(RAW).secret_text(), private_pem(ED25519), b64encode(RAW).decode() + "\n"]
    assert {SigningKey.load(text).verify_key.text() for text in texts} == {SigningKey(RAW).verify_key.text()}


def test_a_verify_key_is_the_same_key_however_it_is_loaded() -> None:
    public = SigningKey(RAW).verify_key
    assert {VerifyKey.load(text).text() for text in (public.text(), public_pem(ED25519))} == {public.text()}


@pytest.mark.parametrize("suite", SUITES)
def test_an_opening_key_survives_its_text_form(suite: SuiteName) -> None:
    key = OpeningKey.generate(suite)
    again = OpeningKey.load(key.secret_text())
    assert (again.key_id, again.suite, again.secret_text()) == (key.key_id, suite, key.secret_text())
    assert SealingKey.load(key.sealing_key.text()).key_id == key.key_id


def test_an_x25519_key_loads_from_pem() -> None:
    assert OpeningKey.load(private_pem(X25519)).secret_text() == b64encode(RAW).decode()
    assert SealingKey.load(public_pem(X25519)).key_id == OpeningKey(RAW).key_id


def test_a_key_id_names_the_algorithm_and_the_public_key() -> None:
    ids = [SigningKey(RAW).key_id, OpeningKey(RAW).key_id, OpeningKey(RAW * 3).key_id]
    assert [key_id.rsplit("-", 1)[0] for key_id in ids] == ["ed25519", "x25519", "mlkem768-x25519"]
    assert {len(key_id.rsplit("-", 1)[1]) for key_id in ids} == {32}
    assert SigningKey(RAW).key_id == SigningKey(RAW).verify_key.key_id != SigningKey(RAW[::-1]).key_id


@pytest.mark.parametrize("load", [SigningKey.load, VerifyKey.load, OpeningKey.load, SealingKey.load])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64 at all",
        "ключ",
        b64encode(RAW[:31]).decode(),
        b64encode(RAW + RAW).decode(),
        b64encode(RAW).decode().replace("A", "A!", 1),
        b64encode(RAW + RAW[:1]).decode(),
        PEM_HEAD + "AAAA\n-----END PRIVATE KEY-----\n",
        PEM_HEAD,
    ],
)
def test_a_text_that_is_no_key_is_refused(load: Callable[[str], object], text: str) -> None:
    with pytest.raises(Refused, match="key_malformed"):
        load(text)


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (SigningKey.load, private_pem(X25519)),
        (OpeningKey.load, private_pem(ED25519)),
        (VerifyKey.load, public_pem(X25519)),
        (SealingKey.load, public_pem(ED25519)),
        (VerifyKey.load, private_pem(ED25519)),
        (SigningKey.load, public_pem(ED25519)),
        (SigningKey.load, private_pem(ED25519, password=b"password")),
        (OpeningKey.load, private_pem(X25519, password=b"password")),
    ],
)
def test_a_key_of_another_kind_is_refused(load: Callable[[str], object], text: str) -> None:
    with pytest.raises(Refused, match="key_malformed"):
        load(text)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_a_sealing_key_of_small_order_is_refused_when_it_is_loaded(point: bytes) -> None:
    with pytest.raises(Refused, match="key_malformed"):
        SealingKey(point)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_signature_of_any_length_that_is_not_the_keys_is_refused(signature: bytes) -> None:
    with pytest.raises(Refused, match="signature_invalid"):
        SigningKey(RAW).verify_key.verify(signature, b"data")


@pytest.mark.parametrize(
    "key", [SigningKey(RAW), OpeningKey(RAW), OpeningKey(RAW * 3), DataKey(RAW), KeyEncryptionKey(RAW)], ids=repr
)
def test_a_secret_appears_in_no_text_of_its_key_and_cannot_be_pickled(key: object) -> None:
    shown = repr(key) + str(key) + f"{key}"
    assert all(form not in shown for form in (RAW.hex(), b64encode(RAW).decode()[:20], repr(RAW)[2:20]))
    with pytest.raises(TypeError):
        pickle.dumps(key)
