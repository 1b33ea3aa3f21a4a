"""The messages of a preservation: what an agency asks a provider to keep, and what the provider answers.

The exchange tells nobody else of it. Each party numbers its own acts, from 1: the request is the agency's first.
"""

from __future__ import annotations

from shared.contracts import preservation_api
from shared.contracts.answers import Answer
from shared.contracts.base import Uuid


class OnPreservation(Answer):
    """An act of a preservation names it by its id alone."""

    preservation_id: Uuid


class PreservationRequestedClear(preservation_api.PreservationTerms, OnPreservation):
    """An agency asks a provider to keep what it has at some locations. What and for which order is sealed."""


class PreservationExtensionRequestedClear(preservation_api.ExtensionTerms, OnPreservation):
    """The agency asks the provider to keep it longer."""


class PreservationWithdrawnClear(preservation_api.PreservationWithdrawing, OnPreservation):
    """The agency takes its request back."""


class PreservationAnsweredClear(preservation_api.PreservationAnswering, OnPreservation):
    """The provider keeps what it was asked to keep, or says why not."""


class PreservationCorrectedClear(preservation_api.PreservationAnswering, OnPreservation):
    """What the provider has answered was a mistake: this is its answer, from now on."""


class PreservationExtensionAnsweredClear(preservation_api.ExtensionAnswering, OnPreservation):
    """The provider keeps it longer, or says why not."""


class PreservationEndedClear(preservation_api.PreservationEnding, OnPreservation):
    """The provider keeps it no longer."""


class PreservationWithdrawalAcknowledgedClear(OnPreservation):
    """The provider has stopped keeping what the agency no longer wants kept."""
