"""Why somebody opens a record."""

from __future__ import annotations

from shared.vocabulary.code import Code


class RevealReason(Code):
    """What whoever opens a record needs it for: told to audit with the look."""

    TAKE_UP = "take_up"
    ACT = "act"
    CORRECT = "correct"
    SUPERVISE = "supervise"
    LAWFUL_REQUEST = "lawful_request"
