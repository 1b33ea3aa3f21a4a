"""The batch proof: every message proves itself alone, and nothing that was changed proves anything."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.envelope.batch import RootCache, covered_bytes, sign_batch, signed_bytes, verify
from shared.envelope.headers import BATCH_SIZE_MAX, Envelope, decode_headers, encode_headers
from shared.envelope.keys import SigningKey, VerifyKey
from shared.kernel.errors import Defect, Refused
from shared.ledger.tree import leaf_hash
from tests.shared.envelope.builders import BODY, EVERY, KEY, attributes, batch, keys_of, with_everything

OTHER_KEY = SigningKey(bytes(range(1, 33)))


class CountingKey(VerifyKey):
    """A verify key that counts its signature checks."""

    __slots__ = ("checks",)

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.checks = 0

    def verify(self, signature: bytes, data: bytes) -> None:
        self.checks += 1
        super().verify(signature, data)


def known(sender: str, key_id: str) -> VerifyKey | None:
    return keys_of(KEY.verify_key).get((sender, key_id))


def verdict(envelope: Envelope, cache: RootCache | None = None) -> str:
    """`ok`, or the code of the refusal."""
    try:
        verify(envelope, known, RootCache() if cache is None else cache)
    except Refused as refused:
        return refused.code
    return "ok"


def received(envelope: Envelope, name: str, value: bytes, *, body: bytes) -> str:
    """The verdict over what arrives when one header was replaced on the way."""
    headers = [(each, value if each == name else old) for each, old in encode_headers(envelope)]
    try:
        return verdict(decode_headers(headers, body))
    except Refused as refused:
        return refused.code


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("size", range(1, 71))
def test_every_message_of_a_batch_of_any_size_verifies_alone(size: int) -> None:
    assert [verdict(envelope) for envelope in batch(size)] == ["ok"] * size


def test_a_batch_of_one_is_a_signature_with_an_empty_path() -> None:
    [envelope] = batch(1)
    assert envelope.proof is not None
    assert envelope.proof.path == ()
    assert envelope.proof.root == leaf_hash(covered_bytes(envelope.attributes, envelope.body))


def test_a_batch_of_none_needs_no_signature() -> None:
    assert sign_batch([], KEY) == []


def test_a_batch_larger_than_a_proof_can_carry_is_a_defect() -> None:
    with pytest.raises(Defect):
        sign_batch([b""] * (BATCH_SIZE_MAX + 1), KEY)


def test_what_is_signed_names_context_root_and_size() -> None:
    assert signed_bytes(bytes(32), 7) == b"causeway-batch/v1\n" + b"00" * 32 + b"\n7\n"


@pytest.mark.parametrize("name", EVERY)
def test_a_changed_bit_anywhere_in_a_header_is_refused(name: str) -> None:
    envelope = with_everything()
    assert {each for each, _ in encode_headers(envelope)} == set(EVERY)
    value = dict(encode_headers(envelope))[name]
    assert received(envelope, name, value, body=envelope.body) == "ok"
    verdicts = [received(envelope, name, flipped(value, bit), body=envelope.body) for bit in range(len(value) * 8)]
    assert "ok" not in verdicts


def test_a_changed_bit_anywhere_in_the_body_is_refused() -> None:
    envelope = batch(11)[6]
    bits = range(len(envelope.body) * 8)
    assert {verdict(replace(envelope, body=flipped(envelope.body, bit))) for bit in bits} == {"signature_invalid"}


@given(size=st.integers(1, 70), data=st.data())
def test_a_changed_bit_is_refused_even_when_the_root_is_cached(size: int, data: st.DataObject) -> None:
    envelopes = batch(size)
    envelope = data.draw(st.sampled_from(envelopes))
    cache = RootCache()
    assert {verdict(each, cache) for each in envelopes} == {"ok"}
    assert envelope.proof is not None
    part = data.draw(st.sampled_from(["body", "root", "signature"] + ["path"] * bool(envelope.proof.path)))
    if part == "body":
        changed = replace(envelope, body=flipped(envelope.body, data.draw(st.integers(0, len(envelope.body) * 8 - 1))))
    elif part == "path":
        step = data.draw(st.integers(0, len(envelope.proof.path) - 1))
        path = list(envelope.proof.path)
        path[step] = flipped(path[step], data.draw(st.integers(0, 255)))
        changed = replace(envelope, proof=replace(envelope.proof, path=tuple(path)))
    else:
        old: bytes = getattr(envelope.proof, part)
        bit = data.draw(st.integers(0, len(old) * 8 - 1))
        changes: dict[str, Any] = {part: flipped(old, bit)}
        changed = replace(envelope, proof=replace(envelope.proof, **changes))
    assert verdict(changed, cache) == "signature_invalid"


def test_a_proof_moved_to_another_message_of_its_batch_is_refused() -> None:
    first, second, *_ = batch(5)
    assert verdict(replace(first, proof=second.proof)) == "signature_invalid"


def test_a_message_without_a_proof_is_refused() -> None:
    assert verdict(Envelope(attributes(), None, BODY)) == "proof_missing"


def test_a_key_that_the_directory_does_not_know_is_refused() -> None:
    [envelope] = batch(1, key=OTHER_KEY)
    assert verdict(envelope) == "key_unknown"


def test_a_key_of_another_party_signs_nothing_for_the_sender_named() -> None:
    draft = attributes(sender="hotline-z")
    [proof] = sign_batch([covered_bytes(draft, BODY)], KEY)
    assert verdict(Envelope(draft, proof, BODY)) == "key_unknown"


def test_a_directory_that_answers_with_another_key_is_not_believed() -> None:
    [envelope] = batch(1)
    with pytest.raises(Refused) as caught:
        verify(envelope, lambda _sender, _key_id: OTHER_KEY.verify_key, RootCache())
    assert caught.value.code == "key_unknown"


def test_a_message_signed_with_a_key_it_does_not_name_is_refused() -> None:
    draft = attributes()
    [proof] = sign_batch([covered_bytes(draft, BODY)], OTHER_KEY)
    assert verdict(Envelope(draft, proof, BODY)) == "signature_invalid"


def test_a_batch_costs_its_recipient_one_signature_check() -> None:
    key, cache = CountingKey(b64decode(KEY.verify_key.text())), RootCache()
    for envelope in batch(50):
        verify(envelope, lambda _sender, _key_id: key, cache)
    assert key.checks == 1


def test_without_a_cached_root_every_message_costs_a_signature_check() -> None:
    key = CountingKey(b64decode(KEY.verify_key.text()))
    for envelope in batch(50):
        verify(envelope, lambda _sender, _key_id: key, RootCache())
    assert key.checks == 50


def test_a_withdrawn_key_is_refused_although_its_root_is_cached() -> None:
    first, second = batch(2)
    cache = RootCache()
    verify(first, known, cache)
    with pytest.raises(Refused) as caught:
        verify(second, lambda _sender, _key_id: None, cache)
    assert caught.value.code == "key_unknown"


def test_a_refused_root_is_not_cached() -> None:
    [envelope] = batch(1)
    cache = RootCache()
    assert envelope.proof is not None
    forged = replace(envelope, proof=replace(envelope.proof, signature=bytes(64)))
    assert [verdict(forged, cache), verdict(forged, cache)] == ["signature_invalid"] * 2


def test_a_root_cached_for_one_key_proves_nothing_for_another() -> None:
    [mine] = batch(1)
    theirs = replace(mine, attributes=replace(mine.attributes, key_id=OTHER_KEY.key_id))
    # The other key's owner never signed: the root over their message is only known to be signed by KEY.
    [stolen] = sign_batch([covered_bytes(theirs.attributes, theirs.body)], KEY)
    cache = RootCache()
    cache.check(stolen, KEY.verify_key)
    with pytest.raises(Refused) as caught:
        verify(replace(theirs, proof=stolen), lambda _sender, _key_id: OTHER_KEY.verify_key, cache)
    assert caught.value.code == "signature_invalid"


@pytest.mark.parametrize("changes", [{"root": bytes(32)}, {"size": 9}, {"signature": bytes(64)}])
def test_a_cached_root_vouches_for_that_root_size_and_signature_only(changes: dict[str, Any]) -> None:
    proof = batch(8)[0].proof
    assert proof is not None
    cache = RootCache()
    cache.check(proof, KEY.verify_key)
    with pytest.raises(Refused) as caught:
        cache.check(replace(proof, **changes), KEY.verify_key)
    assert caught.value.code == "signature_invalid"


def test_the_cache_forgets_the_root_that_was_unused_longest() -> None:
    key, cache = CountingKey(b64decode(KEY.verify_key.text())), RootCache(capacity=2)
    kept, dropped, newest = (batch(size)[0] for size in (1, 2, 3))
    for envelope in (kept, dropped, kept, newest, kept):
        verify(envelope, lambda _sender, _key_id: key, cache)
    assert key.checks == 3
    verify(dropped, lambda _sender, _key_id: key, cache)
    assert key.checks == 4
