"""What happens to a record: one row per way in which it can be wrong. `docs/messages.md` prints this table.

Its value is read by its type. The guard judges what came out of the seal, by the edition that the sender names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from shared.contracts.base import Contract
from shared.contracts.registry import STATED_BY_INSTANCES, WITHDRAWALS, MessageType, newest
from shared.envelope.attributes import Attributes
from shared.envelope.record_value import split_value
from shared.guard import Limits, inspect
from shared.guard.edition import known, own
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused


class Fate(StrEnum):
    """`park` keeps it as a dead letter; `refuse` is a coded answer; `move`: another instance serves its recipient.

    `defer` keeps it here until a release that reads it, `wait` until what it lacks has come. `skip` takes no number:
    the writer appends the record again. The writer is told of every other fate.
    """

    SKIP = "skip"
    PARK = "park"
    DEFER = "defer"
    WAIT = "wait"
    REFUSE = "refuse"
    MOVE = "move"


class Row(NamedTuple):
    """`keeps_body`: the record of a dead letter with this code is kept, since signature and guard both passed."""

    fate: Fate
    meaning: str
    alarm: bool = True
    keeps_body: bool = False


RECORD_TABLE: dict[str, Row] = {
    "header_not_utf8": Row(Fate.PARK, "a header value is not UTF-8"),
    "header_null": Row(Fate.PARK, "a header has no value"),
    "header_missing": Row(Fate.PARK, "a required header is absent"),
    "header_duplicate": Row(Fate.PARK, "a header occurs twice"),
    "header_unknown": Row(Fate.PARK, "a ce_ header that is neither listed nor an extension ce_x…"),
    "header_malformed": Row(Fate.PARK, "a header value breaks its own format"),
    "record_empty": Row(Fate.SKIP, "the record has no value"),
    "record_too_large": Row(Fate.PARK, "the value exceeds the record bound"),
    "broker_time_stated": Row(Fate.PARK, "its time was stated by a producer: the topic is not LogAppendTime"),
    "broker_time_off": Row(Fate.PARK, "the broker's time is over 10 minutes ahead of our own"),
    "key_mismatch": Row(Fate.PARK, "the Kafka key is not the subject"),
    "sender_unknown": Row(Fate.PARK, "the sender is not in the directory, or served elsewhere"),
    "recipient_not_served": Row(Fate.PARK, "the recipient is not served by this instance"),
    "recipient_awaited": Row(
        Fate.WAIT, "no directory has come yet that moves the recipient here: it waits here for one", alarm=False
    ),
    "recipient_moved": Row(
        Fate.MOVE, "another instance serves the recipient now: the edge is issued anew there", alarm=False
    ),
    "topic_wrong": Row(Fate.PARK, "the record is not in the topic of its sender's instance to its recipient's"),
    "proof_malformed": Row(Fate.SKIP, "the proof record breaks its own format"),
    "proof_missing": Row(Fate.SKIP, "no proof record before it covers its place"),
    "place_malformed": Row(Fate.SKIP, "the record states no place in its stream"),
    "ack_malformed": Row(Fate.SKIP, "the acknowledgement breaks its own format"),
    "key_unknown": Row(Fate.SKIP, "the directory has no such key of its writer, or has revoked it"),
    "signature_invalid": Row(Fate.PARK, "the content signature does not hold"),
    "type_unknown": Row(Fate.DEFER, "no such message type in this release"),
    "version_unknown": Row(Fate.DEFER, "a known message in a version this service does not read"),
    "code_unknown": Row(Fate.DEFER, "well formed, but for a code that none of our lists has"),
    "guard_unknown": Row(Fate.DEFER, "passed by an edition of the guard that we do not know"),
    "body_invalid": Row(Fate.PARK, "the value is not the JSON the type's schema describes"),
    "statement_not_yours": Row(
        Fate.REFUSE, "the table of authority lets no sender of this kind say it to this recipient"
    ),
    "exercise_mismatch": Row(Fate.REFUSE, "an exercise record of or for a live party, or the reverse"),
    "sender_suspended": Row(Fate.REFUSE, "the directory has suspended the sender"),
    "edge_not_reproducible": Row(Fate.PARK, "the recipient cannot derive the edge it was sent", keeps_body=True),
    "engine_unknown": Row(Fate.DEFER, "decided by an engine version this service does not know"),
    "edge_not_ours": Row(Fate.REFUSE, "the edge names another recipient"),
    "decision_time_off": Row(
        Fate.REFUSE, "decided over 60 s after the broker's time, or otherwise on the broker's day", alarm=False
    ),
    "message_time_off": Row(Fate.REFUSE, "dated over 5 minutes after the broker's time, or before the year 2000"),
    "document_lapsed": Row(Fate.REFUSE, "directory or policy no longer active at the broker's time", alarm=False),
    "document_unknown": Row(
        Fate.WAIT, "its directory or policy has not come: it waits here, or deferred where no room is", alarm=False
    ),
    "act_awaited": Row(
        Fate.WAIT, "the act before it in its track has not come: it waits here, as for a document", alarm=False
    ),
    "revision_not_above": Row(
        Fate.REFUSE, "other content of an edge or act that is held, and not under a higher revision", alarm=False
    ),
    "subject_withdrawn": Row(Fate.REFUSE, "its sender has taken the subject back", alarm=False),
    "sealed_unopenable": Row(Fate.PARK, "the sealed part does not open in this context"),
    "guard_refused": Row(Fate.REFUSE, "the guard refuses the opened sealed part"),
    "accept_defect": Row(Fate.PARK, "our own check failed on this record: it fails closed"),
    "handler_defect": Row(Fate.PARK, "the service's own code failed on this message alone", keeps_body=True),
}

#: The refusal of what its recipient was told is taken back: an origin that does not know of it was restored.
SUBJECT_WITHDRAWN = "subject_withdrawn"

#: Refusals that the origin answers by deciding again: the edge may be right, only its time was not.
DECIDE_AGAIN: frozenset[str] = frozenset({"decision_time_off", "document_lapsed"})


def row_for(code: str) -> Row:
    """The row of a code; a domain refusal has no row of its own and is a refusal without alarm."""
    return RECORD_TABLE.get(code, _DOMAIN_REFUSAL)


_DOMAIN_REFUSAL = Row(Fate.REFUSE, "the service's state machine refuses the act", alarm=False)


class RecordBody(NamedTuple):
    """The clear part in the newest form of its message, and the sealed part; None for a message without one."""

    clear: Contract
    sealed: bytes | None


def read_body(message: MessageType, value: bytes) -> RecordBody:
    """Read the value of a message of this type.

    Raises `Refused("body_invalid")`, and `Refused("code_unknown")` where only codes are unknown. A clear part has one
    spelling: otherwise a member that occurs twice would hold bytes that no reader looks at.
    """
    clear, sealed = split_value(value)
    if sealed is None and message.needs_sealed:
        raise Refused("body_invalid", "its sealed part is missing", field="/sealed")
    if sealed is not None and message.sealed is None:
        raise Refused("body_invalid", "its type has no sealed part", field="/sealed")
    try:
        read = message.clear.model_validate_json(clear, strict=True)
        if (latest := newest(message.name)) is not message:
            read = latest.clear.model_validate_json(clear, strict=True)
    except ValidationError as error:
        if message not in WITHDRAWALS and only_codes_unknown(error):
            raise code_unknown("/clear") from None
        raise Refused("body_invalid", "not what the type's schema says", field="/clear") from None
    if canonical_json(from_json(clear)) != clear:
        raise Refused("body_invalid", "not in its one spelling", field="/clear")
    return RecordBody(read, sealed)


def only_codes_unknown(error: ValidationError) -> bool:
    """Return whether nothing is wrong but codes that none of our lists has: lists grow, and shapes do not.

    A list that has such a code in it may seem too short: its entry does not count.
    """
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = [each["loc"] for each in errors if each["type"] == "enum"]

    def follows(at: tuple[int | str, ...]) -> bool:
        return any(len(at) < len(loc) and loc[: len(at)] == at for loc in unknown)

    return all(each["type"] == "enum" or (each["type"] == "too_short" and follows(each["loc"])) for each in errors)


def code_unknown(field: str) -> Refused:
    """Return the refusal of a part that has a code which none of our lists has."""
    return Refused("code_unknown", field=field)


def check_edition(message: MessageType, attributes: Attributes) -> None:
    """An edition that we do not read is a newer release's: what it lets pass our own may not know to look into."""
    if message.family in STATED_BY_INSTANCES or message in WITHDRAWALS:
        return
    if _name(attributes) not in known():
        raise Refused("guard_unknown", field="ce_guard")


def check_sealed(sealed: Contract, attributes: Attributes, limits: Limits) -> None:
    """Raises `Refused("guard_refused")` where the edition that the sender names refuses what was sealed."""
    try:
        inspect(sealed, limits=limits, edition=known().get(_name(attributes), own()))
    except Refused as error:
        raise unguarded(error) from None


def unguarded(error: Refused) -> Refused:
    """What the guard says of the sealed part, as its sender is told it."""
    return Refused("guard_refused", error.code, field=f"/sealed{error.field or ''}")


def _name(attributes: Attributes) -> str:
    return attributes.guard.partition(" ")[0]
