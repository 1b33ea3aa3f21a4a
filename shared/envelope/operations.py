"""Counts of the key operations of this process: what its signatures and its sealing cost, for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


class KeyOperations:
    """How often this process has used a key since it began, by kind of operation.

    Plain integers, added to right before the operation. CPython switches threads between none of the steps of `+= 1` on
    a slot, so no count is lost.
    """

    __slots__ = ("decapsulated", "encapsulated", "signed", "verified")

    def __init__(self) -> None:
        self.signed = self.verified = self.encapsulated = self.decapsulated = 0

    def by_kind(self) -> Mapping[str, int]:
        """Return each count by the name that the metric gives it."""
        return {
            "sign": self.signed,
            "verify": self.verified,
            "encapsulate": self.encapsulated,
            "decapsulate": self.decapsulated,
        }


KEY_OPERATIONS: Final = KeyOperations()
