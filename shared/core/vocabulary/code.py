"""The type of a code list: a string enumeration in which every entry names its source."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """One entry of a closed list. Messages contain the value; `source` names the author of its definition."""

    source: str

    def __new__(cls, value: str, source: str = "Causeway") -> Self:
        """Create an entry. `source` is the publication of its definition; the default is Causeway itself."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.source = source
        return member
