"""Codes for the claims that stored evidence proves and does not prove, as in its signed statement."""

from __future__ import annotations

from shared.core.vocabulary.code import Code


class Proven(Code):
    """Claims that any holder of the directory can check."""

    #: The sender's key, of the tier that the headers name, signed exactly these headers and this value.
    SENDER_SIGNED = "sender_signed"


class NotProven(Code):
    """Claims that the evidence states, or seems to state, but does not prove."""

    #: Only the broker and the stating instance vouch for the broker's time and the position in its log.
    ARRIVAL = "arrival"
    #: In tier *hosted* the instance signs for the party, so the signature does not show an act of a person.
    ACT_OF_THE_PARTY = "act_of_the_party"
    #: A person at the recipient has seen it.
    SEEN = "seen"
    #: A record shown with the evidence equals the content of its sealed part.
    RECORD_SHOWN = "record_shown"
