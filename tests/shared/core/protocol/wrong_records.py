"""Every way in which one record can be wrong, made from a valid one. All payloads are generated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from shared.core.clock import coarse
from shared.core.contracts.directory import Directory, Instance
from shared.core.contracts.registry import CASE_ACCEPTED, REFERRAL_WITHDRAWN
from shared.core.envelope.keys import SigningKey
from shared.core.envelope.record_value import join_value, split_value
from shared.core.envelope.segment_sealing import GroupOpener, GroupSealer
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.accept import RECORD_BYTES_MAX, accept
from shared.core.protocol.message import Record, compose, seal_context
from tests.support.builders import HOTLINE, POLICE, PROVIDER, withdrawal
from tests.support.exchange_world import LONG_AFTER, SUSPENDED, World, later, merged

Change = Callable[[World, Record], Record]


def with_keys(document: Directory, instance: str, use: str, **changes: Any) -> Directory:
    """Return the next directory, in which the keys of an instance for one use (all uses: `""`) have other values."""

    def changed(each: Instance) -> Instance:
        keys = (key.model_copy(update=changes) if key.use == use or not use else key for key in each.keys)
        return each.model_copy(update={"keys": tuple(keys)})

    instances = tuple(changed(each) if each.id == instance else each for each in document.instances)
    return document.model_copy(update={"version": document.version + 1, "instances": instances})


def header(name: str, value: bytes | None) -> Change:
    """Return the record with one header's value replaced, unsigned."""
    return lambda _, record: replace(record, headers=tuple((n, value if n == name else v) for n, v in record.headers))


def without(*names: str) -> Change:
    return lambda _, record: replace(record, headers=tuple((n, v) for n, v in record.headers if n not in names))


def also(name: str, value: bytes) -> Change:
    return lambda _, record: replace(record, headers=(*record.headers, (name, value)))


def signed(**changes: Any) -> Change:
    """Return the changed record, honestly signed again by the instance that sent it."""
    return lambda here, record: here.resigned(record, **changes)


def resealed(plaintext: Callable[[bytes], bytes], *, context: dict[str, Any] | None = None) -> Change:
    """Return the record with another sealed part, sealed to the right key under its own wrap and signed again."""

    def change(here: World, record: Record) -> Record:
        before = accept(record, here.reader("law_enforcement"))
        clear, sealed = split_value(record.value or b"")
        opening = here.keys["law_enforcement"].opening
        bound = seal_context(
            before.message,
            before.message_id,
            before.subject,
            clear=json.loads(clear),
            sender=before.sender,
            recipient=before.recipient,
        )
        stated = GroupOpener([opening]).open(sealed or b"", record.wrap, bound)
        sealer = GroupSealer(opening.sealing_key)
        other = sealer.seal(plaintext(stated), replace(bound, **(context or {})))
        return here.resigned(replace(record, wrap=sealer.wrap), body=join_value(clear, other))

    return change


def with_item_twice(plaintext: bytes) -> bytes:
    """Return two items with one number, each unchanged: an answer about that number would cover both."""
    sealed = json.loads(plaintext)
    sealed["record"]["items"] *= 2
    sealed["edge"]["facts"]["items"] *= 2
    return json.dumps(sealed).encode()


def with_image(plaintext: bytes) -> bytes:
    sealed = json.loads(plaintext)
    sealed["record"]["items"][0]["locator"]["value"] = "https://images.example/" + "iVBORw0KGgo" * 60
    return to_json(sealed)


def reordered(plaintext: bytes) -> bytes:
    """Return the same sealed part with the facts of its edge in another order."""
    sealed = json.loads(plaintext)
    sealed["edge"]["facts"] = dict(reversed(sealed["edge"]["facts"].items()))
    return to_json(sealed)


def stating(**changes: Any) -> Change:
    """Return the record with another edge or decision in its sealed part.

    The clear part's commitment stays unchanged.
    """
    return resealed(lambda plaintext: to_json(merged(json.loads(plaintext), changes)))


def case_accepted(here: World, record: Record) -> Record:
    """Return an answer that carries no edge, from an agency to a hotline."""
    referral_id = uuid7()
    clear = {"referral_id": str(referral_id), "revision": 1, "act": str(uuid4()), "number": 1}
    draft = compose(CASE_ACCEPTED, clear, here.address(referral_id, POLICE, HOTLINE))
    return here.records([draft], "law_enforcement")[0]


def withdrawn_at(said_at: datetime | timedelta) -> Change:
    """Return a withdrawal, which carries no edge, dated and honestly signed by an origin at `at`."""

    def change(here: World, record: Record) -> Record:
        subject = uuid7()
        draft = compose(REFERRAL_WITHDRAWN, withdrawal(subject), here.address(subject, HOTLINE, POLICE))
        (honest,) = here.records([draft])
        return here.resigned(honest, time=coarse(here.at + said_at) if isinstance(said_at, timedelta) else said_at)

    return change


def respelt(clear: Callable[[bytes], bytes]) -> Change:
    """Return the record with its clear part serialized differently, honestly signed again."""

    def change(here: World, record: Record) -> Record:
        before, sealed = split_value(record.value or b"")
        return here.resigned(record, body=join_value(clear(before), sealed))

    return change


def facts(**changes: Any) -> Change:
    return stating(edge={"facts": changes})


