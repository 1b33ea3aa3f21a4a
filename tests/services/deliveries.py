"""Verified messages as a service's inbox handler receives them, and the directory of their parties."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.core.contracts import referral
from shared.core.contracts.answers import WithdrawalAnswer
from shared.core.contracts.base import Contract
from shared.core.contracts.decision import Edge
from shared.core.contracts.items import AnswerTrack
from shared.core.contracts.registry import (
    NOTICE_ISSUED,
    NOTICE_WITHDRAWN,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    MessageType,
)
from shared.core.envelope.keys import OpeningKey
from shared.core.envelope.segment_sealing import OpenedPart
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received, Record, WireForm
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import WithdrawalFate
from shared.core.vocabulary.jurisdiction import TREE

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOTLINE, OTHER_HOTLINE = "hotline-a.example", "hotline-b.example"
AGENCY, OTHER_AGENCY = "police-a.example", "police-b.example"
PROVIDER, OTHER_PROVIDER = "provider-a.example", "provider-b.example"
LOCATION = "https://images.example/gallery/17"
#: The key with which each instance opens sealed parts.
OPENING = {kind: OpeningKey.generate() for kind in ("hotline", "law_enforcement", "industry")}

#: An acknowledged withdrawal whose record is erased.
ERASED = WithdrawalAnswer(fate=WithdrawalFate.ERASED)

_PARTIES = {
    "hotline": (HOTLINE, OTHER_HOTLINE),
    "law_enforcement": (AGENCY, OTHER_AGENCY),
    "industry": (PROVIDER, OTHER_PROVIDER),
}


def directory(*left: str, suspended: str | None = None) -> DirectoryIndex:
    """Return a directory of three instances with two sandbox parties each, without those in `left`.

    The party `suspended` is suspended. Both agencies have opted in to contact suggestions.
    """
    instances: list[dict[str, Any]] = [{"id": "audit", "kind": "auditor"}]
    for kind, key in OPENING.items():
        stated = {"key_id": key.key_id, "use": "seal", "suite": key.suite, "public": key.sealing_key.text()}
        instances.append({"id": kind, "kind": kind, "keys": [stated | {"valid_from": "2026-01-01T00:00:00.000Z"}]})
    parties = [
        {"id": party, "kind": kind, "instance": kind, "jurisdictions": ["NL"]}
        | {"status": "suspended" if party == suspended else "sandbox"}
        | ({"annex": {"contact_suggestions": True}} if kind == "law_enforcement" else {})
        for kind, parties in _PARTIES.items()
        for party in parties
        if party not in left
    ]
    valid = {"version": 1, "issued_on": "2026-01-01", "valid_until": "2099-01-01"}
    return DirectoryIndex(valid | {"instances": instances, "parties": parties}, "e" * 64, TREE)


def edge(recipient: str, purpose: str) -> Edge:
    basis = [{"instrument": "other", "article": "1", "jurisdiction": "NL"}]
    stated = {"recipient": recipient, "purpose": purpose, "rules": ["sample-rule"], "reason": "hosting_jurisdiction"}
    stated |= {"basis": basis, "handling": {"tlp": "amber"}, "withheld": [], "deadlines": {}, "facts": {}}
    return Edge.model_validate(stated | {"digest": "c" * 64})


def committed() -> dict[str, Any]:
    """Return the edge fields of a message's clear part."""
    return {"edge_id": uuid4(), "commitment": "d" * 64}


def offered(
    referral_id: UUID,
    *,
    to: str = AGENCY,
    origin: str = HOTLINE,
    purpose: str = "investigation",
    priority: str = "p2_normal",
    finals: Sequence[str] = (),
) -> Received:
    """Return a referral that `origin` offers. `finals` are the final INTERPOL baseline values of its record."""
    assessed = [{"scheme": "interpol_baseline", "value": each, "status": "final"} for each in finals]
    stated = {"referral_id": referral_id, "revision": 1}
    record = {
        "incident_kind": "csam",
        "observed_at": "2026-05-03T08:00:00Z",
        "media_kind": "image",
        "items": [{"n": 1, "locator": {"kind": "url", "value": LOCATION}, "assessments": assessed}],
        "priority": {"level": priority},
    }
    return received(
        REFERRAL_OFFERED,
        referral.ReferralOfferedClear.model_validate(stated | committed()),
        subject=referral_id,
        sender=origin,
        recipient=to,
        sealed=referral.ReferralRecord.model_validate(record),
        edge=edge(to, purpose),
    )


