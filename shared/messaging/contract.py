"""The messages of the protocol itself as JSON: outcomes, resync requests and holdings.

Their shapes are the dataclasses of `exceptions` and `resync`. Bytes are lower-case hexadecimal; nothing is sealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.core.codes import ERRORS
from shared.core.errors import Refused
from shared.core.protocol.record_table import RECORD_TABLE
from shared.messaging.exceptions import CODE, MALFORMED, NUMBER_MAX, Outcome, OutcomeList, RefusalCode, is_well_formed
from shared.messaging.resync import FIRST_DAY, Holdings, ResyncRequest
from shared.messaging.streams import DIGEST_BYTES, WireRole

ControlBody = OutcomeList | ResyncRequest | Holdings

#: The codes of outcomes that are kept and shown, and the code that stands for any other.
KNOWN_CODES: Final = frozenset({*ERRORS, *RECORD_TABLE, *RefusalCode, MALFORMED})
CODE_UNKNOWN: Final = "code_unknown"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="hex", val_json_bytes="hex")


class _Outcomes(_Body):
    body: OutcomeList


class _Resync(_Body):
    body: ResyncRequest


class _Holdings(_Body):
    body: Holdings


_MODELS: Final[Mapping[WireRole, type[_Outcomes | _Resync | _Holdings]]] = {
    WireRole.OUTCOMES: _Outcomes,
    WireRole.RESYNC: _Resync,
    WireRole.HOLDINGS: _Holdings,
}


def encode_control(role: WireRole, body: ControlBody) -> dict[str, object]:
    """Return the clear part of a message of the protocol."""
    return _MODELS[role].model_validate({"body": body}).model_dump(mode="json")


def decode_control(role: WireRole, clear: bytes) -> ControlBody:
    """Read the clear part of a message of the protocol. Raises `Refused("body_invalid")`.

    Kinds and codes are codes, digests have 32 bytes, and numbers have bounds, so the message can carry no free text. An
    unknown code of an outcome becomes `code_unknown`.
    """
    try:
        body = _MODELS[role].model_validate_json(clear).body
    except ValidationError:
        raise Refused("body_invalid") from None
    if not (all(map(_is_clean, _outcomes_of(body))) and _has_clean_rows(body) and _has_days(body)):
        raise Refused("body_invalid")
    outcomes = tuple(map(_with_known_code, _outcomes_of(body)))
    if isinstance(body, OutcomeList):
        return OutcomeList(outcomes)
    return body if body.exceptions is None else replace(body, exceptions=outcomes)


def _with_known_code(outcome: Outcome) -> Outcome:
    return outcome if outcome.code is None or outcome.code in KNOWN_CODES else replace(outcome, code=CODE_UNKNOWN)


def _outcomes_of(body: ControlBody) -> tuple[Outcome, ...]:
    return body.outcomes if isinstance(body, OutcomeList) else body.exceptions or ()


def _is_clean(outcome: Outcome) -> bool:
    return (
        is_well_formed(outcome.named)
        and CODE.fullmatch(outcome.code or "none") is not None
        and (outcome.held is None or _is_number(outcome.held))
    )


def _has_clean_rows(body: ControlBody) -> bool:
    if not isinstance(body, Holdings):
        return True
    rows = [row for part in body.parts for row in part.rows]
    ends = [end for closed in body.closed for end in closed.lanes]
    digests = [digest for _, digest in body.digests]
    return (
        all(_is_number(row.revision) and _is_digest(row.content) for row in rows)
        and all(_is_number(end.number) and _is_digest(end.chain) for end in ends)
        and all(_is_number(each.holding_count) and _is_digest(each.digest) for each in digests)
    )


def _has_days(body: ControlBody) -> bool:
    """Return whether all days are such that a subject's id can have them."""
    match body:
        case ResyncRequest():
            days = [of.day for of in body.days]
        case Holdings():
            days = [each.day for _, each in body.digests] + [part.of.day for part in body.parts]
        case _:
            days = []
    return min(days, default=FIRST_DAY) >= FIRST_DAY


def _is_number(value: int) -> bool:
    return 0 <= value <= NUMBER_MAX


def _is_digest(value: bytes | None) -> bool:
    return value is None or len(value) == DIGEST_BYTES
