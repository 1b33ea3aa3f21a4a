"""Codes of questions and disputes: needed information, reasons of disputes, and the origin's answers."""

from __future__ import annotations

from shared.core.vocabulary.code import Code

_DSA_NOTICE = "EU Regulation 2022/2065 (DSA), Article 16(2)"
_DSA_ORDER = "EU Regulation 2022/2065 (DSA), Article 9(2)"
_CAC = "CAC Ontology 3.0.0, HashFeedbackAction"


class QuestionKind(Code):
    """The kind: a question about items, or a dispute of them."""

    QUESTION = "question"
    DISPUTE = "dispute"


class QuestionState(Code):
    """The state of a question or dispute.

    An unanswered question lapses; a dispute stays open until it is answered. `refused`: the origin's instance rejected
    it, so the origin never had it.
    """

    OPEN = "open"
    ANSWERED = "answered"
    LAPSED = "lapsed"
    REFUSED = "refused"


class NeedsInfo(Code):
    """Information that a recipient needs before it can act."""

    LOCATION = "location", _DSA_NOTICE
    WHY_ILLEGAL = "why_illegal", _DSA_NOTICE
    LEGAL_BASIS = "legal_basis", _DSA_ORDER
    TERRITORIAL_SCOPE = "territorial_scope", _DSA_ORDER
    OBSERVED_AT = "observed_at"
    STILL_THERE = "still_there"
    HOSTING = "hosting"
    ACCOUNT = "account"
    HASHES = "hashes"
    AUTHENTICITY = "authenticity"


class QuestionReply(Code):
    """An origin's reply about an item of a question. With the last two codes it gives no answer."""

    AS_STATED = "as_stated"
    STILL_THERE = "still_there"
    GONE = "gone"
    AMENDED = "amended"
    NOT_KNOWN = "not_known"
    NOT_PERMITTED = "not_permitted"


class DisputeReason(Code):
    """The reason of a dispute. The first two need a basis: one of the 21 reasons."""

    CONTENT_LAWFUL = "content_lawful"
    NOT_FOUND = "not_found"
    FALSE_POSITIVE = "false_positive", _CAC
    DUPLICATE = "duplicate", _CAC


class DisputeVerdict(Code):
    """An origin's verdict on a disputed item: it upholds its statement or concedes."""

    UPHELD = "upheld"
    CONCEDED = "conceded"
