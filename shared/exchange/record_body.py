"""The value of a message record, read by its type; and what the guard says of its sealed part.

The guard judges by the edition that the sender names, what came out of the seal.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from shared.contracts.base import Contract
from shared.contracts.registry import STATED_BY_INSTANCES, WITHDRAWALS, MessageType, newest
from shared.envelope.headers import Attributes
from shared.envelope.record_value import split_value
from shared.guard import Limits, inspect
from shared.guard.edition import known, own
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused


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
