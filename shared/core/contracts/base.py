"""Base of all contracts: closed models and the clear (class S1) scalar types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shared.core.clock import rfc3339
from shared.core.codes import RULES
from shared.core.errors import Refused
from shared.core.ids import spelt_uuid
from shared.core.vocabulary.referral import LocatorKind


class Contract(BaseModel):
    """A closed, frozen model: unknown fields are rejected, and errors never contain input."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False, ser_json_inf_nan="null"
    )

    def spelt(self) -> bytes:
        """Return the JSON for an HTTP response, without members that have their default."""
        return self.model_dump_json(exclude_defaults=True).encode()


_ContractT = TypeVar("_ContractT", bound=Contract)
_LATER: Final = "version_later"


def read_versioned(contract: type[_ContractT], text: bytes, malformed: Refused) -> _ContractT:
    """Read a stored document with a `version` from JSON.

    Raises `malformed`, or `Refused("proof_of_later_release")` if this release does not know its version yet.
    """
    try:
        return contract.model_validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    if any((each["type"], each["loc"]) == (_LATER, ("version",)) for each in found):
        raise Refused("proof_of_later_release", "its version is not known here", field="/version")
    raise malformed


def _first_version(value: object) -> object:
    """Check a version: a whole number. `Literal[1]` would also accept the equal values `true` and `1.0`."""
    if type(value) is not int or value < 1:
        raise PydanticCustomError("version_form", "not the number of a version")
    if value > 1:
        raise PydanticCustomError(_LATER, "a version that is not known here")
    return value


#: The form of a stored document. So far there is only one.
FormVersion = Annotated[Literal[1], BeforeValidator(_first_version)]


#: A number of notices or items of one referral, over all its revisions, so no limit of a decision applies.
Count = Annotated[int, Field(strict=True, ge=0, le=10_000)]
#: A JSON object with arbitrary members.
JsonObject = Annotated[dict[str, JsonValue], WithJsonSchema({"type": "object", "additionalProperties": True})]

_Kind = TypeVar("_Kind")


def _whole_milliseconds(instant: datetime) -> datetime:
    if instant.tzinfo is UTC and not instant.microsecond % 1000:  # as every service writes it
        return instant
    try:
        instant.astimezone(UTC)
    except OverflowError:  # valid in its own zone, but out of range in UTC
        raise PydanticCustomError("instant_range", "a time that UTC cannot write") from None
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _whole_seconds(instant: datetime) -> datetime:
    whole = _whole_milliseconds(instant)
    return whole.replace(microsecond=0) if whole.microsecond else whole


def _whole_days(instant: datetime) -> datetime:
    return _whole_milliseconds(instant).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _spelt(pattern: str, kind: type[_Kind], read: Callable[[str], _Kind], *, rule: str) -> BeforeValidator:
    """Accept only texts of this form, and values of `kind`.

    Pydantic would also accept numbers and other forms.
    """
    form = re.compile(pattern)

    def check(value: object) -> _Kind:
        if isinstance(value, kind):
            return value
        if isinstance(value, str) and form.fullmatch(value):
            try:
                return read(value)
            except ValueError:
                pass  # of the form, but no such day or time
        raise PydanticCustomError(rule, "not of the form that the schema states")

    return BeforeValidator(check)


_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

_Time = Annotated[
    AwareDatetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    _spelt(_TIME, datetime, datetime.fromisoformat, rule="instant_form"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME}),
]
#: An instant, written as RFC 3339 UTC with milliseconds; finer fractions are dropped on the way in.
Instant = Annotated[_Time, AfterValidator(_whole_milliseconds)]
#: The time of an event, to the second: finer fractions are dropped on input. Written as an instant.
EventTime = Annotated[_Time, AfterValidator(_whole_seconds)]
#: The day of an event (UTC): the time of day is dropped on input. Written as the instant at which the day begins.
EventDay = Annotated[_Time, AfterValidator(_whole_days)]
#: A calendar day (RFC 3339, full-date).
Day = Annotated[
    date,
    _spelt(_DAY, date, date.fromisoformat, rule="day_form"),
    WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY}),
]
#: A UUID in its canonical lower-case form (RFC 9562, section 4).
Uuid = Annotated[
    UUID,
    _spelt(_UUID, UUID, spelt_uuid, rule="uuid_form"),
    WithJsonSchema({"type": "string", "format": "uuid", "pattern": _UUID}),
]
#: True or false, without conversion from other values.
Flag = Annotated[bool, Field(strict=True)]

