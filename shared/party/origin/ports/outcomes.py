"""Outcomes of an origin's messages at the instances of their recipients."""

from __future__ import annotations

from typing import Final, NamedTuple

from shared.vocabulary.answers import ReceiptOutcome

#: Outcomes that are the last ones of a message.
FINAL: Final = frozenset({ReceiptOutcome.APPLIED, ReceiptOutcome.REFUSED, ReceiptOutcome.MOVED})


class Receipted(NamedTuple):
    """The outcome of a message, the code of one that was not applied, and the instance `by` which it was stated."""

    outcome: ReceiptOutcome
    code: str | None
    by: str
