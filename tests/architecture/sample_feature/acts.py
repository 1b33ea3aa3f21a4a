"""The acts on a call about a case. They leave the states of the case and of its referral as they are."""

from __future__ import annotations

from typing import Final

from shared.features.calls.contract import CALL_CONFIRMED, CALL_PROPOSED, EXAMPLES, CallRef, CallTerms

from shared.core.acts.act import OPEN, WORKED_ON, Act, Cause, Offering, Subject, Track, stays
from shared.core.acts.catalog import Feature
from shared.core.vocabulary.routing import Disposition

#: The agency proposes a call.
PROPOSE: Final = Act(
    "propose_call",
    Subject.CASE,
    Track.ANSWER,
    Cause.PERSON,
    stays(*WORKED_ON[Subject.CASE]),
    OPEN,
    CALL_PROPOSED,
    CallTerms,
)
#: The origin confirms it, and the agency learns of that.
CONFIRM: Final = Act(
    "confirm_call", Subject.REFERRAL, Track.OFFER, Cause.PERSON, stays(Disposition.ROUTED), takes=CallRef
)
CONFIRMED: Final = Act(
    "call_confirmed",
    Subject.CASE,
    Track.OFFER,
    Cause.ACT,
    stays(Offering.OPEN, Offering.WITHDRAWN),
    message=CALL_CONFIRMED,
)
_KEPT: Final = {"table": "call", "holds": "S1", "way": "stays", "owner": "party", "reason": "calls about cases"}
CALLS: Final = Feature("calls", (CALL_PROPOSED, CALL_CONFIRMED), (PROPOSE, CONFIRM, CONFIRMED), EXAMPLES, (_KEPT,))
