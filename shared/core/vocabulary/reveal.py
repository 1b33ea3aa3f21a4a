"""Reasons for opening a record."""

from __future__ import annotations

from shared.core.vocabulary.code import Code


class RevealReason(Code):
    """A person's reason for opening a record. It is sent to audit with the record access."""

    TAKE_UP = "take_up"
    ACT = "act"
    CORRECT = "correct"
    SUPERVISE = "supervise"
    LAWFUL_REQUEST = "lawful_request"
