"""What is asked and contested at the prompt, and answered, as it is said over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from client.words import numbered, read, some
from shared.contracts.questions import WITH_BASIS, Dispute, Question, Reply, Verdict
from shared.vocabulary.questions import DisputeReason, DisputeVerdict, NeedsInfo, QuestionReply

_BASED = frozenset(each.value for each in WITH_BASIS)


def asking(needs: Sequence[str], items: Sequence[int]) -> Question:
    """What must be known, of which items. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    some(needs)
    return read(Question, {"needs": list(needs), "about": list(items) or None}, "what to know, each once", NeedsInfo)


def disputing(words: Sequence[str], basis: str | None) -> Dispute:
    """`not_found` is said of every item, `3=not_found` of the third; `basis` goes with those that need one.

    Raises `Refused`: `answer_missing`, `answer_malformed`.
    """
    some(words)
    said = [_named(word, "reason") for word in words]
    based = [each | ({"basis": basis} if each["reason"] in _BASED else {}) for each in said]
    wanted = "a reason, or an item's number, = and one; its basis is one of docs/answers.md"
    return read(Dispute, {"disputed": based}, wanted, DisputeReason)


def replying(party: str, question: int, words: Sequence[str]) -> Reply:
    """The answer to a question. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    some(words)
    replied = [_named(word, "reply") for word in words]
    said = {"party": party, "question": question, "replied": replied}
    return read(Reply, said, "a party, a number, and a word, or an item's number, = and one", QuestionReply)


def deciding(party: str, dispute: int, words: Sequence[str]) -> Verdict:
    """The answer to a dispute. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    some(words)
    decided = [_named(word, "verdict") for word in words]
    said = {"party": party, "dispute": dispute, "decided": decided}
    return read(Verdict, said, "a party, a number, and a word, or an item's number, = and one", DisputeVerdict)


def _named(word: str, name: str) -> dict[str, object]:
    about, code = numbered(word)
    return about | {name: code}
