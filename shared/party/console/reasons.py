"""Why a record is opened: a form asks it, and no record opens without."""

from __future__ import annotations

from shared.kernel.errors import Refused
from shared.runtime.console.asked import Asked
from shared.vocabulary.reveal import RevealReason


def read_reason(asked: Asked) -> RevealReason:
    """The reason that was chosen. Raises `Refused("reason_missing")`."""
    try:
        return RevealReason(asked.said("reason"))
    except ValueError:
        raise Refused("reason_missing", "say what you need the record for", field="/reason") from None
