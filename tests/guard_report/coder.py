"""Code words of the lengths that the guard charges, written and read again: arithmetic coding in whole numbers.

Each symbol takes its share of the remaining interval, in the order of the alphabet (Rissanen 1976). No word begins
another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.core.guard import charge
from shared.core.guard.charge import (
    ALPHABET,
    CLASSES,
    END,
    ESCAPED,
    ONE,
    OPAQUE,
    RUN_MAX,
    RUN_MIN,
    Model,
    State,
    TextCoding,
    share,
)

_MEMBERS = [[c for c in map(chr, range(128)) if re.fullmatch(f"[{characters}]", c)] for characters, _ in CLASSES]
_SIZES = range(RUN_MIN, RUN_MAX + 1)
_SPELT = {symbol: f"%{digits}" for digits, symbol in ESCAPED.items()}
#: The possible symbols, each with its cost.
Offers = list[tuple[object, int]]


def _even(choices: object) -> Offers:
    members = list(choices)  # type: ignore[call-overload]
    return [(member, charge.choices(len(members))) for member in members]


def _in(state: State) -> Offers:
    return list(zip(ALPHABET, state[0], strict=True))


def _after(state: State, symbol: str) -> State:
    return state[1][ALPHABET.index(symbol)]


def _steps(coded: TextCoding, kind: str, model: Model) -> Iterator[tuple[Offers, object]]:
    """Yield each choice of the coding: the possible symbols, and the chosen one."""
    state, runs = model.starts[kind], iter(coded.runs)
    for symbol in coded.symbols + END:
        yield _in(state), symbol
        state = _after(state, symbol)
        if symbol == OPAQUE:
            run = next(runs)
            sort = next(n for n, members in enumerate(_MEMBERS) if set(run).issubset(members))
            yield _even(range(len(CLASSES))), sort
            yield _even(_SIZES), len(run)
            for character in run:
                yield _even(_MEMBERS[sort]), character


def encode(coded: TextCoding, kind: str, model: Model) -> tuple[int, int]:
    """Return the code word: a number, and its length in bits. It is at most two bits longer than the charge."""
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
    """Return the symbols of a code word, with escapes written out."""
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

    text, state = "", model.starts[kind]
    while (symbol := str(choose(_in(state)))) != END:
        state = _after(state, symbol)
        if symbol == OPAQUE:
            sort, size = choose(_even(range(len(CLASSES)))), choose(_even(_SIZES))
            text += "".join(str(choose(_even(_MEMBERS[sort]))) for _ in range(size))
        else:
            text += _SPELT.get(symbol, symbol)
    return text
