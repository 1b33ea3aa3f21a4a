"""What is refused of questions and disputes."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "dispute_needs_basis": Why(
        "content_lawful or not_found came without a basis, or another reason with one",
        "name one of the 21 reasons with these two, and nothing with the others",
    ),
    "dispute_open": Why(
        "the last dispute about it is not answered yet", "wait for its answer: causeway questions lists it"
    ),
    "item_disputed": Why("the item is contested already, or named twice", "contest each item once"),
    "item_not_asked": Why(
        "an item was answered that is not asked about or contested, or one was answered twice",
        "answer the items that causeway questions lists, each once",
    ),
    "items_unnamed": Why("the numbers of its items are not known here", "name the items that it is about"),
    "question_answered": Why("it was answered already", "causeway questions says what was answered"),
    "question_due_unbounded": Why(
        "a question would lapse later than the exchange lets any", "ask so that it lapses within 14 days"
    ),
    "question_lapsed": Why("nobody has answered it in its time", "who asked may ask again"),
    "question_open": Why(
        "the last question about it is not answered yet", "wait for its answer: causeway questions lists it"
    ),
    "question_unknown": Why(
        "that party has raised no question or dispute of this number", "causeway questions lists party and number"
    ),
    "questions_exhausted": Why(
        "as many questions were asked about it as may be", "answer by what is known, or call whoever sent it"
    ),
    "reply_incomplete": Why("something is said of some of its items only", "say something of each"),
    "reply_not_amended": Why(
        "its content is the one that was asked about", "causeway referral amend it first, or give another answer"
    ),
}