def withdrawn(referral_id: UUID, *, to: str = AGENCY, origin: str = HOTLINE) -> Received:
    clear = referral.ReferralWithdrawnClear.model_validate(
        {"referral_id": referral_id, "revision": 1, "act": uuid4(), "reason": "filed_in_error"}
    )
    return received(REFERRAL_WITHDRAWN, clear, subject=referral_id, sender=origin, recipient=to)


def issued(
    notice_id: UUID,
    *,
    to: str = PROVIDER,
    notifier: str = HOTLINE,
    items: int = 1,
    again: AnswerTrack | None = None,
    revision: int | None = None,
    location: str = LOCATION,
    first: int = 1,
) -> Received:
    """Return a notice by `notifier`; its items differ only in their number, from `first` on.

    `again`: the notice was issued at another instance before.
    """
    stated = {"notice_id": notice_id} | ({} if revision is None else {"revision": revision})
    record: dict[str, Any] = {
        "incident_kind": "csam",
        "media_kind": "image",
        "items": [
            {"n": n, "locator": {"kind": "url", "value": location}, "site_type": "imagehost"}
            for n in range(first, first + items)
        ],
    }
    return received(
        NOTICE_ISSUED,
        referral.NoticeIssuedClear.model_validate(stated | committed()),
        subject=notice_id,
        sender=notifier,
        recipient=to,
        sealed=referral.NoticeRecord.model_validate(record),
        edge=edge(to, "takedown"),
        again=again,
    )


def notice_withdrawn(notice_id: UUID, *, to: str = PROVIDER, notifier: str = HOTLINE) -> Received:
    clear = referral.NoticeWithdrawnClear.model_validate(
        {"notice_id": notice_id, "act": uuid4(), "reason": "filed_in_error"}
    )
    return received(NOTICE_WITHDRAWN, clear, subject=notice_id, sender=notifier, recipient=to)


def received(
    message: MessageType,
    clear: Contract,
    *,
    subject: UUID,
    sender: str,
    recipient: str,
    sealed: Contract | None = None,
    edge: Edge | None = None,
    again: AnswerTrack | None = None,
    instance: str | None = None,
) -> Received:
    """Return a record as `accept` returns it, with the fields that a service reads."""
    spelt = _spelt(edge, sealed) if edge and sealed else None
    opened = None if spelt is None else OpenedPart(_plaintext(spelt), bytes(32), bytes(12), b"")
    value = b"{}\n" + (b"" if opened is None else opened.seal_again())
    return Received(
        record=Record("causeway.inbox.hotline.sample.v1", 0, 0, AT, str(subject).encode(), (), value),
        message_id=uuid7(),
        message=message,
        subject=str(subject),
        sender=sender,
        sender_instance=instance or instance_of(sender),
        recipient=recipient,
        digest="a" * 64,
        exercise=True,
        clear=clear,
        sealed=sealed,
        sent_at=AT,
        traceparent=None,
        edge=edge,
        again=again,
        spelt=spelt,
        opened=opened,
    )


def instance_of(party: str) -> str:
    """Return the instance that serves a party of the sample directory."""
    return {"police": "law_enforcement", "provider": "industry"}.get(party.partition("-")[0], "hotline")


def _spelt(edge: Edge, record: Contract) -> WireForm:
    record_json = record.model_dump_json(exclude_none=True, exclude_defaults=True)
    return WireForm(edge.model_dump_json(exclude_none=True).encode(), record_json.encode())


def _plaintext(spelt: WireForm) -> bytes:
    return b'{"decision":{},"edge":%s,"salt":"","record":%s}' % spelt


def numbered(number: int = 1) -> dict[str, Any]:
    """Return the fields that each answer has about itself: an id, and its number in its track."""
    return {"act": uuid4(), "number": number}


def without_act(clear: dict[str, Any]) -> dict[str, Any]:
    """Return a clear part without the random id of its act, if it has one."""
    assert "act" not in clear or UUID(clear["act"]).version == 4
    return {name: value for name, value in clear.items() if name != "act"}
