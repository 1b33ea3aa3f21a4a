"""What is asked and contested at the prompt, and answered, as it is said over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from shared.contracts.base import Contract
from shared.contracts.questions import WITH_BASIS, Dispute, Question, Reply, Verdict
from shared.kernel.errors import Refused

_ContractT = TypeVar("_ContractT", bound=Contract)
_BASED = frozenset(each.value for each in WITH_BASIS)


def asking(needs: Sequence[str], items: Sequence[int]) -> Question:
    """What must be known, of which items. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    _said(needs)
    return _read(Question, {"needs": list(needs), "about": list(items) or None}, "what you need to know, each once")


def disputing(words: Sequence[str], basis: str | None) -> Dispute:
    """`not_found` is said of every item, `3=not_found` of the third; `basis` goes with those that need one.

    Raises `Refused`: `answer_missing`, `answer_malformed`.
    """
    _said(words)
    said = [_numbered(word, "reason") for word in words]
    based = [each | ({"basis": basis} if each["reason"] in _BASED else {}) for each in said]
    return _read(Dispute, {"disputed": based}, "a reason, or an item's number, = and one; a listed basis")


def replying(party: str, question: int, words: Sequence[str]) -> Reply:
    """The answer to a question. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    _said(words)
    replied = [_numbered(word, "reply") for word in words]
    said = {"party": party, "question": question, "replied": replied}
    return _read(Reply, said, "a party, a number, and a word, or an item's number, = and one")


def deciding(party: str, dispute: int, words: Sequence[str]) -> Verdict:
    """The answer to a dispute. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    _said(words)
    decided = [_numbered(word, "verdict") for word in words]
    said = {"party": party, "dispute": dispute, "decided": decided}
    return _read(Verdict, said, "a party, a number, and a word, or an item's number, = and one")


def _said(words: Sequence[str]) -> None:
    if not words:
        raise Refused("answer_missing", "say at least one word", status=400)


def _numbered(word: str, name: str) -> dict[str, object]:
    number, named, code = word.rpartition("=")
    said: dict[str, object] = {"n": int(number) if number.isdecimal() else number} if named else {}
    return said | {name: code}


def _read(kind: type[_ContractT], said: dict[str, object], form: str) -> _ContractT:
    try:
        return kind.model_validate(said)
    except ValueError:
        raise Refused("answer_malformed", form, status=400) from None
