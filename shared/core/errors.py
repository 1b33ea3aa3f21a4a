"""The error tree. A class exists only where a program must act differently.

    CausewayError
    ├── Refused            the input breaks a rule: acknowledge, answer with the code        HTTP 4xx, outcome refused
    │   ├── InvalidFields  fields break their rules: answer with each place and its rule     HTTP 4xx
    │   └── RetryLater     a budget is used up: the request may be sent again later          HTTP 429
    ├── Unavailable        a dependency is unavailable: retry with back-off                  HTTP 503, no outcome
    ├── Defect             the program is wrong: raise an alarm                              HTTP 500, dead letter
    └── EvidenceRejected   a proof is invalid: the only error of a verifier                  exit code 1

Every error carries a stable `code` in snake case and, where it concerns input, the JSON pointer
of the `field`. No error ever carries a value that came from outside: identifiers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CausewayError(Exception):
    """A coded failure. `code` is stable and public; `detail` is fixed text, never input."""

    def __init__(self, code: str, detail: str = "", *, field: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.field = field

    def __str__(self) -> str:
        where = f" at {self.field}" if self.field else ""
        return f"{self.code}{where}" + (f": {self.detail}" if self.detail else "")


class Refused(CausewayError):
    """An input that breaks a rule, also at every retry. The answer has the code, and the input is not tried again."""

    def __init__(self, code: str, detail: str = "", *, field: str | None = None, status: int = 422) -> None:
        super().__init__(code, detail, field=field)
        self.status = status


class InvalidFields(Refused):
    """A body or parameters that break rules at one or more places.

    Each of the `errors` has the pointer of a `field`, a `rule`, and perhaps the form that is `expected`.
    """

    def __init__(
        self,
        errors: Sequence[Mapping[str, str]],
        *,
        code: str = "fields_invalid",
        what: str = "fields",
        status: int = 422,
    ) -> None:
        super().__init__(code, f"one or more {what} break a rule", field=errors[0]["field"], status=status)
        self.errors = errors


class RetryLater(Refused):
    """A used-up budget. The same request may be sent again, after the time in `headers` (RFC 9110 §10.2.3)."""

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str]) -> None:
        super().__init__(code, detail, status=429)
        self.headers = headers


class Unavailable(CausewayError):
    """A dependency that is not available yet (broker, database, an unknown digest). The caller retries later."""


class Defect(CausewayError):
    """A broken invariant of the program. Input alone never causes it."""


class EvidenceRejected(CausewayError):
    """A proof, signature or log that does not verify. Verifiers raise no other error."""


def not_found() -> Refused:
    """Return the same answer for a missing resource and another party's, so that a caller cannot probe for it."""
    return Refused("not_found", "there is no such resource for you", status=404)
