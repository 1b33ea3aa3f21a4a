"""HTTP bodies of preservations; `shared.core.contracts.preservation` has the messages.

Only the provider can open the sealed part: locations, and the agency's reference of its order.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.core.contracts.base import Contract, Day, EventDay, Uuid
from shared.core.contracts.fields import CaseReference
from shared.core.contracts.referral import Locator
from shared.core.vocabulary import preservation as codes
from shared.core.vocabulary.routing import Instrument

#: Maximum locations of one request.
LOCATIONS_MAX = 10
#: Maximum preservations in one answer to a notice.
SAID_BESIDE_MAX = 50


class PreservationTerms(Contract):
    """The kind of order, its instrument in the policy, and its end: either a class of the law or a day."""

    kind: codes.PreservationKind
    instrument: Instrument
    term: codes.PreservationTerm | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _just_one_end(self) -> Self:
        if (self.term is None) == (self.until is None):
            raise ValueError("term_or_until")
        return self


class PreservationRecord(Contract):
    """The sealed part of a request: the locations to preserve, and the agency's own order reference."""

    locations: Annotated[tuple[Locator, ...], Field(min_length=1, max_length=LOCATIONS_MAX)]
    order_reference: CaseReference | None = None


class ExtensionTerms(Contract):
    """The day until which preservation is extended. Only one extension is possible."""

    until: Day


class PreservationWithdrawing(Contract):
    """The reason for a withdrawal. The request stays open until the provider confirms it."""

    reason: codes.PreservationWithdrawal


class PreservationAnswering(Contract):
    """The provider's answer to a request: preserved until a day, refused, not possible, or too late.

    `until` is required with `preserved`, `reason` with `refused`, `impossible` with `not_possible`, `removed_at` with
    `too_late`. None of them is allowed with another answer.
    """

    answer: codes.PreservationAnswer
    until: Day | None = None
    reason: codes.PreservationRefusal | None = None
    impossible: codes.Impossibility | None = None
    removed_at: EventDay | None = None

    @model_validator(mode="after")
    def _says_what_its_answer_needs(self) -> Self:
        needed = {
            codes.PreservationAnswer.PRESERVED: "until",
            codes.PreservationAnswer.REFUSED: "reason",
            codes.PreservationAnswer.NOT_POSSIBLE: "impossible",
            codes.PreservationAnswer.TOO_LATE: "removed_at",
        }
        if self.answer not in needed:
            raise ValueError("no_first_answer")
        said = {name for name in needed.values() if getattr(self, name) is not None}
        if said != {needed[self.answer]}:
            raise ValueError("answer_needs_its_own_word")
        return self


class PreservationReply(PreservationAnswering):
    """The answer to one request within an answer to a notice: preserved, or not possible with the reason."""

    preservation_id: Uuid

    @model_validator(mode="after")
    def _kept_or_not_possible(self) -> Self:
        if self.answer not in (codes.PreservationAnswer.PRESERVED, codes.PreservationAnswer.NOT_POSSIBLE):
            raise ValueError("preserved_or_not_possible")
        return self


class ExtensionAnswering(Contract):
    """The answer to an extension until the requested day. `reason` is required with `extension_refused`."""

    answer: codes.PreservationAnswer
    reason: codes.PreservationRefusal | None = None

    @model_validator(mode="after")
    def _extended_or_refused(self) -> Self:
        if self.answer not in (codes.PreservationAnswer.EXTENDED, codes.PreservationAnswer.EXTENSION_REFUSED):
            raise ValueError("extended_or_refused")
        if (self.reason is not None) != (self.answer is codes.PreservationAnswer.EXTENSION_REFUSED):
            raise ValueError("answer_needs_its_own_word")
        return self


class PreservationEnding(Contract):
    """The reason why the provider no longer preserves the data."""

    reason: codes.PreservationEnd
