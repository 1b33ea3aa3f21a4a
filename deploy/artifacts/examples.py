"""Examples of every schema: accepted values, and refused values, each with the code of its refusal.

They are in `examples.json`. A refused value is an accepted one with one change, so that it shows one rule. A value that
is `made` comes from the world below; `but` replaces some of its members, or members of the part `at` a pointer.

The world has five invented parties, three rules, one referral, and the resulting edges. The product's own code computes
it from fixed ids, keys and times: directory and policy are valid documents, and each edge can be derived again from
them.
"""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from deploy.artifacts.schemas import KINDS, LENIENT, models
from deploy.directory.approval import approve_document, document_body, sign_beat
from shared.catalog import CATALOG
from shared.core.canonical import Json, JsonView, digest
from shared.core.clock import rfc3339
from shared.core.contracts.directory import Beat, Directory, DocumentActivated
from shared.core.contracts.policy import Policy
from shared.core.contracts.referral import ReferralSubmission
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.errors import Defect
from shared.core.protocol.decision_fact import FactBody, clear_of_decided, edge_salt, sealed_of_decided
from shared.core.protocol.facts import ReadFacts, read_facts
from shared.core.protocol.minimise import notice_record, referral_record, whole_record
from shared.core.protocol.outgoing_messages import clear_of, sealed_of
from shared.core.routing.documents import read_directory, read_policy
from shared.core.routing.engine import RoutedEdge, RoutingInput, RoutingResult, judge
from shared.core.vocabulary.routing import PartyKind

#: The usual code of a refused body that names the field, and the codes of documents that are refused whole.
_NAMED: Final = {
    "referral_submission.v1": "fields_invalid",
    **dict.fromkeys(("directory.v1", "policy.v1"), "document_invalid"),
}
_WHOLE: Final = {
    "signed_beat.v1": "beat_malformed",
    **dict.fromkeys(("document_activated.v1", "published_document.v1"), "document_malformed"),
}
#: Marks a removed value.
GONE: Final = object()


class RefusedExample(NamedTuple):
    """An accepted example with the value at `pointer` replaced or removed.

    `code` and `field` are the answer. `by` is the check that refuses: the published schema; the model, for rules over
    several fields that no schema can express; the guard; or the indexes of directory and policy, for rules of the whole
    document.
    """

    slug: str
    pointer: str
    value: Any = GONE
    by: Literal["schema", "model", "guard", "index"] = "schema"
    code: str = ""
    field: str | None = None
    of: str = ""


class Example(NamedTuple):
    """One file: `accepted-….json` is the value alone, `refused-….json` the value and the expected answer."""

    schema: str
    file: str
    value: Any
    expected: JsonView | None

    @property
    def content(self) -> Any:
        return self.value if self.expected is None else {"expected": dict(self.expected), "value": self.value}


def examples() -> Iterator[Example]:
    """Yield all examples, in the order of the schemas."""
    stated_examples = DATA["schemas"] | CATALOG.examples
    for schema in models():
        stated = stated_examples[schema]
        values = {slug: _plain(_value(value)) for slug, value in stated["accepted"].items()}
        for slug, value in values.items():
            yield Example(schema, f"accepted-{slug}.json", value, None)
        refusals = [
            RefusedExample(slug, **{name: _value(value) for name, value in each.items()})
            for slug, each in stated.get("refused", {}).items()
        ]
        for refusal in (*_closed(values, lenient=schema in LENIENT), *refusals):
            base = values[refusal.of or next(iter(values))]
            yield Example(schema, f"refused-{refusal.slug}.json", _changed(base, refusal), _expected(schema, refusal))


def _value(stated: object) -> Any:
    """Return a value as stated, or as the examples' world makes it."""
    if not isinstance(stated, dict) or "made" not in stated:
        return stated
    made = _plain(WORLD[stated["made"]]())
    if "but" in stated:
        _at(made, stated.get("at", "").split("/")[1:]).update(stated["but"])
    return made


