"""What a recipient says once it no longer keeps what was taken back: the end of `kept`, told by its service."""

from __future__ import annotations

from typing import Literal

from shared.contracts.answers import OnNotice, OnReferral
from shared.contracts.base import Contract
from shared.vocabulary.answers import WithdrawalFate


class Erasure(Contract):
    """The record is erased: its key is deleted, and no backup brings it back into service."""

    fate: Literal[WithdrawalFate.ERASED]


class RecordErasedClear(Erasure, OnReferral):
    """The record of a withdrawn referral was kept, and its end has come: it is erased."""


class NoticeRecordErasedClear(Erasure, OnNotice):
    """The record of a withdrawn notice was kept, and its end has come: it is erased."""
