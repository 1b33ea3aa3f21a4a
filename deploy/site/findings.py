"""What a check found: well, or a stable code with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from shared.kernel.errors import CausewayError


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at; `code` is empty if it is well."""

    what: str
    code: str = ""
    advice: str = ""

    @property
    def well(self) -> bool:
        return not self.code

    def as_json(self) -> dict[str, Any]:
        return {"well": self.well} | asdict(self)


def asked(what: str, check: Callable[..., Iterable[Finding]], *arguments: object) -> list[Finding]:
    """The findings of `check(*arguments)`. One that ends in a coded error has found that."""
    try:
        return list(check(*arguments))
    except CausewayError as error:
        return [Finding(what, error.code, error.detail)]
