"""What all contracts share: closed models and the clear (class S1) scalar types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from shared.kernel.clock import rfc3339


class Contract(BaseModel):
    """A closed, frozen model: unknown fields are refused and input is never echoed in errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False, ser_json_inf_nan="null"
    )


def _whole_milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


#: An instant, written as RFC 3339 UTC with milliseconds; finer fractions are dropped on the way in.
Instant = Annotated[
    AwareDatetime,
    AfterValidator(_whole_milliseconds),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]

#: A party of the directory, for example `hotline-nl.example`.
PartyId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z][a-z0-9-]{0,30}){0,3}$", max_length=64)
]
#: A service instance of the directory, for example `hotline`.
InstanceId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$", max_length=32)]
#: A key of the directory: algorithm and fingerprint, for example `ed25519-` and 32 hexadecimal digits.
KeyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,24}-[0-9a-f]{32}$", max_length=57)]
#: Who may send on the wire: a party, or an instance (receipts and facts).
SenderId = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z][a-z0-9-]{0,30}){0,3}|[a-z][a-z0-9_]{0,31})$",
        max_length=64,
    ),
]
#: A jurisdiction node: country (`NL`), subdivision (`US-CA`, `GB-EAW`) or bloc (`BLOC-EU`).
Jurisdiction = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|BLOC-[A-Z]{2,4})$", max_length=9)]
#: A jurisdiction as a sender wrote it: may be a code nobody knows ("Europe"); the work list catches it.
StatedJurisdiction = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z -]{0,23}[A-Za-z]$|^[A-Za-z]{2}-[A-Za-z0-9]{1,3}$", max_length=25)
]
#: SHA-256, lower-case hexadecimal.
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
#: A rule of the policy, for example `eu-dsa-16-notice`.
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$", max_length=48)]
#: A stable error code.
ErrorCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$", max_length=64)]
#: Autonomous system number (RFC 6793).
Asn = Annotated[int, Field(ge=1, le=4_294_967_295)]


def error_locations(errors: list[Any]) -> list[dict[str, str]]:
    """pydantic's errors as (field pointer, rule) pairs, without any input value."""
    return [
        {"field": "/" + "/".join(str(part) for part in error["loc"]), "rule": str(error["type"])} for error in errors
    ]


SchemaVersion = Literal["1"]
