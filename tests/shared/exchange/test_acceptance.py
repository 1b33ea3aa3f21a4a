"""Signed acceptances: the directory alone proves one, whoever holds it; a changed one proves nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.acceptance import SignedAcceptance
from shared.envelope.base64url import to_base64url
from shared.envelope.keys import SigningKey
from shared.exchange.acceptance import AtAudit, at_audit, check_acceptance, check_body, read_acceptance
from shared.exchange.compose import Acceptor
from shared.guard import edition
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.routing.shelf import read_directory
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import SINCE, World, move, public_key, world
from tests.support.foreign_proofs import foreign_verdicts

BODY = b'{"external_ref":"ref-2026-0815"}'
DELAY_S = 86_400


@pytest.fixture(scope="module")
def here() -> World:
    return world()


@pytest.fixture(scope="module")
def acceptance(here: World) -> SignedAcceptance:
    acceptor = Acceptor("hotline", here.keys["hotline"].signing, edition(), merge_delay_s=DELAY_S)
    return acceptor.accept(uuid7(), HOTLINE, body_sha256=digest(BODY), at=AT)


def refusal(here: World, stated: dict[str, Any]) -> str | None:
    """The code that an acceptance is refused with, None if it holds."""
    try:
        check_acceptance(read_acceptance(json.dumps(stated).encode()), here.documents.directory, at=AT)
    except Refused as error:
        return error.code
    return None


def changes(stated: dict[str, Any]) -> list[dict[str, Any]]:
    """The acceptance with each character of each member changed to its neighbour, and each number by one."""
    changed: list[dict[str, Any]] = []
    for name, value in stated.items():
        if isinstance(value, int):
            changed.append(stated | {name: value + 1})
            continue
        for at, character in enumerate(value):
            changed.append(stated | {name: value[:at] + chr(ord(character) ^ 1) + value[at + 1 :]})
    return changed


def test_it_holds_by_the_directory_alone_here_and_in_node(here: World, acceptance: SignedAcceptance) -> None:
    stated = acceptance.model_dump(mode="json")
    assert refusal(here, stated) is None
    assert foreign_verdicts(here.document, acceptance=[stated]) == [True]
    named = {"version", "instance", "party", "referral_id", "body_sha256", "guard", "accepted_at", "merge_delay_s"}
    assert named < stated.keys()


def test_whatever_is_changed_in_it_it_is_refused_here_and_in_node(here: World, acceptance: SignedAcceptance) -> None:
    forged = changes(acceptance.model_dump(mode="json"))
    assert len(forged) > 300
    assert {refusal(here, each) for each in forged} == {
        *("signature_invalid", "key_unknown", "acceptance_malformed", "proof_of_later_release")
    }
    assert not any(foreign_verdicts(here.document, acceptance=forged))


@pytest.mark.parametrize("version", [0, -1, "x", "1", None, True, 1.0, 2.0])
def test_what_is_no_number_of_a_version_is_malformed(
    here: World, acceptance: SignedAcceptance, version: object
) -> None:
    stated = acceptance.model_dump(mode="json")
    assert refusal(here, stated) is None
    assert refusal(here, stated | {"version": version}) == "acceptance_malformed"
    assert refusal(here, stated | {"version": 2}) == "proof_of_later_release"


def test_another_key_of_the_directory_signs_for_its_own_instance_alone(here: World) -> None:
    acceptor = Acceptor("hotline", here.keys["industry"].signing, edition(), merge_delay_s=DELAY_S)
    stated = acceptor.accept(uuid7(), HOTLINE, body_sha256=digest(BODY), at=AT).model_dump(mode="json")
    assert refusal(here, stated) == "key_unknown"
    assert foreign_verdicts(here.document, acceptance=[stated]) == [False]


def test_a_key_that_the_directory_does_not_have_proves_nothing(here: World) -> None:
    acceptor = Acceptor("hotline", SigningKey.generate(), edition(), merge_delay_s=DELAY_S)
    stated = acceptor.accept(uuid7(), HOTLINE, body_sha256=digest(BODY), at=AT).model_dump(mode="json")
    assert refusal(here, stated) == "key_unknown"


@pytest.mark.parametrize(("valid_days", "code"), [(1, None), (-1, "key_unknown")], ids=["rotated since", "before"])
def test_it_holds_after_the_key_was_replaced_if_the_key_was_valid_then(
    here: World, acceptance: SignedAcceptance, valid_days: int, code: str | None
) -> None:
    old, new = here.keys["hotline"].signing.verify_key, SigningKey.generate().verify_key
    ends = AT + timedelta(days=valid_days)
    keys = (public_key(old, "sign", valid_to=ends), public_key(new, "sign", valid_from=SINCE))
    instances = tuple(
        each.model_copy(update={"keys": keys}) if each.id == "hotline" else each for each in here.document.instances
    )
    rotated = here.document.model_copy(update={"instances": instances})
    directory = read_directory(rotated.model_dump_json(exclude_none=True).encode())
    if code is None:
        check_acceptance(acceptance, directory, at=AT)
    else:
        with pytest.raises(Refused, match=code):
            check_acceptance(acceptance, directory, at=AT)
    assert foreign_verdicts(rotated, acceptance=[acceptance.model_dump(mode="json")]) == [code is None]


def test_it_holds_after_the_party_has_moved_and_is_nobodys_who_never_served_it() -> None:
    """By the directory of now: what was accepted before the move is still the word of who accepted it."""
    moved = world()
    own = Acceptor("hotline", moved.keys["hotline"].signing, edition(), merge_delay_s=DELAY_S)
    stranger = Acceptor("industry", moved.keys["industry"].signing, edition(), merge_delay_s=DELAY_S)
    kept, foreign = (each.accept(uuid7(), HOTLINE, body_sha256=digest(BODY), at=AT) for each in (own, stranger))
    document = move(moved)
    assert moved.documents.directory.served_before("hotline", HOTLINE)
    check_acceptance(kept, moved.documents.directory, at=AT)
    with pytest.raises(Refused, match="instance_not_of_party"):
        check_acceptance(foreign, moved.documents.directory, at=AT)
    stated = [each.model_dump(mode="json") for each in (kept, foreign)]
    assert foreign_verdicts(document, acceptance=stated) == [True, False]


def test_one_that_is_dated_ahead_is_refused(here: World, acceptance: SignedAcceptance) -> None:
    """Else an operator could date its word so that nobody ever sees it broken. Clocks may differ by five minutes."""
    check_acceptance(acceptance, here.documents.directory, at=AT - timedelta(minutes=5))
    with pytest.raises(Refused, match="acceptance_ahead"):
        check_acceptance(acceptance, here.documents.directory, at=AT - timedelta(minutes=6))


def test_a_batch_signature_is_never_an_acceptance(here: World, acceptance: SignedAcceptance) -> None:
    key = here.keys["hotline"].signing
    stated = acceptance.model_dump(mode="json")
    bare = json.dumps({k: v for k, v in stated.items() if k not in ("key_id", "signature")}, sort_keys=True)
    for context in ("causeway-batch/v1", "causeway-document/v1"):
        signed = key.sign(f"{context}\n{bare.replace(' ', '')}".encode())
        assert refusal(here, stated | {"signature": to_base64url(signed)}) == "signature_invalid"


def test_the_body_is_the_one_accepted_byte_for_byte(acceptance: SignedAcceptance) -> None:
    check_body(acceptance, [b"another", BODY])
    with pytest.raises(Refused, match="body_mismatch"):
        check_body(acceptance, [BODY + b" "])


def test_what_audit_has_of_it_decides_once_the_merge_delay_is_over(acceptance: SignedAcceptance) -> None:
    soon, late = AT + timedelta(seconds=DELAY_S), AT + timedelta(seconds=DELAY_S, milliseconds=1)
    assert at_audit(acceptance, [], at=soon) is AtAudit.DUE
    assert at_audit(acceptance, [], at=late) is AtAudit.MISSING
    assert at_audit(acceptance, ["0" * 64], at=soon) is AtAudit.DIFFERENT
    assert at_audit(acceptance, ["0" * 64, digest(BODY)], at=late) is AtAudit.FOUND
