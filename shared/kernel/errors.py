"""The error tree. A class exists where a machine must act differently, nowhere else.

    CausewayError
    ├── Refused            the input breaks a rule: acknowledge, answer with the code        HTTP 4xx, receipt refused
    │   └── NotNow         it may be asked again later                                       HTTP 429
    ├── Unavailable        something needed is not there yet: retry with back-off            HTTP 503, no receipt
    ├── Defect             we are wrong: stop that partition, raise an alarm                 HTTP 500, record parked
    └── EvidenceRejected   a proof does not hold: the only exit of a verifier                exit code 1

Every error carries a stable `code` in snake case and, where it concerns input, the JSON pointer
of the `field`. No error ever carries a value that came from outside: identifiers only.
"""

from __future__ import annotations

from collections.abc import Mapping


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
    """The input breaks a rule and always will: it is answered with the code and not tried again."""

    def __init__(self, code: str, detail: str = "", *, field: str | None = None, status: int = 422) -> None:
        super().__init__(code, detail, field=field)
        self.status = status


class NotNow(Refused):
    """A budget is spent: the same may be asked again. `headers` tell a client when (Retry-After, RFC 9110 §10.2.3)."""

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str]) -> None:
        super().__init__(code, detail, status=429)
        self.headers = headers


class Unavailable(CausewayError):
    """Something needed is not there yet (broker, database, a digest not seen): retry later."""


class Defect(CausewayError):
    """An invariant of our own does not hold. Never caused by input alone."""


class EvidenceRejected(CausewayError):
    """A proof, signature or log does not verify. Verifiers raise nothing else."""


def not_found() -> Refused:
    """One answer for what is absent and for what is someone else's: byte-equal, so that nothing can be probed."""
    return Refused("not_found", "there is no such resource for you", status=404)
