"""Signed acceptances: the directory alone proves one, for any holder. A changed one proves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.core.canonical import canonical_json, digest, signed_statement
from shared.core.contracts.evidence import SignedAcceptance
from shared.core.envelope.base64url import to_base64url
from shared.core.envelope.content_proof import MessageProof, signed_bytes
from shared.core.envelope.keys import KEY_OPERATIONS, SigningKey
from shared.core.errors import Refused
from shared.core.guard import edition
from shared.core.ids import uuid7
from shared.core.protocol.acceptance import (
    CONTEXT,
    AcceptedItem,
    Acceptor,
    AuditState,
    at_audit,
    check_acceptance,
    check_body,
    read_acceptance,
)
from tests.shared.core.test_evidence import index, rotated
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import World, move, world
from tests.support.foreign_proofs import foreign_verdicts

BODY = b'{"external_ref":"ref-2026-0815"}'
DELAY_S = 86_400
FOREIGN = Path(__file__).parents[3] / "support" / "foreign_verifier.py"


def accepted(key: SigningKey, *, instance: str = "hotline", count: int = 1) -> list[SignedAcceptance]:
    """Return the acceptances of several referrals that `instance` accepts in one transaction."""
    acceptor = Acceptor(instance, key, edition(), merge_delay_s=DELAY_S)
    items = [AcceptedItem(uuid7(), HOTLINE, digest(BODY)) for _ in range(count)]
    return [SignedAcceptance.model_validate(each) for each in acceptor.accept(items, at=AT)]


@pytest.fixture(scope="module")
def acceptance(here: World) -> SignedAcceptance:
    return accepted(here.keys["hotline"].signing)[0]


def refusal(here: World, stated: dict[str, Any]) -> str | None:
    """Return the code with which an acceptance is refused, or None if it is valid."""
    try:
        check_acceptance(read_acceptance(json.dumps(stated).encode()), here.documents.directory, at=AT)
    except Refused as error:
        return error.code
    return None


def changes(value: Any) -> Iterator[Any]:
    """Yield variants of the value: each character and number changed to its neighbour, each list cut."""
    match value:
        case int():
            yield value + 1
        case str():
            yield from (value[:at] + chr(ord(each) ^ 1) + value[at + 1 :] for at, each in enumerate(value))
        case dict():
            yield from (value | {name: changed} for name, each in value.items() for changed in changes(each))
        case _:
            yield from (
                [*value[:at], changed, *value[at + 1 :]] for at, each in enumerate(value) for changed in changes(each)
            )
            yield from ([*value[:at], *value[at + 1 :]] for at in range(len(value)))
            yield [*value, value[0]]


def verified_in_python(here: World, stated: list[dict[str, Any]]) -> list[bool]:
    """Return the verdicts of a verifier that has `cryptography` and no code of the project."""
    key = here.keys["hotline"].signing.verify_key
    asked = json.dumps({"keys": {key.key_id: key.text()}, "messages": [], "acceptances": stated})
    command = [sys.executable, "-I", str(FOREIGN)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=180, check=False)
    assert done.stderr == ""
    return [line.endswith(" ok") for line in done.stdout.splitlines()]


def test_it_holds_by_the_directory_alone_here_and_in_node(here: World, acceptance: SignedAcceptance) -> None:
    stated = acceptance.model_dump(mode="json")
    assert refusal(here, stated) is None
    assert foreign_verdicts(here.document, acceptance=[stated]) == [True]
    assert verified_in_python(here, [stated]) == [True]
    named = {"version", "instance", "party", "referral_id", "body_sha256", "guard", "accepted_at", "merge_delay_s"}
    assert named < stated.keys()


def test_whatever_is_changed_in_it_it_is_refused_here_and_in_node(here: World, acceptance: SignedAcceptance) -> None:
    forged = list(changes(acceptance.model_dump(mode="json")))
    assert len(forged) > 600
    assert {refusal(here, each) for each in forged} == {
        *("signature_invalid", "key_unknown", "acceptance_malformed", "proof_of_later_release")
    }
    assert not any(foreign_verdicts(here.document, acceptance=forged))
    kept = [each for each in forged if each["instance"] == "hotline"]  # the verifier in Python knows no instances
    assert not any(verified_in_python(here, kept))


@pytest.mark.parametrize(("count", "size", "signatures"), [(1, 16, 1), (15, 16, 1), (16, 256, 1), (257, 256, 2)])
def test_one_signature_is_made_for_all_of_a_transaction(here: World, count: int, size: int, signatures: int) -> None:
    before = KEY_OPERATIONS.signed
    given = accepted(here.keys["hotline"].signing, count=count)
    assert KEY_OPERATIONS.signed - before == signatures
    assert len({each.proof.signature for each in given}) == signatures
    assert given[0].proof.size == size
    stated = [each.model_dump(mode="json") for each in given]
    assert {refusal(here, each) for each in stated} == {None}
    assert all(foreign_verdicts(here.document, acceptance=stated))
    assert all(verified_in_python(here, stated))


def test_an_acceptance_does_not_tell_how_many_others_were_accepted_with_it(here: World) -> None:
    """The tree and the path have one size for one referral and for fifteen. Positions are drawn at random."""
    key = here.keys["hotline"].signing
    alone = [accepted(key)[0] for _ in range(64)]
    beside = accepted(key, count=15)
    assert {(each.proof.size, len(each.proof.path)) for each in (*alone, *beside)} == {(16, 4)}
    assert len({each.proof.position for each in alone}) > 4
    assert len({each.salt for each in (*alone, *beside)}) == 79


def test_the_proof_of_a_neighbour_does_not_hold_for_another_referral(here: World) -> None:
    first, second = (each.model_dump(mode="json") for each in accepted(here.keys["hotline"].signing, count=2))
    for swapped in (
        {"proof": second["proof"]},
        {"salt": second["salt"]},
        {"salt": second["salt"], "proof": second["proof"]},
    ):
        assert refusal(here, first | swapped) == "signature_invalid"
    assert refusal(here, second | {"salt": second["salt"], "proof": second["proof"]}) is None


def test_another_instances_key_and_one_that_the_directory_does_not_have_prove_nothing(here: World) -> None:
    for key in (here.keys["industry"].signing, SigningKey.generate()):
        stated = accepted(key)[0].model_dump(mode="json")
        assert refusal(here, stated) == "key_unknown"
        assert foreign_verdicts(here.document, acceptance=[stated]) == [False]


@pytest.mark.parametrize(("valid_days", "code"), [(1, None), (-1, "key_unknown")], ids=["rotated since", "before"])
def test_it_holds_after_the_key_was_replaced_if_the_key_was_valid_then(
    here: World, acceptance: SignedAcceptance, valid_days: int, code: str | None
) -> None:
    document = rotated(here, "hotline", ended=timedelta(days=valid_days))
    if code is None:
        check_acceptance(acceptance, index(document), at=AT)
    else:
        with pytest.raises(Refused, match=code):
            check_acceptance(acceptance, index(document), at=AT)
    assert foreign_verdicts(document, acceptance=[acceptance.model_dump(mode="json")]) == [code is None]


def test_it_holds_after_the_party_has_moved_and_is_nobodys_who_never_served_it() -> None:
    """The present directory proves an older acceptance under the instance that served the party then."""
    moved = world()
    kept, foreign = (accepted(moved.keys[name].signing, instance=name)[0] for name in ("hotline", "industry"))
    document = move(moved)
    assert moved.documents.directory.served_before("hotline", HOTLINE)
    check_acceptance(kept, moved.documents.directory, at=AT)
    with pytest.raises(Refused, match="instance_not_of_party"):
        check_acceptance(foreign, moved.documents.directory, at=AT)
    stated = [each.model_dump(mode="json") for each in (kept, foreign)]
    assert foreign_verdicts(document, acceptance=stated) == [True, False]


def test_one_that_is_dated_ahead_is_refused(here: World, acceptance: SignedAcceptance) -> None:
    """Otherwise an operator could post-date an acceptance, and its breach would never show.

    Clocks may differ by five minutes.
    """
    check_acceptance(acceptance, here.documents.directory, at=AT - timedelta(minutes=5))
    with pytest.raises(Refused, match="acceptance_ahead"):
        check_acceptance(acceptance, here.documents.directory, at=AT - timedelta(minutes=6))


def test_a_batch_signature_is_never_an_acceptance(here: World, acceptance: SignedAcceptance) -> None:
    """Two forgeries: the tree signed as the content of a segment, and the root signed under another context."""
    key = here.keys["hotline"].signing
    stated = acceptance.model_dump(mode="json")
    proof = MessageProof.read(acceptance.proof, acceptance.salt)
    bare = canonical_json({name: value for name, value in stated.items() if name not in ("salt", "proof")})
    head = proof.derive_root(bare)
    root = {
        "instance": acceptance.instance,
        "key_id": key.key_id,
        "accepted_at": stated["accepted_at"],
        "size": proof.size,
        "root": head.hex(),
    }
    elsewhere = [signed_bytes(head, proof.size), bare, signed_statement(CONTEXT, json.loads(bare))]
    elsewhere += [signed_statement(context, root) for context in ("causeway-document/v1", "causeway-evidence/v1")]
    for signed in elsewhere:
        forged = stated["proof"] | {"signature": to_base64url(key.sign(signed))}
        assert refusal(here, stated | {"proof": forged}) == "signature_invalid"
    own = stated["proof"] | {"signature": to_base64url(key.sign(signed_statement(CONTEXT, root)))}
    assert refusal(here, stated | {"proof": own}) is None


def test_the_body_is_the_one_accepted_byte_for_byte(acceptance: SignedAcceptance) -> None:
    check_body(acceptance, [b"another", BODY])
    with pytest.raises(Refused, match="body_mismatch"):
        check_body(acceptance, [BODY + b" "])


def test_what_audit_has_of_it_decides_once_the_merge_delay_is_over(acceptance: SignedAcceptance) -> None:
    soon, late = AT + timedelta(seconds=DELAY_S), AT + timedelta(seconds=DELAY_S, milliseconds=1)
    assert at_audit(acceptance, [], at=soon) is AuditState.DUE
    assert at_audit(acceptance, [], at=late) is AuditState.MISSING
    assert at_audit(acceptance, ["0" * 64], at=soon) is AuditState.DIFFERENT
    assert at_audit(acceptance, ["0" * 64, digest(BODY)], at=late) is AuditState.FOUND