def _at(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        value = value[int(part) if isinstance(value, list) else part]
    return value


def _closed(values: JsonView, *, lenient: bool) -> Iterator[RefusedExample]:
    """Yield two refusals: an unknown name, unless the schema is read leniently, and a missing name."""
    value = next(iter(values.values()))
    if not lenient:
        yield RefusedExample("unknown-name", "/comment", "x")
    required = next(iter(value), None)
    if required not in (None, "case_reference"):
        yield RefusedExample("name-missing", f"/{required}", GONE, field=f"/{required}")


def _expected(schema: str, refusal: RefusedExample) -> Json:
    """Return the expected answer.

    Messages are refused whole; bodies over HTTP and documents name the field.
    """
    named = _NAMED.get(schema)
    if named is None:
        code = _WHOLE.get(schema, "guard_refused" if schema.endswith(".sealed") else "body_invalid")
        return {"by": refusal.by, "code": code}
    field = refusal.pointer if refusal.field is None else refusal.field
    # An unknown name in a referral is outside input, so it is not repeated.
    from_outside = schema == "referral_submission.v1" and refusal.slug == "unknown-name"
    return {"by": refusal.by, "code": refusal.code or named, "field": "" if from_outside else field}


def _changed(value: Any, refusal: RefusedExample) -> Any:
    changed = copy.deepcopy(value)
    *above, last = refusal.pointer.split("/")[1:]
    place = _at(changed, above)
    if refusal.value is GONE:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = refusal.value
    return changed


def _plain(value: object) -> Any:
    """Return the value as a JSON parser gives it: tuples as lists, enumerations as their values."""
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, str) else value


#: The invented data: the values of the examples, and the documents and the referral of their world.
DATA: Final[JsonView] = json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))
AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ORIGIN, AGENCY, PROVIDER = "hotline-nl.example", "police-nl.example", "files.example"
REFERRAL_ID = UUID("019b2d3c-4400-7000-8000-000000000001")
NOTICE_ID = UUID("019b2d3c-4400-7000-8000-000000000002")
EDGE_IDS = {
    AGENCY: UUID("3f0c1d52-77f2-4b1e-9d53-6a0b9c1e2f01"),
    PROVIDER: UUID("9a4e7b60-15c8-4d2f-8e71-2b3c4d5e6f02"),
}
#: The salt of each edge's commitment; random in production.
SALT = "5a" * 32
APPROVERS = {
    "approver-one.example": SigningKey(bytes([101]) * 32),
    "approver-two.example": SigningKey(bytes([102]) * 32),
}
#: Signs the document heartbeat.
BEAT = SigningKey(bytes([103]) * 32)
_SINCE = {"valid_from": "2026-01-01T00:00:00.000Z"}


def directory() -> Json:
    """Return a directory of five parties on four instances."""
    instances = [_instance(number, *each) for number, each in enumerate(KINDS.items(), start=1)]
    return _invented("directory") | {"beat_keys": [_signing(BEAT)], "instances": instances}


def beat() -> Json:
    """Return a document heartbeat that names the two documents, signed by the directory's heartbeat key."""
    newest = {kind: (1, digest(_body(kind))) for kind in ("directory", "policy")}
    return sign_beat(Beat.model_validate({"at": AT, **newest}), BEAT).model_dump(mode="json")


def activated(kind: str) -> Json:
    """Return the activation of one of the two documents, with two valid approvals."""
    stated: DocumentActivated = approve_document(kind, _body(kind), active_from=AT, approvers=APPROVERS)
    return stated.model_dump(mode="json")


@cache
def _outcome() -> tuple[ReadFacts, RoutingResult]:
    """Return the facts of the referral, as only origin and audit see them, and the decision of the engine."""
    setting = RoutingInput(read_directory(_body("directory")), read_policy(_body("policy")), True, AT)
    origin = setting.directory.party(ORIGIN)
    if origin is None:
        raise Defect("example_without_origin")
    read = read_facts(ReferralSubmission.model_validate(_invented("submission")), origin, setting.directory)
    return read, judge(read.facts, setting, salt=SALT, unknown=read.unknown)


def _edge_to(recipient: str) -> RoutedEdge:
    return next(edge for edge in _outcome()[1].edges if edge.recipient == recipient)


