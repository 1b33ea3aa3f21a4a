"""Code words of the lengths that the guard charges, written and read again: arithmetic coding in whole numbers.

Each symbol takes its share of what is left, in the order of the alphabet (Rissanen 1976). No word begins another.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.guard import charge
from shared.guard.charge import ALPHABET, END, ONE, OPAQUE, ORDER, STARTS, Coded, Model, share

_CLASSES = [pattern.pattern.removesuffix("+") for pattern, _ in charge._CLASSES]
_MEMBERS = [[c for c in map(chr, range(128)) if charge._CLASSES[n][0].fullmatch(c)] for n in range(len(_CLASSES))]
_SIZES = range(charge._RUN_MIN, charge._RUN_MAX + 1)
#: What can come, each with what it costs.
Offers = list[tuple[object, int]]


def _even(choices: object) -> Offers:
    members = list(choices)  # type: ignore[call-overload]
    return [(member, charge.choices(len(members))) for member in members]


def _after(model: Model, before: str) -> Offers:
    return [(symbol, model.cost(before, symbol)) for symbol in ALPHABET]


def _steps(coded: Coded, kind: str, model: Model) -> Iterator[tuple[Offers, object]]:
    """Each choice that the coding makes: among what, and which."""
    before, runs = STARTS[kind], iter(coded.runs)
    for symbol in coded.symbols + END:
        yield _after(model, before), symbol
        before = (before + symbol)[-ORDER:]
        if symbol == OPAQUE:
            run = next(runs)
            sort = next(n for n, (pattern, _) in enumerate(charge._CLASSES) if pattern.fullmatch(run))
            yield _even(range(len(_CLASSES))), sort
            yield _even(_SIZES), len(run)
            for character in run:
                yield _even(_MEMBERS[sort]), character


def encode(coded: Coded, kind: str, model: Model) -> tuple[int, int]:
    """The code word: a number, and of how many bits it is. At most two more than are charged."""
    low, width, scale = 0, 1, 0
    for offers, chosen in _steps(coded, kind, model):
        low, width, scale = low * ONE, width * ONE, scale + 60
        at = 0
        for offer, cost in offers:
            if offer == chosen:
                low, width = low + width // ONE * at, width // ONE * share(cost)
                break
            at += share(cost)
    bits = scale - width.bit_length() + 2
    return -(-low >> (scale - bits)) if scale > bits else low << (bits - scale), bits


def decode(word: int, bits: int, kind: str, model: Model) -> str:
    """The symbols that a code word stands for, escapes written out."""
    low, width, scale = 0, 1, 0

    def choose(offers: Offers) -> object:
        nonlocal low, width, scale
        low, width, scale = low * ONE, width * ONE, scale + 60
        value = word << (scale - bits) if scale >= bits else word >> (bits - scale)
        at = 0
        for offer, cost in offers:
            first, size = low + width // ONE * at, width // ONE * share(cost)
            if first <= value < first + size:
                low, width = first, size
                return offer
            at += share(cost)
        raise ValueError("no code word")

    text, before = "", STARTS[kind]
    while (symbol := str(choose(_after(model, before)))) != END:
        before = (before + symbol)[-ORDER:]
        if symbol == OPAQUE:
            sort, size = choose(_even(range(len(_CLASSES)))), choose(_even(_SIZES))
            assert isinstance(sort, int)
            assert isinstance(size, int)
            text += "".join(str(choose(_even(_MEMBERS[sort]))) for _ in range(size))
        else:
            text += symbol if symbol < "\x80" else f"%{ord(symbol) - charge._ESCAPED:02X}"
    return text
