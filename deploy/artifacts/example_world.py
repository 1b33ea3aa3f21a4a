"""The little world of the examples: five invented parties, three rules, one referral, and what follows from it.

Everything is worked out by the same code that runs, from fixed ids, keys and times: directory and policy are valid
documents, and each edge can be derived again from them.
"""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from deploy.directory.approval import approve_document, document_body, sign_beat
from shared.contracts.directory import Directory, DocumentActivated
from shared.contracts.documents import Beat
from shared.contracts.policy import Policy
from shared.contracts.referral import ReferralSubmission
from shared.envelope.keys import OpeningKey, SigningKey
from shared.exchange.decided import Stated, clear_of_decided, edge_salt, sealed_of_decided
from shared.exchange.facts import ReadFacts, read_facts
from shared.exchange.letters import clear_of, sealed_of
from shared.exchange.minimise import notice_record, referral_record, whole_record
from shared.kernel.canonical import digest
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Defect
from shared.routing.engine import Judged, PlannedEdge, Setting, judge
from shared.routing.shelf import read_directory, read_policy
from shared.vocabulary.routing import PartyKind

#: What is invented: the values of the examples, and the documents and the referral of their world.
DATA: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))
AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ORIGIN, AGENCY, PROVIDER = "hotline-nl.example", "police-nl.example", "files.example"
REFERRAL_ID = UUID("019b2d3c-4400-7000-8000-000000000001")
NOTICE_ID = UUID("019b2d3c-4400-7000-8000-000000000002")
EDGE_IDS = {
    AGENCY: UUID("3f0c1d52-77f2-4b1e-9d53-6a0b9c1e2f01"),
    PROVIDER: UUID("9a4e7b60-15c8-4d2f-8e71-2b3c4d5e6f02"),
}
#: From it comes the salt of each edge's commitment; random in life.
SALT = "5a" * 32
APPROVERS = {
    "approver-one.example": SigningKey(bytes([101]) * 32),
    "approver-two.example": SigningKey(bytes([102]) * 32),
}
#: Says which documents are newest.
BEAT = SigningKey(bytes([103]) * 32)
_SINCE = {"valid_from": "2026-01-01T00:00:00.000Z"}
_INSTANCES = ("hotline", "law_enforcement", "industry", "audit")


def submission() -> dict[str, Any]:
    """The referral, as its origin posts it."""
    return {**copy.deepcopy(DATA["world"]["submission"])}


def directory() -> dict[str, Any]:
    """A directory of five parties on four instances."""
    keys = {"beat_keys": [_signing(BEAT)], "instances": [_instance(*each) for each in enumerate(_INSTANCES, start=1)]}
    return {**copy.deepcopy(DATA["world"]["directory"]), **keys}


def policy() -> dict[str, Any]:
    """A policy of two permits and one prohibition."""
    return {**copy.deepcopy(DATA["world"]["policy"])}


def beat() -> dict[str, Any]:
    """A beat that names the two documents, signed by the directory's beat key."""
    newest = {kind: (1, digest(_body(kind))) for kind in ("directory", "policy")}
    return sign_beat(Beat.model_validate({"at": AT, **newest}), BEAT).model_dump(mode="json")


def activated(kind: str) -> dict[str, Any]:
    """The activation of one of the two documents, with two approvals that verify."""
    stated: DocumentActivated = approve_document(kind, _body(kind), active_from=AT, approvers=APPROVERS)
    return stated.model_dump(mode="json")


def published(kind: str) -> dict[str, Any]:
    """The record of the directory topic that carries one of the two documents."""
    return {"activated": activated(kind), "body": b64encode(_body(kind)).decode()}


@cache
def outcome() -> Judged:
    """What the engine decides about the referral."""
    read, setting = _read(), _setting()
    return judge(read.facts, setting, salt=SALT, unknown=read.unknown)


def edge_to(recipient: str) -> PlannedEdge:
    return next(edge for edge in outcome().edges if edge.recipient == recipient)


def facts() -> dict[str, Any]:
    """All facts of the referral, as only origin and audit see them."""
    return _read().facts


def clear_to(recipient: str) -> dict[str, Any]:
    """The clear part of the message that carries the edge to `recipient`."""
    named: dict[str, Any] = {"referral_id": str(REFERRAL_ID), "revision": 1}
    if recipient == PROVIDER:
        named = {"notice_id": str(NOTICE_ID)}
    edge_id = EDGE_IDS[recipient]
    return named | clear_of(edge_to(recipient), edge_id=edge_id, salt=edge_salt(SALT, edge_id), at=AT)


