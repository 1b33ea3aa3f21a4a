"""What a proof that a party keeps says, and what it does not: the words of the signed statement beside it."""

from __future__ import annotations

from shared.vocabulary.code import Code


class Proven(Code):
    """What whoever holds the directory can check for themselves."""

    #: The sender's key, of the tier that the headers name, signed exactly these headers and this value.
    SENDER_SIGNED = "sender_signed"


class NotProven(Code):
    """What the evidence states, or may be taken to state, and does not prove."""

    #: The broker's time and the place in its log are the word of the broker and of the instance that states them.
    ARRIVAL = "arrival"
    #: In tier *hosted* the instance signs for the party: no act of a person follows from the signature.
    ACT_OF_THE_PARTY = "act_of_the_party"
    #: That anybody at the recipient has seen it.
    SEEN = "seen"
    #: That a record shown beside the evidence is what its sealed part holds.
    RECORD_SHOWN = "record_shown"