#: The accepted values of a pattern in words, for errors. Other patterns are only in docs/api.
_IN_WORDS: Final[dict[str, str]] = {}


def in_words(pattern: str, words: str) -> str:
    """Return a pattern. An error about it says `words`: the accepted characters and an example."""
    _IN_WORDS[pattern] = words
    return pattern


#: A party of the directory, for example `hotline-nl.example`.
PartyId = Annotated[
    str,
    StringConstraints(
        pattern=in_words(
            r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z][a-z0-9-]{0,30}){0,3}$",
            "an id of the directory in small letters, for example hotline-nl.example",
        ),
        max_length=64,
    ),
]
#: A service instance of the directory, for example `hotline`.
InstanceId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$", max_length=32)]
#: A key of the directory: algorithm and fingerprint, for example `ed25519-` and 32 hexadecimal digits.
KeyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,24}-[0-9a-f]{32}$", max_length=57)]
#: A jurisdiction node: country (`NL`), subdivision (`US-CA`, `GB-EAW`) or bloc (`BLOC-EU`).
Jurisdiction = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|BLOC-[A-Z]{2,4})$", max_length=9)]
#: A jurisdiction as a sender wrote it. It may be an unknown code ("Europe"); such referrals need a person.
StatedJurisdiction = Annotated[
    str,
    StringConstraints(
        pattern=in_words(
            r"^[A-Za-z][A-Za-z -]{0,23}[A-Za-z]$|^[A-Za-z]{2}-[A-Za-z0-9]{1,3}$",
            "a country or a part of it in letters, for example NL or US-CA",
        ),
        max_length=25,
    ),
]
#: An opaque id of an actor. It differs for each actor of a party, and only the party's instance can resolve it.
ActorId = Annotated[str, StringConstraints(pattern=in_words(r"^[0-9a-f]{32}$", "32 digits 0-9 and a-f"), max_length=32)]
#: SHA-256, lower-case hexadecimal.
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
#: Ed25519 (RFC 8032), 64 bytes in base64url without padding; the bits that no byte fills are zero.
SignatureText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{85}[AQgw]$", max_length=86)]
#: An edition of the guard, as `ce_guard` names it (`shared.core.guard.edition`).
GuardEdition = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", max_length=32)]
#: A rule of the policy, for example `eu-dsa-16-notice`.
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$", max_length=48)]
#: An opaque cursor; send it to get the next page. None on the last page.
NextCursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)] | None
#: A stable error code.
ErrorCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$", max_length=64)]
#: Autonomous system number (RFC 6793).
Asn = Annotated[int, Field(strict=True, ge=1, le=4_294_967_295)]


#: Members of an error's context that come from the schema: their name there, and the text for them.
_EXPECTED: Final = {
    "expected": "one of {}",
    "pattern": "the pattern {}",
    "max_length": "a length of at most {}",
    "min_length": "a length of at least {}",
    "le": "at most {}",
    "ge": "at least {}",
    "lt": "less than {}",
    "gt": "more than {}",
}
_EXPECTED_LENGTH_MAX: Final = 1000


def error_locations(errors: list[Any]) -> list[dict[str, str]]:
    """Return Pydantic's errors by `field` pointer and `rule`, without input values.

    A list with an invalid entry may also seem too short. That error is omitted, since the entry has its own error.
    """
    found = [(_pointer(error["loc"]), error) for error in errors]
    return [
        {"field": field, "rule": _rule(error)} | _expected(error.get("ctx", {}))
        for field, error in found
        if error["type"] != "too_short" or not any(other.startswith(f"{field}/") for other, _ in found)
    ]


def _rule(error: Mapping[str, Any]) -> str:
    """Return the name of the rule. A contract raises its rules over several members as `ValueError`."""
    raised = str(error.get("ctx", {}).get("error"))
    return raised if error["type"] == "value_error" and raised in RULES else str(error["type"])


def _expected(context: Mapping[str, object]) -> dict[str, str]:
    if (words := _IN_WORDS.get(str(context.get("pattern")))) is not None:
        return {"expected": words}
    for name, said in _EXPECTED.items():
        if isinstance(context.get(name), str | int | float):
            return {"expected": said.format(context[name])[:_EXPECTED_LENGTH_MAX]}
    return {}


_KINDS = frozenset(kind.value for kind in LocatorKind)


def _pointer(location: tuple[str | int, ...]) -> str:
    """Return the JSON pointer without the union member that Pydantic chose: the body has no such level."""
    parts = [part for before, part in pairwise(("", *location)) if before != "locator" or str(part) not in _KINDS]
    return "/" + "/".join(map(str, parts))
