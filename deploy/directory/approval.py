"""Approve directory and policy documents, sign document heartbeats, and build the sample directory.

The caller keeps the private keys. All parties of the sample (`parties.json`) are invented. Only two facts are real: the
places with a hotline and an agency, and the providers' numbers of reports. Establishments, domains and AS numbers of
providers are synthetic; AS numbers are the documentation ranges of RFC 5398. Each sample origin declares a thousand
referrals a day, more than `make demo` submits for any of them. Where drawn or computer-made material is no offence,
parties take no such referral.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from deploy.site.settings import SAMPLE_INSTANCES, party_kind
from shared.core.canonical import Json, canonical_json, digest
from shared.core.contracts.directory import Approval, Beat, Directory, DocumentActivated, PublicKey, SignedBeat
from shared.core.contracts.policy import Policy
from shared.core.envelope.keys import SigningKey
from shared.core.routing.documents import approval_message, beat_message
from shared.core.vocabulary.routing import PartyKind

VALID_MONTHS: Final = 13

_Document = TypeVar("_Document", Directory, Policy)


def document_body(document: Directory | Policy) -> bytes:
    """Return the exact bytes of a document, as it is published and identified by its digest."""
    return canonical_json(document.model_dump(mode="json", exclude_none=True))


def valid_until(issued_on: date) -> date:
    """Return the first day on which a document of that day should be replaced: 13 months later."""
    year, month = divmod(issued_on.year * 12 + issued_on.month - 1 + VALID_MONTHS, 12)
    return issued_on.replace(year=year, month=month + 1, day=min(issued_on.day, 28))


def renewed(document: _Document, *, on: date, version: int | None = None) -> _Document:
    """Return a document issued again on that day, under the next version unless one is given."""
    version = document.version + 1 if version is None else version
    return document.model_copy(update={"version": version, "issued_on": on, "valid_until": valid_until(on)})


def approve_document(
    kind: str, body: bytes, *, active_from: datetime, approvers: Mapping[str, SigningKey]
) -> DocumentActivated:
    """Return the document `body` with one approval of each of `approvers` (by party id), sorted by party id.

    `kind` is `directory` or `policy`; `body` its canonical bytes. Raises pydantic's `ValidationError` below two.
    """
    document_digest = digest(body)
    # Sign the published form: whole milliseconds.
    active_from = active_from.replace(microsecond=active_from.microsecond // 1000 * 1000)
    message = approval_message(kind, document_digest, active_from)
    return DocumentActivated(
        kind=kind,
        digest=document_digest,
        active_from=active_from,
        approvals=tuple(sign_approval(party, approvers[party], message) for party in sorted(approvers)),
    )


def sign_beat(beat: Beat, key: SigningKey) -> SignedBeat:
    """Return the published document heartbeat, signed with the operator's online key."""
    return SignedBeat(beat=beat, key_id=key.key_id, signature=_signature(key, beat_message(beat)))


def sign_approval(party: str, key: SigningKey, message: bytes) -> Approval:
    """Return one approver's approval of the `approval_message`."""
    return Approval(approver=party, key_id=key.key_id, signature=_signature(key, message))


def _signature(key: SigningKey, message: bytes) -> str:
    return base64.urlsafe_b64encode(key.sign(message)).decode().rstrip("=")


PARTIES = Path(__file__).with_name("parties.json")
ISSUED_ON = date(2026, 3, 1)


def sample_directory(
    instance_keys: Mapping[str, tuple[PublicKey, ...]],
    *,
    kinds: Mapping[str, str] = SAMPLE_INSTANCES,
    beat_keys: tuple[PublicKey, ...] = (),
) -> Directory:
    """Return the sample directory with the public keys of this installation's instances and of its heartbeat.

    `kinds` has the instances whose name is not their kind. If this installation does not run a party's own instance,
    the first instance of its kind serves the party. Raises `KeyError` if there is none.
    """
    instances = {id_: party_kind(kinds.get(id_, id_)) for id_ in instance_keys}
    first = {kind: id_ for id_, kind in reversed(instances.items())}
    parties = [
        party if party["instance"] in instances else party | {"instance": first[party["kind"]]}
        for party in _sample_parties().values()
    ]
    return Directory.model_validate(
        {
            "version": 1,
            "issued_on": ISSUED_ON,
            "valid_until": valid_until(ISSUED_ON),
            "beat_keys": beat_keys,
            "instances": [{"id": id_, "kind": kind, "keys": instance_keys[id_]} for id_, kind in instances.items()],
            "parties": parties,
        }
    )


def served_places() -> frozenset[str]:
    """Return the places with a hotline and an agency."""
    hotlines = [each for each in _sample_parties().values() if each["kind"] == PartyKind.HOTLINE]
    return frozenset(place for each in hotlines for place in each["jurisdictions"])


def establishment(party: str) -> str:
    """Return the place where a sample provider is established. Synthetic."""
    place: str = _sample_parties()[party]["jurisdictions"][0]
    return place


@cache
def _sample_parties() -> Mapping[str, Json]:
    return {each["id"]: each for each in json.loads(PARTIES.read_text(encoding="utf-8"))["parties"]}
