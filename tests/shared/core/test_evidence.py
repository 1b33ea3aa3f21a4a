"""Evidence of a message: the directory alone proves it, also in another language.

With any bit changed it proves nothing.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core import evidence as witnessing
from shared.core.contracts.directory import Directory
from shared.core.envelope.attributes import (
    EXTENSION_CHARACTERS_MAX,
    EXTENSIONS_CHARACTERS_MAX,
    EXTENSIONS_MAX,
    TEXT_CHARACTERS_MAX,
)
from shared.core.envelope.headers import COVERED, PLACE, TRACEPARENT
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Defect, Refused
from shared.core.evidence import Witness, check_evidence, read_evidence
from shared.core.protocol.accept import RECORD_BYTES_MAX
from shared.core.protocol.message import Record
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import read_directory
from shared.core.vocabulary.proofs import NotProven, Proven
from shared.delivery.arriving import pack, unpack
from shared.messaging.composition import RECORD_BYTES_MAX as SENT_BYTES_MAX
from tests.shared.core.protocol.wrong_records import with_keys
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.exchange_world import SINCE, World, move, public_key, world
from tests.support.foreign_proofs import foreign_verdicts

STATED_AT = AT + timedelta(days=3)


@pytest.fixture(scope="module")
def record(here: World) -> Record:
    """Return a notice as its provider's instance reads it: one of a batch, with a trace."""
    records = here.records(here.prepared().drafts)
    notice = next(each for each in records if each.topic.startswith("causeway.inbox.industry."))
    return replace(notice, headers=(*notice.headers, (TRACEPARENT, b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")))


@pytest.fixture(scope="module")
def witness(here: World) -> Witness:
    return Witness("industry", here.keys["industry"].signing)


@pytest.fixture(scope="module")
def evidence(witness: Witness, record: Record) -> dict[str, Any]:
    return witness.state(record, party=PROVIDER, at=STATED_AT).model_dump(mode="json")


def index(document: Directory) -> DirectoryIndex:
    return read_directory(document.model_dump_json(exclude_none=True).encode())


def refusal(directory: DirectoryIndex, evidence: dict[str, Any]) -> str | None:
    """Return the code with which evidence is refused, or None if it is valid."""
    try:
        (read,) = read_evidence(json.dumps({"version": 1, "evidence": [evidence]}).encode()).evidence
        check_evidence(read, directory)
    except Refused as error:
        return error.code
    return None


def flipped(text: str) -> Iterator[str]:
    """Return the text with one bit changed in each of its characters, a different one in turn."""
    for at, character in enumerate(text):
        yield text[:at] + chr(ord(character) ^ (1 << at % 7)) + text[at + 1 :]


def changes(evidence: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the evidence with one bit changed: in a header's name or value, the value, salt, proof or statement."""
    for at, (name, text) in enumerate(evidence["headers"]):
        others = [*evidence["headers"][:at], *evidence["headers"][at + 1 :]]
        yield evidence | {"headers": others}
        for changed in flipped(text):
            yield evidence | {"headers": [[name, changed], *others]}
        for changed in flipped(name):
            yield evidence | {"headers": [[changed, text], *others]}
    value = b64decode(evidence["value"])
    for at in range(len(value)):
        changed_value = value[:at] + bytes([value[at] ^ (1 << at % 8)]) + value[at + 1 :]
        yield evidence | {"value": b64encode(changed_value).decode()}
    for changed in flipped(evidence["salt"]):
        yield evidence | {"salt": changed}
    for at, step in enumerate(evidence["proof"]["path"]):
        path = evidence["proof"]["path"]
        for changed in flipped(step):
            yield evidence | {"proof": evidence["proof"] | {"path": [*path[:at], changed, *path[at + 1 :]]}}
    for part in ("proof", "statement"):
        for name, stated in evidence[part].items():
            if isinstance(stated, list):
                yield evidence | {part: evidence[part] | {name: stated[1:]}}
                continue
            for other in flipped(stated) if isinstance(stated, str) else [stated + 1]:
                yield evidence | {part: evidence[part] | {name: other}}


def test_it_holds_by_the_directory_alone_here_and_in_node(here: World, evidence: dict[str, Any]) -> None:
    assert refusal(index(here.document), evidence) is None
    assert foreign_verdicts(here.document, evidence=[evidence]) == [True]
    assert evidence["statement"]["broker_time"] == "2026-05-04T12:00:00.000Z"
    assert evidence["statement"]["proven"] == ["sender_signed"]
    assert "arrival" in evidence["statement"]["not_proven"]
    assert TRACEPARENT not in dict(evidence["headers"]), "without a signature"


def test_it_does_not_tell_how_many_others_were_sent_something(here: World, witness: Witness, record: Record) -> None:
    """A stream is shared by all parties of an instance. Its numbers and offsets count the messages to all of them."""
    headers = tuple((name, b"07" * 24 if name == PLACE else text) for name, text in record.headers)
    elsewhere = replace(record, offset=record.offset + 7, headers=headers)
    assert witness.state(elsewhere, party=PROVIDER, at=STATED_AT) == witness.state(record, party=PROVIDER, at=STATED_AT)


def test_a_bit_changed_anywhere_is_refused_here_and_in_node(here: World, evidence: dict[str, Any]) -> None:
    forged = list(changes(evidence))
    assert len(forged) > 2000
    directory = index(here.document)
    assert [each for each in forged if refusal(directory, each) is None] == []
    assert not any(foreign_verdicts(here.document, evidence=forged))


def rotated(here: World, name: str, *, ended: timedelta) -> Directory:
    """Return the directory after the instance's signing key was replaced.

    The old key stays, with the end of its validity.
    """
    old, new = here.keys[name].signing.verify_key, SigningKey.generate().verify_key
    keys = (public_key(old, "sign", valid_to=AT + ended), public_key(new, "sign", valid_from=SINCE))
    entries = tuple(
        each.model_copy(update={"keys": keys}) if each.id == name else each for each in here.document.instances
    )
    return here.document.model_copy(update={"instances": entries})


@pytest.mark.parametrize(
    ("name", "ended", "code"),
    [
        ("hotline", timedelta(minutes=1), None),
        ("hotline", timedelta(minutes=-1), "key_unknown"),
        ("industry", timedelta(days=4), None),
        ("industry", timedelta(days=2), "statement_key_unknown"),
    ],
    ids=["sender's, since", "sender's, before it arrived", "recipient's, since", "recipient's, before it was stated"],
)
def test_it_holds_after_a_key_was_replaced_if_the_key_was_valid_then(
    here: World, evidence: dict[str, Any], name: str, ended: timedelta, code: str | None
) -> None:
    document = rotated(here, name, ended=ended)
    assert refusal(index(document), evidence) == code
    assert foreign_verdicts(document, evidence=[evidence]) == [code is None]


@pytest.mark.parametrize(
    ("name", "code"),
    [("hotline", "key_unknown"), ("industry", "statement_key_unknown")],
    ids=["sender's", "recipient's"],
)
def test_it_does_not_hold_once_a_key_was_revoked(here: World, evidence: dict[str, Any], name: str, code: str) -> None:
    """The signing time does not matter, because a thief can state any time."""
    document = with_keys(here.document, name, "", revoked_at=SINCE)
    assert refusal(index(document), evidence) == code
    assert foreign_verdicts(document, evidence=[evidence]) == [False]


@pytest.mark.parametrize("party", [HOTLINE, PROVIDER], ids=["its sender", "its recipient"])
def test_it_holds_after_a_party_has_moved(party: str) -> None:
    """A message that was answered for good stays at the old instance, which states it.

    The present directory names that instance.
    """
    moved = world()
    (record,) = moved.records([moved.offered(PROVIDER)])
    stated = Witness("industry", moved.keys["industry"].signing).state(record, party=PROVIDER, at=STATED_AT)
    document = move(moved, party)
    assert refusal(moved.documents.directory, stated.model_dump(mode="json")) is None
    assert foreign_verdicts(document, evidence=[stated.model_dump(mode="json")]) == [True]


def test_another_instances_statement_about_the_same_message_is_its_own(here: World, record: Record) -> None:
    """An instance states evidence under its own name.

    It cannot use the name of the instance that received the message.
    """
    stated = Witness("industry", here.keys["law_enforcement"].signing).state(record, party=PROVIDER, at=STATED_AT)
    assert refusal(index(here.document), stated.model_dump(mode="json")) == "statement_key_unknown"


def test_the_statement_of_one_message_is_not_that_of_another(
    here: World, witness: Witness, evidence: dict[str, Any]
) -> None:
    (other,) = here.records([here.offered(PROVIDER)])
    stated = witness.state(other, party=PROVIDER, at=STATED_AT).model_dump(mode="json")
    mixed = evidence | {"statement": stated["statement"]}
    assert refusal(index(here.document), mixed) == "statement_mismatch"
    assert foreign_verdicts(here.document, evidence=[mixed]) == [False]


def test_evidence_of_what_went_to_another_party_is_never_stated(witness: Witness, record: Record) -> None:
    with pytest.raises(Defect, match="evidence_of_another"):
        witness.state(record, party="provider-002.example", at=AT)


def test_what_is_kept_of_a_record_is_all_that_evidence_needs(witness: Witness, record: Record) -> None:
    assert unpack(pack(record)) == record
    kept = witness.state(unpack(pack(record)), party=PROVIDER, at=STATED_AT)
    assert kept == witness.state(record, party=PROVIDER, at=STATED_AT)


def test_evidence_of_a_record_without_proof_is_never_stated(witness: Witness, record: Record) -> None:
    with pytest.raises(Defect, match="evidence_of_another"):
        witness.state(replace(record, proof=None), party=PROVIDER, at=AT)


def test_two_providers_of_one_referral_share_no_byte_of_evidence(here: World, witness: Witness) -> None:
    """Both proofs differ. Otherwise two providers could compare them and find that they share a referral."""
    items = [
        {
            "locator": {"kind": "url", "value": f"https://images.example/{number}"},
            "site_type": "imagehost",
            "hosting": [{"provider": provider, "jurisdiction": "NL"}],
            "assessments": [{"scheme": "interpol_baseline", "value": "baseline"}],
        }
        for number, provider in enumerate((PROVIDER, "provider-002.example"))
    ]
    records = here.records(here.prepared(items=items).drafts)
    notices = [each for each in records if each.topic.startswith("causeway.inbox.industry.")]
    parties = [(dict(each.headers)["ce_recipient"] or b"").decode() for each in notices]
    assert len(set(parties)) == 2
    one, other = (witness.state(each, party=to, at=STATED_AT) for each, to in zip(notices, parties, strict=True))
    assert one.salt != other.salt
    assert one.proof.signature != other.proof.signature
    assert not {*one.proof.path} & {*other.proof.path}
    assert notices[0].wrap != notices[1].wrap


def largest(here: World, record: Record) -> Record:
    """Return the largest possible record: a value of 64 KiB, and extensions that JSON escapes.

    No other part can be longer.
    """
    extensions = tuple((f"ce_x{number:019}", '"' * 512) for number in range(EXTENSIONS_MAX))
    assert sum(len(value) for _, value in extensions) == EXTENSIONS_CHARACTERS_MAX
    return here.resigned(record, body=b"x" * RECORD_BYTES_MAX, extensions=extensions)


def test_what_a_message_of_a_later_release_has_more_is_evidence_here_and_in_node(
    here: World, witness: Witness, record: Record
) -> None:
    """This includes a single header that is longer than any header that this release writes."""
    signed = here.resigned(record, extensions=(("ce_xsig", "a" * EXTENSION_CHARACTERS_MAX),))
    stated = [
        witness.state(each, party=PROVIDER, at=STATED_AT).model_dump(mode="json")
        for each in (signed, largest(here, record))
    ]
    assert [refusal(index(here.document), each) for each in stated] == [None, None]
    assert foreign_verdicts(here.document, evidence=stated) == [True, True]


def test_the_largest_message_fits_on_kafka(here: World, record: Record) -> None:
    message = largest(here, record)
    others = 2 * len(COVERED) * TEXT_CHARACTERS_MAX
    on_kafka = len(message.value or b"") + sum(len(name) + len(value or b"") for name, value in message.headers)
    assert on_kafka + others < SENT_BYTES_MAX


def test_evidence_in_the_form_of_a_later_release_is_named_as_that(evidence: dict[str, Any]) -> None:
    for version, code in ((2, "proof_of_later_release"), (10**30, "proof_of_later_release"), (1, "evidence_malformed")):
        with pytest.raises(Refused, match=code):
            read_evidence(json.dumps({"version": version, "evidence": [evidence], "more": 1}).encode())


@pytest.mark.parametrize("version", ["0", "-1", '"x"', '"1"', "null", "true", "1.0", "2.0", "2e0", "[2]"])
def test_what_is_no_number_of_a_version_is_malformed(evidence: dict[str, Any], version: str) -> None:
    """Such a version is not read as version 1, because an acceptance is signed with its version as written."""
    text = json.dumps({"version": 1, "evidence": [evidence]}).encode()
    assert read_evidence(text).evidence
    with pytest.raises(Refused, match="evidence_malformed"):
        read_evidence(text.replace(b'"version": 1', b'"version": ' + version.encode()))


def test_a_code_more_of_what_is_proven_leaves_what_was_kept_as_it_is(
    here: World, witness: Witness, record: Record, evidence: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence of version 1 uses two fixed lists, regardless of codes that are added later."""
    monkeypatch.setattr(witnessing, "Proven", [*Proven, "of_a_later_release"])
    monkeypatch.setattr(witnessing, "NotProven", [*NotProven, "of_a_later_release"])
    assert refusal(index(here.document), evidence) is None
    stated = witness.state(record, party=PROVIDER, at=STATED_AT)
    assert stated.model_dump(mode="json")["statement"]["not_proven"] == evidence["statement"]["not_proven"]
