"""The expected effect of each act on each subject, written by hand as a second source."""

from __future__ import annotations

from shared.core.acts.act import CaseState, NoticeState, OfferState, PreservationState, Subject
from shared.core.protocol.origin import ReferralState

#: Every allowed (state, act), and the state after it. An outcome is written act:outcome.
NOTICE = {
    ("issued", "acknowledge"): "acknowledged",
    ("reappeared", "answer:reappeared"): "reappeared",
    ("reappeared", "not_ours:reappeared"): "reappeared",
    ("in_part", "reinstate:reappeared"): "reappeared",
    ("actioned", "reinstate:reappeared"): "reappeared",
    ("reappeared", "reinstate:reappeared"): "reappeared",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
    ("withdrawal_acknowledged", "erase"): "record_erased",
}
for state in ("issued", "acknowledged", "in_part", "reappeared"):
    NOTICE |= {(state, f"answer:{fold}"): fold for fold in ("in_part", "actioned", "rejected")}
    NOTICE |= {(state, f"not_ours:{fold}"): fold for fold in ("in_part", "actioned", "rejected", "not_ours")}
for state in ("issued", "acknowledged", "in_part", "actioned", "rejected", "not_ours", "reappeared"):
    # The recheck itself moves no notice; only the fold of its items does.
    NOTICE |= {(state, "withdraw"): "withdrawn", (state, "check"): state}
CASE = {
    ("offered", "accept"): "accepted",
    ("offered", "decline"): "declined",
    ("referred", "come_back:none"): "offered",
    ("referred", "come_back:accepted"): "accepted",
    ("referred", "come_back:ongoing"): "ongoing",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
    ("withdrawal_acknowledged", "erase"): "record_erased",
}
for state in ("accepted", "ongoing"):
    CASE |= {(state, f"outcome:{word}"): "closed" for word in ("conviction", "closed")}
    CASE |= {(state, f"outcome:{word}"): "ongoing" for word in ("arrest", "ongoing_investigation", "referred")}
CASE |= {(state, "refer"): "referred" for state in ("offered", "accepted", "ongoing")}
CASE |= {
    (state, "withdraw"): "withdrawn" for state in ("offered", "accepted", "declined", "ongoing", "closed", "referred")
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
    ("accepted", "assess:in_part"): "in_part",
    ("accepted", "assess:closed"): "closed",
    ("in_part", "assess:in_part"): "in_part",
    ("in_part", "assess:closed"): "closed",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
    ("withdrawal_acknowledged", "erase"): "record_erased",
    ("claimable", "claim"): "claimed",
    ("claimable", "claim_gone"): "gone",
    ("claimed", "claim_granted"): "transferred",
    ("claimed", "claim_gone"): "gone",
}
OFFER |= {
    (state, "withdraw"): "withdrawn"
    for state in ("offered", "accepted", "in_part", "closed", "declined", "claimable", "claimed")
}
#: An offer can be claimed after its transfer, regardless of the answer. A claim stays valid.
OFFER |= {(state, "transfer"): "claimable" for state in ("offered", "accepted", "in_part", "declined", "closed")}
OFFER |= {(state, "transfer"): state for state in ("claimable", "claimed")}
#: The agency requests a preservation and the provider answers. Both sides see the same states.
PRESERVATION = {
    ("preserved", "extend"): "extension_requested",
    ("extension_requested", "answer_extension:extended"): "extended",
    ("extension_requested", "answer_extension:extension_refused"): "extension_refused",
    ("requested", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
}
for state in ("preserved", "extension_requested", "extended", "extension_refused"):
    PRESERVATION |= {(state, "end"): "ended", (state, "withdraw"): "withdrawn"}
#: An answer can be corrected until the agency asks for something else.
FIRST_ANSWERS = ("preserved", "refused", "not_possible", "too_late")
PRESERVATION |= {("requested", f"answer:{answer}"): answer for answer in FIRST_ANSWERS}
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