def clear_to(recipient: str) -> Json:
    """Return the clear part of the message that carries the edge to `recipient`."""
    named: Json = {"referral_id": str(REFERRAL_ID), "revision": 1}
    if recipient == PROVIDER:
        named = {"notice_id": str(NOTICE_ID)}
    edge_id = EDGE_IDS[recipient]
    return named | clear_of(_edge_to(recipient), edge_id=edge_id, salt=edge_salt(SALT, edge_id), at=AT)


def sealed_to(recipient: str) -> Json:
    """Return the opened sealed part of the message that carries the edge to `recipient`."""
    edge, record = _edge_to(recipient), whole_record(ReferralSubmission.model_validate(_invented("submission")))
    withheld, hash_kinds = edge.terms.withheld, edge.terms.hash_kinds
    if recipient == PROVIDER:
        sent = notice_record(record, edge.items, withheld=withheld, hash_kinds=hash_kinds)
    else:
        kind = PartyKind.LAW_ENFORCEMENT
        sent = referral_record(record, kind, edge.items, withheld=withheld, hash_kinds=hash_kinds)
    return sealed_of(edge, _outcome()[1], record=sent, salt=edge_salt(SALT, EDGE_IDS[recipient]))


def decided() -> tuple[Json, Json]:
    """Return the clear part and the opened sealed part of the fact that states the decision to audit."""
    read, judged = _outcome()
    stated = FactBody(
        referral_id=REFERRAL_ID,
        origin=ORIGIN,
        body_sha256="2d" * 32,
        disposition=judged.disposition.value,
        decision=judged.ref,
        salt=SALT,
        facts=read.facts,
        edges=[(EDGE_IDS[edge.recipient], edge.recipient, edge.terms.purpose, edge.digest) for edge in judged.edges],
        not_sent=judged.not_sent,
    )
    return clear_of_decided(stated), sealed_of_decided(stated)


def passed_on() -> Json:
    """Return the sealed part of the message that refers the case, with the first agency's results."""
    first = sealed_to(AGENCY)
    history = [{"number": 1, "answer": "accepted", "at": rfc3339(AT)}]
    told = {"reason": "suspect_elsewhere", "history": history}
    return {"decision": first["decision"], **told, **{name: first[name] for name in ("edge", "salt", "record")}}


@cache
def _body(kind: str) -> bytes:
    if kind == "directory":
        return document_body(Directory.model_validate(directory()))
    return document_body(Policy.model_validate(_invented("policy")))


def _published(kind: str) -> Json:
    """Return the record of the directory topic that carries one of the two documents."""
    return {"activated": activated(kind), "body": b64encode(_body(kind)).decode()}


def _signing(key: SigningKey) -> Json:
    public = key.verify_key
    return {"key_id": public.key_id, "use": "sign", "suite": "ed25519", "public": public.text()} | _SINCE


def _invented(name: str) -> Json:
    found: Json = copy.deepcopy(DATA["world"][name])
    return found


def _instance(number: int, name: str, kind: str) -> Json:
    """Return an instance whose private keys are all one repeated byte: they are public, so never use them."""
    opening = OpeningKey(bytes([number]) * 32).sealing_key
    keys = [
        _signing(SigningKey(bytes([number]) * 32)),
        {"key_id": opening.key_id, "use": "seal", "suite": opening.suite, "public": opening.text()} | _SINCE,
    ]
    return {"id": name, "kind": str(kind), "keys": keys}


#: Values of this world that examples use, by name.
WORLD: Final[Mapping[str, Callable[[], Any]]] = {
    "clear_to_agency": partial(clear_to, AGENCY),
    "clear_to_provider": partial(clear_to, PROVIDER),
    "sealed_to_agency": partial(sealed_to, AGENCY),
    "sealed_to_provider": partial(sealed_to, PROVIDER),
    "passed_on": passed_on,
    "decided": lambda: decided()[0],
    "decided_sealed": lambda: decided()[1],
    "submission": partial(_invented, "submission"),
    "eleven_items": lambda: _invented("submission")["items"] * 11,
    "directory": directory,
    "policy": partial(_invented, "policy"),
    "directory_activated": partial(activated, "directory"),
    "policy_activated": partial(activated, "policy"),
    "one_approval": lambda: activated("policy")["approvals"][:1],
    **{f"{kind}_published": partial(_published, kind) for kind in ("directory", "policy")},
    "beat": beat,
}
