"""Codes of questions and disputes: what a recipient needs to know, what it contests, and what its origin says of it."""

from __future__ import annotations

from shared.vocabulary.code import Code

_DSA_NOTICE = "EU Regulation 2022/2065 (DSA), Article 16(2)"
_DSA_ORDER = "EU Regulation 2022/2065 (DSA), Article 9(2)"
_CAC = "CAC Ontology 3.0.0, HashFeedbackAction"


class QuestionKind(Code):
    """Whether a recipient asks, or contests what it was sent."""

    QUESTION = "question"
    DISPUTE = "dispute"


class QuestionState(Code):
    """What has become of it. A question that nobody answers lapses; a dispute stands until it is answered.

    What its origin's instance refused was never raised there.
    """

    OPEN = "open"
    ANSWERED = "answered"
    LAPSED = "lapsed"
    REFUSED = "refused"


class NeedsInfo(Code):
    """What a recipient must know before it can act."""

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
    """What an origin says of an item that it was asked about. The last two: it cannot say."""

    AS_STATED = "as_stated"
    STILL_THERE = "still_there"
    GONE = "gone"
    AMENDED = "amended"
    NOT_KNOWN = "not_known"
    NOT_PERMITTED = "not_permitted"


class DisputeReason(Code):
    """What a recipient contests. The first two have a basis: one of the 21 reasons."""

    CONTENT_LAWFUL = "content_lawful"
    NOT_FOUND = "not_found"
    FALSE_POSITIVE = "false_positive", _CAC
    DUPLICATE = "duplicate", _CAC


class DisputeVerdict(Code):
    """What an origin says of an item that is contested: it stands by what it has sent, or it does not."""

    UPHELD = "upheld"
    CONCEDED = "conceded"
