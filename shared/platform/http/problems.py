"""Problem details (RFC 9457): the form of a coded error over HTTP. It has codes and pointers, never a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from shared.core.codes import find_remedy
from shared.core.contracts.base import Contract, error_locations
from shared.core.errors import CausewayError, InvalidFields, Refused, Unavailable

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
ERRORS_MAX: Final = 20


class FieldError(Contract):
    """One broken rule: JSON pointer (RFC 6901), the name of the rule, and the accepted form from the schema."""

    field: str
    rule: str
    expected: str | None = None


class Problem(Contract):
    """The body of every answer with status 400 or above. `type` is the path `/problems/` with the code.

    That path returns the code's texts. `remedy` is the caller's next step.
    """

    type: str
    title: str
    status: int
    code: str
    remedy: str | None = None
    field: str | None = None
    errors: tuple[FieldError, ...] = ()


def invalid_parameters(errors: Sequence[Mapping[str, str]]) -> InvalidFields:
    """Return the refusal of a query whose parameters break a rule at these places."""
    return InvalidFields(errors, code="parameter_invalid", what="parameters", status=400)


def broken_places(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Convert pydantic's errors for `InvalidFields`, without any input.

    A pointer ends before a name that the model does not have, because that name came from outside.
    """
    found = errors[:ERRORS_MAX]
    ours = [one | {"loc": one["loc"][:-1]} if one["type"] == "extra_forbidden" else one for one in found]
    return [one | {"field": one["field"].rstrip("/")} for one in error_locations(ours)]


def status_of(error: CausewayError) -> int:
    """Return the HTTP status of an error: that of a `Refused`, 503 for `Unavailable`, else 500."""
    match error:
        case Refused():
            return error.status
        case Unavailable():
            return 503
        case _:
            return 500


def problem_body(error: CausewayError) -> Problem:
    """Return an error as a problem. The problem of a `Defect` does not show its code."""
    code, title, field = error.code, error.detail or error.code.replace("_", " "), error.field
    if not isinstance(error, Refused | Unavailable):
        code, title, field = "internal_error", "the service failed; nothing in this request took effect", None
    errors = tuple(FieldError(**each) for each in error.errors) if isinstance(error, InvalidFields) else ()
    return Problem(
        type=f"/problems/{code}",
        title=title,
        status=status_of(error),
        code=code,
        remedy=find_remedy(code),
        field=field,
        errors=errors,
    )


def problem(error: CausewayError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for an error. Equal errors have byte-equal answers."""
    body = problem_body(error)
    more = dict(headers or {})
    if isinstance(error, Unavailable):
        more.setdefault("Retry-After", str(RETRY_AFTER_S))
    if body.status == 401:
        more.setdefault("WWW-Authenticate", "Bearer")
    return Response(body.spelt(), status_code=body.status, media_type=PROBLEM_JSON, headers=more)
