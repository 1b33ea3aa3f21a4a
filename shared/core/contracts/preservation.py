"""The messages of a preservation: an agency's request to a provider, and the provider's answers.

No other party learns of it. Each party numbers its own acts from 1: the request is the agency's first act.
"""

from __future__ import annotations

from shared.core.contracts import preservation_api
from shared.core.contracts.answers import Answer
from shared.core.contracts.base import Uuid


class PreservationActRef(Answer):
    """An act on a preservation. It names the preservation by its id alone."""

    preservation_id: Uuid


class AgencyAct(PreservationActRef):
    """An act of the agency. All others are answers of the provider."""


class PreservationRequestedClear(preservation_api.PreservationTerms, AgencyAct):
    """An agency asks a provider to preserve data at some locations.

    The locations and the order are sealed.
    """


class PreservationExtensionRequestedClear(preservation_api.ExtensionTerms, AgencyAct):
    """The agency asks the provider to preserve the data longer."""


class PreservationWithdrawnClear(preservation_api.PreservationWithdrawing, AgencyAct):
    """The agency withdraws its request."""


class PreservationAnsweredClear(preservation_api.PreservationAnswering, PreservationActRef):
    """The provider preserves the data, or gives the reason for not doing so."""


class PreservationCorrectedClear(preservation_api.PreservationAnswering, PreservationActRef):
    """The provider's earlier answer was a mistake. This answer replaces it from now on."""


class PreservationExtensionAnsweredClear(preservation_api.ExtensionAnswering, PreservationActRef):
    """The provider preserves the data longer, or gives the reason for not doing so."""


class PreservationEndedClear(preservation_api.PreservationEnding, PreservationActRef):
    """The provider no longer preserves the data."""


class PreservationWithdrawalAcknowledgedClear(PreservationActRef):
    """The provider has stopped preserving the data after the agency's withdrawal."""
