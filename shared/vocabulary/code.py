"""What a code list is: a string enumeration whose every entry names its source."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """One entry of a closed list. The value travels; `source` says who defined it."""

    source: str

    def __new__(cls, value: str, source: str = "Causeway") -> Self:
        """`source` is the publication that the entry was taken from. Without one the code is ours."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.source = source
        return member
