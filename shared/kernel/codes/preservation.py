"""What is refused of preservations: of what agencies ask, and of what providers make of it."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "act_awaited": Why("the act before it in its track has not come", "nothing: it waits here for the one before"),
    "day_over": Why("the day until which it is to be kept has passed", "name today, by UTC, or a later day"),
    "instrument_not_yours": Why(
        "your agency does not lie below the jurisdiction of the instrument",
        "name an instrument of your own jurisdiction",
    ),
    "instrument_unknown": Why(
        "the policy in force does not list the instrument, or it is not in force today",
        "name one that docs/law.md lists, in force today",
    ),
    "locations_missing": Why(
        "a request came without the locations that are sealed in it", "its sender asks anew, with locations"
    ),
    "message_not_for_this_side": Why(
        "an agency was told what agencies say, or a provider what providers do", "docs/messages.md has who may say what"
    ),
    "preservation_exists": Why("the request came to this provider before", "nothing: the first counts"),
    "preservation_out_of_order": Why(
        "the act does not follow what its sender has said before", "both sides look at the timeline of the preservation"
    ),
    "preservation_repeated": Why("an act of this number came before", "nothing: the first counts"),
    "preservation_unanswered": Why(
        "an agency wants kept what the answer says was removed, and has no answer yet",
        "answer each request that is still *requested* and matches, on its page or by causeway preservation, then this",
    ),
    "preservation_unknown": Why(
        "the message is about a preservation that its sender is no party of",
        "its sender looks which preservation it means",
    ),
    "recipient_suspended": Why(
        "the directory has suspended one of the two parties", "ask the operator when the directory lets it back"
    ),
    "record_erased": Why(
        "what was sealed of the preservation was erased", "nothing brings it back: export it while it stands"
    ),
}
