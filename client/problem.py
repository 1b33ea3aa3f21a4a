"""The refusal of a service (`application/problem+json`, RFC 9457), and of a body before it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from shared.core.errors import CausewayError, Refused

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_POINTER = re.compile(r"(/[A-Za-z0-9_.~-]{1,64}){0,12}")
_RULE = re.compile(r"[A-Za-z0-9_ ,-]{1,120}")
#: Expectations of the schema: texts in plain characters.
_EXPECTED = re.compile(r"[ -~]{1,1000}")
_REFERRAL = re.compile(r"/v1/referrals/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class ApiProblem(CausewayError):
    """The service refused, or answered in an unknown form (`unexpected_answer`).

    `errors` are (field, rule) pairs, `expected` the expectation at each. `referral_id` is the earlier referral if the
    code is `external_ref_exists`. Text that is not a code, a pointer or a rule is left out, so that no text of a server
    is repeated unchecked.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int,
        field: str | None = None,
        errors: tuple[tuple[str, str], ...] = (),
        expected: tuple[str | None, ...] = (),
        referral_id: UUID | None = None,
    ) -> None:
        super().__init__(code, field=field)
        self.status = status
        self.errors = errors
        self.expected = expected or (None,) * len(errors)
        self.referral_id = referral_id

    @classmethod
    def from_body(cls, status: int, body: object) -> ApiProblem:
        """Read a problem document; anything else becomes `unexpected_answer` with the status."""
        document = body if isinstance(body, Mapping) else {}
        code = _matching(_CODE, document.get("code"))
        if code is None:
            return cls("unexpected_answer", status=status)
        listed = _errors(document.get("errors"))
        return cls(
            code,
            status=status,
            field=_matching(_POINTER, document.get("field")),
            errors=tuple((field, rule) for field, rule, _ in listed),
            expected=tuple(expected for _, _, expected in listed),
            referral_id=referral_in(document.get("referral")),
        )

    @property
    def rule(self) -> str | None:
        """Return the first broken rule, if the service names one."""
        return self.errors[0][1] if self.errors else None


class OptionsRefused(Refused):
    """An invalid body from options: `errors` are (option, rule) pairs, `expected` the valid values."""

    def __init__(self, errors: tuple[tuple[str, str], ...], expected: tuple[str | None, ...]) -> None:
        super().__init__("option_invalid", field=errors[0][0], status=400)
        self.errors = errors
        self.expected = expected


def referral_in(path: object) -> UUID | None:
    """Return the referral in a path `/v1/referrals/{id}`."""
    found = _REFERRAL.fullmatch(path) if isinstance(path, str) else None
    return UUID(found[1]) if found else None


def _errors(listed: object) -> tuple[tuple[str, str, str | None], ...]:
    if not isinstance(listed, list):
        return ()
    forms = {"field": _POINTER, "rule": _RULE, "expected": _EXPECTED}.items()
    entries = (entry for entry in listed if isinstance(entry, Mapping))
    found = ([_matching(form, entry.get(name)) for name, form in forms] for entry in entries)
    return tuple((field or "", rule, expected) for field, rule, expected in found if rule is not None)


def _matching(pattern: re.Pattern[str], text: object) -> str | None:
    return text if isinstance(text, str) and pattern.fullmatch(text) else None
