"""The table of record errors: one row for each error, with the action taken.

`docs/messages.md` prints this table. The value of a record is parsed by its type. The guard checks the opened part in
the edition that the sender names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from shared.core.canonical import canonical_json
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import STATED_BY_INSTANCES, WITHDRAWALS, MessageType
from shared.core.envelope.attributes import Attributes
from shared.core.envelope.record_value import split_value
from shared.core.errors import Refused
from shared.core.guard import Limits, inspect
from shared.core.guard.edition import known, own


class Fate(StrEnum):
    """The action on a record. `park`: stored as a dead letter. `refuse`: answered with a code.

    `move`: another instance serves its recipient. `defer`: stored until a release that reads it, or until a day with
    room. `wait`: stored until its unmet dependency arrives. `skip`: its number is not taken, and the writer appends the
    record again. The writer is notified of every action except `skip`.
    """

    SKIP = "skip"
    PARK = "park"
    DEFER = "defer"
    WAIT = "wait"
    REFUSE = "refuse"
    MOVE = "move"


class FateRule(NamedTuple):
    """One row.

    `keeps_body`: the record of a dead letter is stored, because signature and guard both passed.
    """

    fate: Fate
    meaning: str
    alarm: bool = True
    keeps_body: bool = False


RECORD_TABLE: dict[str, FateRule] = {
    "header_not_utf8": FateRule(Fate.PARK, "a header value is not UTF-8"),
    "header_null": FateRule(Fate.PARK, "a header has no value"),
    "header_missing": FateRule(Fate.PARK, "a required header is absent"),
    "header_duplicate": FateRule(Fate.PARK, "a header occurs twice"),
    "header_unknown": FateRule(Fate.PARK, "a ce_ header that is neither listed nor an extension ce_x…"),
    "header_malformed": FateRule(Fate.PARK, "a header value breaks its own format"),
    "record_empty": FateRule(Fate.SKIP, "the record has no value"),
    "record_too_large": FateRule(Fate.PARK, "the value exceeds the record bound"),
    "broker_time_stated": FateRule(Fate.PARK, "a producer stated its time: the topic is not LogAppendTime"),
    "broker_time_off": FateRule(Fate.PARK, "the broker's time is over 10 minutes ahead of our own"),
    "key_mismatch": FateRule(Fate.PARK, "the Kafka key is not the subject"),
    "sender_unknown": FateRule(Fate.PARK, "the sender is not in the directory, or another instance serves it"),
    "recipient_not_served": FateRule(Fate.PARK, "the recipient is not served by this instance"),
    "recipient_awaited": FateRule(
        Fate.WAIT, "no directory has arrived yet that moves the recipient here: it waits for one", alarm=False
    ),
    "recipient_moved": FateRule(
        Fate.MOVE, "another instance serves the recipient now: the edge is issued again there", alarm=False
    ),
    "topic_wrong": FateRule(Fate.PARK, "the record is not in the topic of its sender's instance to its recipient's"),
    "proof_malformed": FateRule(Fate.SKIP, "the proof record breaks its own format"),
    "proof_missing": FateRule(Fate.SKIP, "no proof record before it covers its place"),
    "place_malformed": FateRule(Fate.SKIP, "the record states no place in its stream"),
    "ack_malformed": FateRule(Fate.SKIP, "the acknowledgement breaks its own format"),
    "key_unknown": FateRule(Fate.SKIP, "the directory has no such key of its writer, or has revoked it"),
    "signature_invalid": FateRule(Fate.PARK, "the content signature is not valid"),
    "type_unknown": FateRule(Fate.DEFER, "no such message type in this release"),
    "version_unknown": FateRule(Fate.DEFER, "a known message in a version this service does not read"),
    "code_unknown": FateRule(Fate.DEFER, "valid except for a code that this release does not know"),
    "guard_unknown": FateRule(Fate.DEFER, "checked by an edition of the guard that this release does not know"),
    "body_invalid": FateRule(Fate.PARK, "the value does not match the JSON schema of its type"),
    "statement_not_yours": FateRule(
        Fate.REFUSE, "the table of authority allows no sender of this kind to send it to this recipient"
    ),
    "exercise_mismatch": FateRule(Fate.REFUSE, "an exercise record of or for a live party, or the reverse"),
    "sender_suspended": FateRule(Fate.REFUSE, "the directory has suspended the sender"),
    "edge_not_reproducible": FateRule(Fate.PARK, "the recipient cannot derive the edge it was sent", keeps_body=True),
    "engine_unknown": FateRule(Fate.DEFER, "decided by an engine version this service does not know"),
    "edge_not_ours": FateRule(Fate.REFUSE, "the edge names another recipient"),
    "decision_time_off": FateRule(
        Fate.REFUSE, "decided over 60 s after the broker's time, or with another result on that day", alarm=False
    ),
    "message_time_off": FateRule(Fate.REFUSE, "dated over 5 minutes after the broker's time, or before the year 2000"),
    "document_lapsed": FateRule(Fate.REFUSE, "directory or policy no longer active at the broker's time", alarm=False),
    "document_unknown": FateRule(
        Fate.WAIT, "its directory or policy has not arrived: it waits here, or deferred if full", alarm=False
    ),
    "act_awaited": FateRule(
        Fate.WAIT, "the act before it in its track has not arrived: it waits here, as for a document", alarm=False
    ),
    "sender_day_spent": FateRule(
        Fate.DEFER, "its sender has used up its days here: it waits for midnight, a larger budget or a person"
    ),
    "sender_day_full": FateRule(
        Fate.REFUSE, "its sender has used up its days here, and it is 35 days old or too many bytes wait already"
    ),
    "revision_not_above": FateRule(
        Fate.REFUSE, "changed content of a known edge or act, but not with a higher revision", alarm=False
    ),
    "subject_withdrawn": FateRule(Fate.REFUSE, "its sender has withdrawn the subject", alarm=False),
    "sealed_unopenable": FateRule(Fate.PARK, "the sealed part does not open in this context"),
    "guard_refused": FateRule(Fate.REFUSE, "the guard rejects the opened sealed part"),
    "accept_defect": FateRule(Fate.PARK, "our own check failed on this record, so it has no effect"),
    "handler_defect": FateRule(Fate.PARK, "the service's own code failed on this message alone", keeps_body=True),
}

#: Rejection of a message about a withdrawn subject. If the origin does not know the withdrawal, it was restored.
SUBJECT_WITHDRAWN = "subject_withdrawn"

#: Rejections that the origin answers with a new decision: the edge may be right, only its time was not.
DECIDE_AGAIN: frozenset[str] = frozenset({"decision_time_off", "document_lapsed"})


def row_for(code: str) -> FateRule:
    """Return the row of a code. A rejection by the domain has no row of its own and raises no alarm."""
    return RECORD_TABLE.get(code, _DOMAIN_REFUSAL)


_DOMAIN_REFUSAL = FateRule(Fate.REFUSE, "the service's state machine rejects the act", alarm=False)


class RecordBody(NamedTuple):
    """The clear part in the newest form of its message, and the sealed part or None."""

    clear: Contract
    sealed: bytes | None


def read_body(message: MessageType, value: bytes, newest: MessageType) -> RecordBody:
    """Read the value of a message of this type, whose `newest` version has the form that is returned.

    Raises `Refused("body_invalid")`, and `Refused("code_unknown")` if only codes are unknown. A clear part must be
    canonical JSON: otherwise a repeated member could hold bytes that no reader checks.
    """
    clear, sealed = split_value(value)
    if sealed is None and message.needs_sealed:
        raise Refused("body_invalid", "its sealed part is missing", field="/sealed")
    if sealed is not None and message.sealed is None:
        raise Refused("body_invalid", "its type has no sealed part", field="/sealed")
    try:
        read = message.clear.model_validate_json(clear, strict=True)
        if newest is not message:
            read = newest.clear.model_validate_json(clear, strict=True)
    except ValidationError as error:
        if message not in WITHDRAWALS and only_codes_unknown(error):
            raise code_unknown("/clear") from None
        raise Refused("body_invalid", "it does not match the schema of its type", field="/clear") from None
    if canonical_json(from_json(clear)) != clear:
        raise Refused("body_invalid", "not canonical JSON", field="/clear")
    return RecordBody(read, sealed)


def only_codes_unknown(error: ValidationError) -> bool:
    """Return whether unknown codes are the only errors.

    Lists of codes grow, other parts of a schema do not. A list with unknown codes may also seem too short, because its
    invalid entries do not count.
    """
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = [each["loc"] for each in errors if each["type"] == "enum"]

    def follows(at: tuple[int | str, ...]) -> bool:
        return any(len(at) < len(loc) and loc[: len(at)] == at for loc in unknown)

    return all(each["type"] == "enum" or (each["type"] == "too_short" and follows(each["loc"])) for each in errors)


def code_unknown(field: str) -> Refused:
    """Return the error for a part with an unknown code."""
    return Refused("code_unknown", field=field)


def check_edition(message: MessageType, attributes: Attributes) -> None:
    """Check that we know the guard's edition. A newer edition may accept content that ours cannot check."""
    if message.family in STATED_BY_INSTANCES or message in WITHDRAWALS:
        return
    if _name(attributes) not in known():
        raise Refused("guard_unknown", field="ce_guard")


def check_sealed(sealed: Contract, attributes: Attributes, limits: Limits) -> int:
    """Check the sealed part in the sender's edition; return its cost in sixteenths of a bit.

    Raises `Refused("guard_refused")`.
    """
    try:
        return inspect(sealed, limits=limits, edition=known().get(_name(attributes), own())).whole
    except Refused as error:
        raise unguarded(error) from None


def unguarded(error: Refused) -> Refused:
    """Return the guard's error for the sealed part, as its sender gets it."""
    return Refused("guard_refused", error.code, field=f"/sealed{error.field or ''}")


def _name(attributes: Attributes) -> str:
    return attributes.guard.partition(" ")[0]
