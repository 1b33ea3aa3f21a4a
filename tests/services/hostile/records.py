"""Records that are wrong in one way each, one per row of the record table, and good records between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from shared.core.contracts.registry import REFERRAL_WITHDRAWN
from shared.core.envelope.headers import PLACE
from shared.core.envelope.keys import SigningKey
from shared.core.protocol.message import Draft, Record
from shared.core.protocol.record_table import RECORD_TABLE, Fate
from shared.delivery.judgement import kind_of
from shared.messaging.acks import ACK
from shared.messaging.exceptions import MALFORMED
from shared.messaging.placement import KIND, PROOF
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane
from tests.services.hostile.target import PAIR, Target, as_they_are, under
from tests.shared.core.protocol.wrong_records import WRONG
from tests.support.builders import POLICE, draft, withdrawal
from tests.support.exchange_world import World
from tests.support.wire_records import Written

#: Faults that only the broker can cause, with its clock or the topic's settings.
OF_THE_BROKER = {"broker_time_stated", "broker_time_off"}
#: Rows that a record in this topic cannot cause: wrong topic, too late, or a long wait.
ELSEWHERE = {"topic_wrong", "decision_time_off", "document_unknown"} | OF_THE_BROKER
#: Faults that need earlier messages about the subject.
OF_A_HISTORY = {"act_awaited", "revision_not_above", "subject_withdrawn", "sender_day_spent", "sender_day_full"}
#: Faults that need a directory that has moved a party, or will move it.
OF_A_MOVE = {"recipient_moved", "recipient_awaited"}
#: Faults of a message whose name cannot be read. It is a dead letter, whatever its other faults.
NAMELESS = {"header_not_utf8", "header_missing", "header_malformed", "body_invalid", "record_too_large"}
#: Rows of records that take no number.
SKIPPED = {code for code, row in RECORD_TABLE.items() if row.fate is Fate.SKIP}
#: Records whose bytes no proof can cover: a header has no value or occurs twice.
UNPROVEN = {"header_null", "header_duplicate"}
BROKEN_KEY = b"breaks our own check"


@dataclass(frozen=True)
class Hostile:
    """A record, its expected code (None if good), and the records to write for it. The message comes last."""

    code: str | None
    message_id: UUID | None
    written: list[Written]
    referral_id: str = ""

    @property
    def is_taken(self) -> bool:
        """Return whether the record takes a number of its stream."""
        return self.code is None or (self.code not in SKIPPED and self.code not in UNPROVEN)


def hours_ago(world: World, hours: float) -> Any:
    return world.at - timedelta(hours=hours)


def of(target: Target, offer: Draft, code: str | None = None, world: World | None = None) -> Hostile:
    """Return an honest record of a draft."""
    return Hostile(code, offer.message_id, (world or target.world).written([offer]), offer.subject)


def fresh(target: Target) -> Hostile:
    """Return a good record of a new referral."""
    return of(target, target.world.offered(POLICE))


def taken_back(referral_id: UUID) -> Draft:
    """Return the message by which the origin withdraws a referral."""
    return draft(referral_id, message=REFERRAL_WITHDRAWN, clear=withdrawal(referral_id))


def id_of(record: Record) -> UUID | None:
    try:
        return UUID((dict(record.headers).get("ce_id") or b"").decode())
    except ValueError:
        return None


def wrong(target: Target, code: str, change: Callable[[World, Record], Record]) -> Hostile:
    """Return a record that is wrong in this way. Its instance signs it unchanged, unless no proof can cover it."""
    aside = target.aside()
    (good,) = aside.records([aside.offered(POLICE)])
    record = change(aside, good)
    if code in SKIPPED or code in UNPROVEN:
        return Hostile(code, id_of(record), [as_they_are(record)])
    key = SigningKey.generate() if code == "signature_invalid" else None
    return Hostile(code, id_of(record), target.signed_as_is(record, key=key))


def hostile(target: Target) -> list[Callable[[], Hostile]]:
    """Return functions that make one or more records for each row of the record table."""
    here = target.world
    makes = [
        partial(wrong, target, code, change)
        for code, change in WRONG
        # Another writer has another topic; the place proves the writer.
        if code not in ELSEWHERE and not is_of_another_writer(target, change)
    ]
    early = replace(here, at=here.at + timedelta(minutes=9), shelf=type(here.shelf)())
    lapsed = under(here, here.policy.model_copy(update={"version": 77}))
    cursed = here.offered(POLICE)
    target.cursed.add(cursed.message_id)
    return [
        *makes,
        lambda: of(target, early.offered(POLICE), "decision_time_off", early),
        lambda: of(target, lapsed.offered(POLICE), "document_lapsed", lapsed),
        lambda: of(target, cursed, "handler_defect"),
        lambda: wrong(target, "accept_defect", lambda _, record: replace(record, key=BROKEN_KEY)),
        *(partial(_given, each) for each in unplaced(target)),
    ]


def _given(one: Hostile) -> Hostile:
    return one


def is_of_another_writer(target: Target, change: Callable[[World, Record], Record]) -> bool:
    aside = target.aside()
    (good,) = aside.records([aside.offered(POLICE)])
    return change(aside, good).writer != good.writer


def unplaced(target: Target) -> list[Hostile]:
    """Return records that take no number. Each proves nothing, for a different reason."""
    aside = target.aside()
    (good,) = aside.records([aside.offered(POLICE)])
    proof, message = aside.written([aside.offered(POLICE)])
    keys = {**aside.keys, PAIR.writer: replace(aside.keys[PAIR.writer], signing=SigningKey.generate())}
    unknown, _ = replace(aside, keys=keys).written([aside.offered(POLICE)])
    without_place = replace(good, headers=tuple(each for each in good.headers if each[0] != PLACE))
    return [
        Hostile("proof_missing", None, [message]),
        Hostile("place_malformed", None, [as_they_are(without_place)]),
        Hostile("proof_malformed", None, [cut(proof)]),
        Hostile("ack_malformed", None, [Written(PAIR, Lane.ORDINARY, RecordBytes(b"", ((KIND, ACK),), b"{}"))]),
        Hostile("key_unknown", None, [unknown]),
    ]


def cut(proof: Written) -> Written:
    assert proof.record.headers == ((KIND, PROOF),)
    return proof._replace(record=proof.record._replace(value=proof.record.value[:-1]))


def expected(code: str) -> set[tuple[str, str | None]]:
    """Return the outcomes that a record of this row may have."""
    return {(kind_of(code).value, code)} | ({("dead", MALFORMED)} if code in NAMELESS else set())
