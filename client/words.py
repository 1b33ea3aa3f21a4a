"""Words at the prompt, read as what they say over HTTP: `removed` of every item, `3=removed` of the third."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from shared.contracts.base import Contract
from shared.kernel.errors import Refused

_ContractT = TypeVar("_ContractT", bound=Contract)


def some(words: Sequence[str]) -> None:
    """Raises `Refused("answer_missing")` where nothing is said."""
    if not words:
        raise Refused("answer_missing", "say at least one word", status=400)


def numbered(word: str) -> tuple[dict[str, object], str]:
    """The item that a word names, as `n`, where it names one; and the word without it."""
    number, named, code = word.rpartition("=")
    return {"n": int(number) if number.isdecimal() else number} if named else {}, code


def read(form: type[_ContractT], said: Mapping[str, object], wanted: str, *words: type[StrEnum]) -> _ContractT:
    """What is said, in its form. Raises `Refused("answer_malformed")`: what is `wanted`, and which words there are."""
    try:
        return form.model_validate(said)
    except ValueError:
        # Raised below: what was said would ride along from here.
        pass
    listed = " or ".join(", ".join(each.value for each in kind) for kind in words)
    raise Refused("answer_malformed", f"{wanted}: {listed}" if listed else wanted, status=400)