#: Every way in which one record can be wrong, with the only code that it may get.
WRONG: list[tuple[str, Change]] = [
    ("header_not_utf8", header("ce_subject", b"\xff\xfe")),
    ("header_null", header("ce_time", None)),
    ("header_missing", without("ce_guard")),
    ("header_duplicate", also("ce_id", b"00000000-0000-7000-8000-000000000000")),
    ("header_unknown", also("ce_priority", b"1")),
    ("header_unknown", also("Content-Type", b"application/json")),
    ("header_unknown", also("ce_sequence", b"5")),
    ("header_malformed", header("ce_tier", b"party")),
    ("header_malformed", header("ce_exercise", b"TRUE")),
    ("record_empty", lambda _, record: replace(record, value=None)),
    ("record_too_large", lambda _, record: replace(record, value=b"x" * (RECORD_BYTES_MAX + 1))),
    ("broker_time_stated", lambda _, record: replace(record, time_stated=True)),
    ("broker_time_off", lambda _, record: later(record, LONG_AFTER + timedelta(minutes=11))),
    ("key_mismatch", lambda _, record: replace(record, key=b"another subject")),
    ("key_mismatch", lambda _, record: replace(record, key=None)),
    ("sender_unknown", signed(sender="nobody.example")),
    ("sender_unknown", signed(source="/instances/industry")),
    ("sender_unknown", signed(sender="hotline")),
    ("sender_unknown", signed(type="causeway.reads_announced.v1")),
    ("sender_unknown", lambda _, record: replace(record, writer="industry")),
    ("recipient_not_served", signed(recipient=PROVIDER)),
    ("recipient_not_served", signed(recipient="nobody.example")),
    # The edge of another recipient, and of the right recipient from another writer.
    ("topic_wrong", lambda _, record: replace(record, topic="causeway.inbox.industry.hotline.v1")),
    ("topic_wrong", lambda _, record: replace(record, topic="causeway.inbox.law_enforcement.industry.v1")),
    ("signature_invalid", signed(key=SigningKey.generate())),
    ("signature_invalid", lambda here, record: here.resigned(record, key=here.keys["industry"].signing)),
    ("header_missing", without("ce_sender")),
    ("header_malformed", header("ce_id", b"5")),
    ("header_malformed", header("ce_type", b"a\x00")),
    ("guard_unknown", signed(guard=f"{'5' * 32} normal")),
    ("code_unknown", resealed(lambda text: text.replace(b'"csam"', b'"not_invented_yet"'))),
    # The list of a scheme grows like any other.
    ("code_unknown", resealed(lambda text: text.replace(b'"value":"baseline"', b'"value":"not_invented_yet"'))),
    ("type_unknown", signed(type="causeway.referral_admired.v1")),
    ("version_unknown", signed(type="causeway.referral_offered.v2")),
    ("body_invalid", signed(body=b"{not json")),
    ("body_invalid", signed(body=b"{}")),
    ("body_invalid", signed(body=b"{}\nsealed")),
    ("body_invalid", lambda here, record: here.resigned(record, body=(record.value or b"").split(b"\n")[0] + b"\n")),
    ("body_invalid", respelt(lambda clear: b" " + clear)),
    ("body_invalid", respelt(lambda clear: clear.replace(b'"revision":1', b'"revision":2,"revision":1'))),
    ("body_invalid", signed(clear={"more": 1})),
    ("body_invalid", signed(clear={"revision": "1"})),
    ("body_invalid", signed(clear={"referral_id": "01890000-0000-7000-8000-000000000000"})),
    ("body_invalid", signed(dataschema="https://schemas.causeway.example/notice_issued.v1.json")),
    ("statement_not_yours", signed(type="causeway.outcome_reported.v1")),
    ("statement_not_yours", signed(type="causeway.notice_issued.v1")),
    ("message_time_off", withdrawn_at(timedelta(minutes=9))),
    ("message_time_off", withdrawn_at(datetime(9999, 12, 30, tzinfo=UTC))),
    ("message_time_off", withdrawn_at(datetime(1970, 1, 1, tzinfo=UTC))),
    ("exercise_mismatch", signed(exercise=False)),
    ("exercise_mismatch", signed(sender="hotline-live.example")),
    ("sender_suspended", signed(sender=SUSPENDED)),
    ("edge_not_reproducible", facts(items=[{"hosting": ["DE"]}])),
    ("edge_not_reproducible", facts(origin="hotline-de.example")),
    ("edge_not_reproducible", facts(priority="p0_child_at_risk")),
    ("edge_not_reproducible", stating(edge={"withheld": ["hashes"]})),
    ("edge_not_reproducible", stating(edge={"digest": "0" * 64})),
    ("edge_not_reproducible", stating(salt="0" * 64)),
    ("edge_not_reproducible", signed(clear={"commitment": "0" * 64})),
    ("edge_not_reproducible", signed(clear={"act_by": "2026-05-09T12:00:00.000Z"})),
    ("engine_unknown", stating(decision={"engine": 1})),
    ("edge_not_ours", stating(edge={"recipient": "police-be.example"})),
    ("decision_time_off", lambda _, record: later(record, -timedelta(minutes=6))),
    ("document_unknown", stating(decision={"policy": "0" * 64})),
    ("document_unknown", stating(decision={"directory": "0" * 64})),
    ("sealed_unopenable", resealed(lambda text: text, context={"revision": 2})),
    ("sealed_unopenable", resealed(lambda text: text, context={"sender": "hotline-de.example"})),
    ("guard_refused", resealed(with_image)),
    ("guard_refused", resealed(with_item_twice)),
    ("guard_refused", resealed(lambda text: text[:-1])),
    ("guard_refused", resealed(lambda text: text[:-1] + b" }")),
    ("guard_refused", resealed(lambda text: text.replace(b'"record":{', b'"record":{\t \t'))),
    ("guard_refused", resealed(lambda text: text.replace(b"https://", b"https:\\/\\/"))),
    ("edge_not_reproducible", resealed(lambda text: to_json(dict(reversed(json.loads(text).items()))))),
    ("edge_not_reproducible", resealed(reordered)),
    ("guard_refused", resealed(lambda text: text[:-1] + b',"more":1}')),
]
