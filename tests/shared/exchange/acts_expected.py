"""The expected effect of each act on each subject, written by hand as a second source."""

from __future__ import annotations

from shared.exchange.act import CaseState, NoticeState, OfferState, PreservationState, Subject
from shared.exchange.origin import ReferralState

#: Every allowed (state, act), and the state after it. An outcome is written act:outcome.
NOTICE = {
    ("issued", "acknowledge"): "acknowledged",
    ("issued", "answer:in_part"): "in_part",
    ("issued", "answer:actioned"): "actioned",
    ("issued", "answer:rejected"): "rejected",
    ("issued", "not_ours:in_part"): "in_part",
    ("issued", "not_ours:actioned"): "actioned",
    ("issued", "not_ours:rejected"): "rejected",
    ("issued", "not_ours:not_ours"): "not_ours",
    ("issued", "withdraw"): "withdrawn",
    ("acknowledged", "answer:in_part"): "in_part",
    ("acknowledged", "answer:actioned"): "actioned",
    ("acknowledged", "answer:rejected"): "rejected",
    ("acknowledged", "not_ours:in_part"): "in_part",
    ("acknowledged", "not_ours:actioned"): "actioned",
    ("acknowledged", "not_ours:rejected"): "rejected",
    ("acknowledged", "not_ours:not_ours"): "not_ours",
    ("acknowledged", "withdraw"): "withdrawn",
    ("in_part", "answer:in_part"): "in_part",
    ("in_part", "answer:actioned"): "actioned",
    ("in_part", "answer:rejected"): "rejected",
    ("in_part", "not_ours:in_part"): "in_part",
    ("in_part", "not_ours:actioned"): "actioned",
    ("in_part", "not_ours:rejected"): "rejected",
    ("in_part", "not_ours:not_ours"): "not_ours",
    ("in_part", "withdraw"): "withdrawn",
    ("reappeared", "answer:in_part"): "in_part",
    ("reappeared", "answer:actioned"): "actioned",
    ("reappeared", "answer:rejected"): "rejected",
    ("reappeared", "answer:reappeared"): "reappeared",
    ("reappeared", "not_ours:in_part"): "in_part",
    ("reappeared", "not_ours:actioned"): "actioned",
    ("reappeared", "not_ours:rejected"): "rejected",
    ("reappeared", "not_ours:not_ours"): "not_ours",
    ("reappeared", "not_ours:reappeared"): "reappeared",
    ("reappeared", "withdraw"): "withdrawn",
    ("in_part", "reinstate:reappeared"): "reappeared",
    ("actioned", "reinstate:reappeared"): "reappeared",
    ("reappeared", "reinstate:reappeared"): "reappeared",
    ("actioned", "withdraw"): "withdrawn",
    ("rejected", "withdraw"): "withdrawn",
    ("not_ours", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
    ("withdrawal_acknowledged", "erase"): "record_erased",
} | {
    # The recheck itself moves no notice; only the fold of its items does.
    (state, "check"): state
    for state in ("issued", "acknowledged", "in_part", "actioned", "rejected", "not_ours", "reappeared")
}
CASE = {
    ("offered", "accept"): "accepted",
    ("offered", "decline"): "declined",
    ("offered", "withdraw"): "withdrawn",
    ("accepted", "outcome:conviction"): "closed",
    ("accepted", "outcome:arrest"): "ongoing",
    ("accepted", "outcome:ongoing_investigation"): "ongoing",
    ("accepted", "outcome:referred"): "ongoing",
    ("accepted", "outcome:closed"): "closed",
    ("accepted", "withdraw"): "withdrawn",
    ("declined", "withdraw"): "withdrawn",
    ("ongoing", "outcome:conviction"): "closed",
    ("ongoing", "outcome:arrest"): "ongoing",
    ("ongoing", "outcome:ongoing_investigation"): "ongoing",
    ("ongoing", "outcome:referred"): "ongoing",
    ("ongoing", "outcome:closed"): "closed",
    ("ongoing", "withdraw"): "withdrawn",
    ("closed", "withdraw"): "withdrawn",
    ("offered", "refer"): "referred",
    ("accepted", "refer"): "referred",
    ("ongoing", "refer"): "referred",
    ("referred", "come_back:none"): "offered",
    ("referred", "come_back:accepted"): "accepted",
    ("referred", "come_back:ongoing"): "ongoing",
    ("referred", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
    ("withdrawal_acknowledged", "erase"): "record_erased",
}
#: Messages about a hold change no state of the case, regardless of the sender.
ASKED = ("place_hold", "extend_hold", "release_hold", "no_objection")
ANSWERED = ("hold_activated", "hold_too_late", "hold_ended", "contact_suggested")
#: The case lease changes no state either. No other party learns the holder.
LEASED = ("claim", "hand_over")
CASE |= {(state, act): state for state in ("offered", "accepted", "ongoing") for act in (*ASKED, *LEASED)}
CASE |= {(state.value, act): state.value for state in CaseState for act in ANSWERED}
OFFER = {
    ("offered", "accept"): "accepted",
    ("offered", "decline"): "declined",
    ("offered", "withdraw"): "withdrawn",
    ("accepted", "assess:in_part"): "in_part",
    ("accepted", "assess:closed"): "closed",
    ("accepted", "withdraw"): "withdrawn",
    ("in_part", "assess:in_part"): "in_part",
    ("in_part", "assess:closed"): "closed",
    ("in_part", "withdraw"): "withdrawn",
    ("closed", "withdraw"): "withdrawn",
    ("declined", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
    ("withdrawal_acknowledged", "erase"): "record_erased",
    ("claimable", "claim"): "claimed",
    ("claimable", "claim_gone"): "gone",
    ("claimable", "withdraw"): "withdrawn",
    ("claimed", "claim_granted"): "transferred",
    ("claimed", "claim_gone"): "gone",
    ("claimed", "withdraw"): "withdrawn",
}
#: An offer can be claimed after its transfer, regardless of the answer. A claim stays valid.
OFFER |= {(state, "transfer"): "claimable" for state in ("offered", "accepted", "in_part", "declined", "closed")}
OFFER |= {(state, "transfer"): state for state in ("claimable", "claimed")}
#: The agency requests a preservation and the provider answers. Both sides see the same states.
PRESERVATION = {
    ("requested", "answer:preserved"): "preserved",
    ("requested", "answer:refused"): "refused",
    ("requested", "answer:not_possible"): "not_possible",
    ("requested", "answer:too_late"): "too_late",
    ("requested", "withdraw"): "withdrawn",
    ("preserved", "extend"): "extension_requested",
    ("preserved", "end"): "ended",
    ("preserved", "withdraw"): "withdrawn",
    ("extension_requested", "answer_extension:extended"): "extended",
    ("extension_requested", "answer_extension:extension_refused"): "extension_refused",
    ("extension_requested", "end"): "ended",
    ("extension_requested", "withdraw"): "withdrawn",
    ("extended", "end"): "ended",
    ("extended", "withdraw"): "withdrawn",
    ("extension_refused", "end"): "ended",
    ("extension_refused", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
}
#: An answer can be corrected until the agency asks for something else.
FIRST_ANSWERS = ("preserved", "refused", "not_possible", "too_late")
PRESERVATION |= {(state, f"correct:{answer}"): answer for state in FIRST_ANSWERS for answer in FIRST_ANSWERS}
#: Questions, disputes and their lapses change no state either.
RAISED = ("ask", "dispute", "lapse")
NOTICE |= {(state, act): state for state in ("issued", "acknowledged", "in_part", "reappeared") for act in RAISED}
CASE |= {(state, act): state for state in ("offered", "accepted", "ongoing") for act in RAISED}
OFFER |= {(state, act): state for state in ("offered", "accepted", "in_part") for act in RAISED}
DECIDED = ("routed", "unroutable", "orphaned", "unknown_code")
#: The decision at the time of a release or an amendment determines the next state.
REFERRAL = {(disposition, "withdraw"): "withdrawn" for disposition in DECIDED} | {
    ("routed", "check"): "routed",
    ("unreleased", "release"): "routed",
    ("unreleased", "drop"): "dropped",
    ("routed", "reroute"): "routed",
    ("transferred", "check"): "transferred",
    ("transferred", "withdraw"): "withdrawn",
    ("routed", "reply"): "routed",
    ("routed", "uphold"): "routed",
    ("transferred", "reply"): "transferred",
    ("transferred", "uphold"): "transferred",
}
for held in ("routed", "orphaned"):
    REFERRAL |= {(held, "transfer"): held, (held, "hand_over"): "transferred"}
REFERRAL |= {(disposition, "amend"): "routed" for disposition in DECIDED}
for stands in (NOTICE, CASE, OFFER):
    # It changes the origin's track only, from open to open.
    stands |= {
        (state, told): state for state, act in [*stands] if act == "withdraw" for told in ("amend", "reply", "uphold")
    }
# A referral that another hotline has claimed cannot be amended.
OFFER |= {(state, "withdraw"): "withdrawn" for state in ("transferred", "gone")}
ALLOWED = {
    Subject.NOTICE: NOTICE,
    Subject.CASE: CASE,
    Subject.OFFER: OFFER,
    Subject.REFERRAL: REFERRAL,
    Subject.PRESERVATION: PRESERVATION,
}
REFERRAL |= {(state, act): state for state in DECIDED for act in ("propose_override", "confirm_override")}
SHOWN = {
    Subject.NOTICE: NoticeState,
    Subject.CASE: CaseState,
    Subject.OFFER: OfferState,
    Subject.REFERRAL: ReferralState,
    Subject.PRESERVATION: PreservationState,
}
FIRST = {
    Subject.NOTICE: "issued",
    Subject.CASE: "offered",
    Subject.OFFER: "offered",
    Subject.REFERRAL: "routed",
    Subject.PRESERVATION: "requested",
}