def sealed_to(recipient: str) -> dict[str, Any]:
    """The sealed part of the message that carries the edge to `recipient`, opened."""
    edge, record = edge_to(recipient), whole_record(ReferralSubmission.model_validate(submission()))
    withheld, hash_kinds = edge.terms.withheld, edge.terms.hash_kinds
    if recipient == PROVIDER:
        sent = notice_record(record, edge.items, withheld=withheld, hash_kinds=hash_kinds)
    else:
        kind = PartyKind.LAW_ENFORCEMENT
        sent = referral_record(record, kind, edge.items, withheld=withheld, hash_kinds=hash_kinds)
    return sealed_of(edge, outcome(), record=sent, salt=edge_salt(SALT, EDGE_IDS[recipient]))


def decided() -> tuple[dict[str, Any], dict[str, Any]]:
    """The clear part of the fact that tells audit of the decision, and the sealed one, opened."""
    judged = outcome()
    stated = Stated(
        referral_id=REFERRAL_ID,
        origin=ORIGIN,
        body_sha256="2d" * 32,
        disposition=judged.disposition.value,
        decision=judged.ref,
        salt=SALT,
        facts=facts(),
        edges=[(EDGE_IDS[edge.recipient], edge.recipient, edge.terms.purpose, edge.digest) for edge in judged.edges],
        not_sent=judged.not_sent,
    )
    return clear_of_decided(stated), sealed_of_decided(stated)


def passed_on() -> dict[str, Any]:
    """The sealed part of the message that passes the case on, with what the first agency has made of it."""
    first = sealed_to(AGENCY)
    history = [{"number": 1, "answer": "accepted", "at": rfc3339(AT)}]
    told = {"reason": "suspect_elsewhere", "history": history}
    return {"decision": first["decision"], **told, **{name: first[name] for name in ("edge", "salt", "record")}}


@cache
def _setting() -> Setting:
    return Setting(read_directory(_body("directory")), read_policy(_body("policy")), True, AT)


def _read() -> ReadFacts:
    index = _setting().directory
    origin = index.party(ORIGIN)
    if origin is None:
        raise Defect("example_without_origin")
    return read_facts(ReferralSubmission.model_validate(submission()), origin, index)


@cache
def _body(kind: str) -> bytes:
    document = Directory.model_validate(directory()) if kind == "directory" else Policy.model_validate(policy())
    return document_body(document)


def _signing(key: SigningKey) -> dict[str, Any]:
    public = key.verify_key
    return {"key_id": public.key_id, "use": "sign", "suite": "ed25519", "public": public.text()} | _SINCE


def _instance(number: int, name: str) -> dict[str, Any]:
    """Keys whose private halves are all the same byte: everybody knows them, nobody may use them."""
    opening = OpeningKey(bytes([number]) * 32).sealing_key
    keys = [
        _signing(SigningKey(bytes([number]) * 32)),
        {"key_id": opening.key_id, "use": "seal", "suite": opening.suite, "public": opening.text()} | _SINCE,
    ]
    kind = PartyKind.AUDITOR if name == "audit" else PartyKind(name)
    return {"id": name, "kind": kind.value, "keys": keys}


#: What examples take from this world, by the names that they have for it.
WORLD: Final[Mapping[str, Callable[[], Any]]] = {
    "clear_to_agency": partial(clear_to, AGENCY),
    "clear_to_provider": partial(clear_to, PROVIDER),
    "sealed_to_agency": partial(sealed_to, AGENCY),
    "sealed_to_provider": partial(sealed_to, PROVIDER),
    "passed_on": passed_on,
    "decided": lambda: decided()[0],
    "decided_sealed": lambda: decided()[1],
    "submission": submission,
    "eleven_items": lambda: submission()["items"] * 11,
    "directory": directory,
    "policy": policy,
    "directory_activated": partial(activated, "directory"),
    "policy_activated": partial(activated, "policy"),
    "one_approval": lambda: activated("policy")["approvals"][:1],
    "directory_published": partial(published, "directory"),
    "policy_published": partial(published, "policy"),
    "beat": beat,
}
