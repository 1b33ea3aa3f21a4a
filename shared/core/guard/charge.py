"""The cost of a text: its code length under one fixed public code.

No encoding carries more information than its cost. A text is coded symbol by symbol and ends with `END`. A symbol is a
character of RFC 3986 or one percent-escaped byte. The *model* states the cost of each symbol after the last `ORDER`
symbols. If the model has no cost there, the symbol costs the escape of these symbols plus its cost after one symbol
less. A run of letters and digits that no model knows is coded as `OPAQUE`, its class (3 bits) and its length (8 bits).
Its characters follow, each at log2 of the size of their class. Costs are whole sixteenths of a bit.

The bound on the information in a text. In every state Σ 2^(-cost/16) ≤ 1 over the alphabet with `END` and `OPAQUE`; the
tests compute that in whole numbers for every state of the edition. So symbols have code words of these lengths, and no
word is the beginning of another (Kraft 1949; McMillan 1956). See Cover and Thomas, "Elements of Information Theory",
2nd ed., theorem 5.2.1; arithmetic coding allows lengths that are not whole, ibid. 13.3. Concatenated, the words are
such a code for texts, because `END` marks the end of a text. Hence Σ 2^(-charge/16) ≤ 1 over all texts, and at most
2^(8 B) texts cost B bytes or less. A text within B bytes carries at most 8 B bits, in any encoding. A text has several
codings and costs that of one of them: another code word, the same sum.
"""

from __future__ import annotations

import functools
import math
import re
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from shared.core.guard.files import verified

#: Sixteenths of a bit in a bit and in a byte.
BIT: Final = 16
BYTE: Final = 8 * BIT
#: The number of symbols that the cost of the next one depends on.
ORDER: Final = 3
#: The number of the current model, and the SHA-256 of each file. A file with another digest is rejected.
NUMBER: Final = 1
MODELS_SHA256: Final[Mapping[int, str]] = {1: "b37f59a933b10ed5866e2691a3dede282a36300ad48f6e70ccaeb4c0fef9182c"}

END, OPAQUE = "\0", "\1"
#: The symbol before a text of each kind, so that costs depend on the kind. It is never coded.
STARTS: Final = {
    kind: chr(0x100 + place)
    for place, kind in enumerate(("url", "onion", "account", "message", "peer", "reference", "text"))
}
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_OTHERS: Final = ":/?#[]@!$&'()*+,;=| "
#: Bytes that a canonical text has escaped. It escapes no letter and no digit, and has no control.
ESCAPED_BYTES: Final = tuple(sorted(frozenset(range(0x20, 0x100)) - {0x7F} - set(_UNRESERVED.encode())))
#: The symbol of each escaped byte, by its hexadecimal digits: a character of Latin-1 that no canonical text has.
ESCAPED: Final = {f"{byte:02X}": chr(byte if byte >= 0x80 else 2 + place) for place, byte in enumerate(ESCAPED_BYTES)}
#: The symbols that are coded, in the order of their codes.
ALPHABET: Final = (*_UNRESERVED, *_OTHERS, *ESCAPED.values(), END, OPAQUE)
#: The symbols for the bytes of a model's file.
SYMBOLS: Final = (*ALPHABET, *STARTS.values())
#: The total share of the symbols after one state.
ONE: Final = 2**60

_WIDTH: Final = len(ALPHABET)
#: The code of each symbol, a byte, by its place in Latin-1.
_CODES: Final = bytes(ALPHABET.index(symbol) if symbol in ALPHABET else 0xFF for symbol in map(chr, range(0x100)))
_END_CODE: Final = bytes([ALPHABET.index(END)])
_CHARACTERS: Final = (_UNRESERVED + _OTHERS + "%").encode()


def choices(number: int) -> int:
    """Return the cost of a choice among `number`: the least whole sixteenth of a bit ≥ log2(number)."""
    return (number**BIT - 1).bit_length()


#: The classes of opaque runs: characters, and the cost of one of them. The first class that fits is taken.
CLASSES: Final = tuple(
    (characters, choices(size))
    for characters, size in (
        ("0-9", 10),
        ("0-9a-f", 16),
        ("0-9A-F", 16),
        ("a-z2-7", 32),
        ("A-Z2-7", 32),
        ("a-z0-9", 36),
        ("A-Z0-9", 36),
        ("A-Za-z0-9_-", 64),
    )
)
_CLASS: Final = re.compile("|".join(f"([{characters}]++)" for characters, _ in CLASSES))
RUN_MIN: Final = 8
RUN_MAX: Final = RUN_MIN + 2**8 - 1
_HEAD: Final = choices(len(CLASSES)) + choices(2**8)
#: The approximate cost of `OPAQUE` itself: a run is examined only if it may be cheaper as opaque.
_ABOUT: Final = 4 * BIT
_DIGIT: Final = choices(10)
_LEAST: Final = _HEAD + _ABOUT + _DIGIT * RUN_MIN
_RUN: Final = re.compile(rf"[A-Za-z0-9_-]{{{RUN_MIN},}}")
_PIECE: Final = re.compile(rf"[A-Za-z0-9]{{{RUN_MIN},}}")


#: A state of the machine: the cost of each symbol of `ALPHABET` there, and the state after each.
State = tuple["array[int]", "list[State]"]


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A machine that costs a text: all its states, and the state at the start of a text of each kind.

    A state is the longest ending of the last `ORDER` symbols that the model knows.
    """

    states: tuple[State, ...]
    starts: Mapping[str, State]


class TextCoding(NamedTuple):
    """One coding of a text: its symbols, the runs that each `OPAQUE` among them stands for, and its cost."""

    symbols: str
    runs: tuple[str, ...]
    charge: int


@functools.cache
def shipped(number: int = NUMBER) -> Model:
    """Return the model of one number. Raises `ValueError` if its file was altered."""
    return read(verified(f"charge-{number}.model", MODELS_SHA256[number]))


def entries(data: bytes) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    """Read a model's file: each context, its escape, and the pairs of symbol and cost that it states.

    The file has for each context its size, its symbols, its escape, the number of pairs and the pairs, a byte each.
    """
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        after = end + 2 + 2 * data[end + 1]
        yield data[at + 1 : end], (data[end], data[end + 2 : after])
        at = after


def read(data: bytes) -> Model:
    """Build the machine of a model's file. Its states are the contexts and their beginnings."""
    known = dict(entries(data))
    root: State = (array("H", bytes(2 * _WIDTH)), [])
    root[1].extend([root] * _WIDTH)
    states, contexts = {b"": root}, {context[:size] for context in known for size in range(ORDER + 1)}
    for size in range(ORDER + 1):
        level = {context: _below(context, states) for context in contexts if len(context) == size}
        for context, (costs, row) in level.items():
            escape, pairs = known.get(context, (0, b""))
            state = (_raised(costs, escape), row if size == ORDER else []) if size else root
            for code, cost in zip(pairs[::2], pairs[1::2], strict=True):
                state[0][code] = cost
            states[context] = state
        for context in level:  # before rows are copied: the state after a context is a longer one
            if size and context[-1] < _WIDTH:
                states[context[:-1]][1][context[-1]] = states[context]
        for context, (_, row) in level.items():
            if 0 < size < ORDER:
                states[context][1].extend(row)
    starts = {kind: states.get(bytes([SYMBOLS.index(start)]), root) for kind, start in STARTS.items()}
    return Model(tuple(states.values()), starts)


def _below(context: bytes, states: Mapping[bytes, State]) -> State:
    """Return the state of the longest known proper suffix of a context. The empty suffix is known."""
    return next(states[context[at:]] for at in range(1, ORDER + 1) if context[at:] in states)


def _raised(row: array[int], escape: int) -> array[int]:
    """Return the row with the escape added to each cost.

    It is one sum of long numbers; no cost exceeds 16 bits.
    """
    number = int.from_bytes(row.tobytes(), sys.byteorder) + escape * _EACH
    return array("H", number.to_bytes(2 * _WIDTH, sys.byteorder))


_EACH: Final = int.from_bytes(array("H", [1] * _WIDTH).tobytes(), sys.byteorder)


def coded(text: str, kind: str, model: Model) -> TextCoding:
    """Return the cheaper coding of a text: the plain one, or the one with opaque runs.

    Raises `KeyError` for a character that no canonical text has.
    """
    plain, start = symbols(text), model.starts[kind]
    costs = _costs(start, plain)
    spent = sum(costs)
    if spent > _LEAST and (spans := _opaque_spans(plain, costs)):
        shorter, at = "", 0
        for begin, end, _ in spans:
            shorter, at = shorter + plain[at:begin] + OPAQUE, end
        shorter += plain[at:]
        cheaper = sum(_costs(start, shorter)) + sum([cost for _, _, cost in spans])
        if cheaper < spent:
            return TextCoding(shorter, tuple([plain[begin:end] for begin, end, _ in spans]), cheaper)
    return TextCoding(plain, (), spent)


def symbols(text: str) -> str:
    """Return the symbols of a canonical text: one character for each escaped byte.

    Raises `KeyError` for a character that no canonical text has.
    """
    if text.encode("ascii", "backslashreplace").translate(None, _CHARACTERS):
        raise KeyError("a character that no canonical text has")
    before, *escapes = text.split("%")
    return before + "".join([ESCAPED[each[:2]] + each[2:] for each in escapes]) if escapes else text


def _costs(state: State, text: str) -> list[int]:
    """Return the cost of each symbol of a text from a state on, and of `END`."""
    spent: list[int] = []
    add = spent.append
    for code in text.encode("latin-1").translate(_CODES) + _END_CODE:
        costs, row = state
        add(costs[code])
        state = row[code]
    return spent


def _opaque_spans(text: str, costs: list[int]) -> list[tuple[int, int, int]]:
    """Return the runs that are cheaper as opaque ones: begin, end, and cost after `OPAQUE`."""
    spans: list[tuple[int, int, int]] = []
    for run in _RUN.finditer(text):
        whole = _opaque(text, costs, run.span())
        spans += whole or [
            span for piece in _PIECE.finditer(text, *run.span()) for span in _opaque(text, costs, piece.span())
        ]
    return spans


def _opaque(text: str, costs: list[int], span: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Return a run in pieces of at most `RUN_MAX` symbols; none if it is cheaper symbol by symbol."""
    begin, end = span
    size, plain = end - begin, sum(costs[begin:end])
    if plain <= _HEAD + _ABOUT + _DIGIT * size:  # the least that an opaque run of this size costs
        return []
    pieces, each = -(-size // RUN_MAX), _each(text, begin, end)
    if plain <= pieces * (_HEAD + _ABOUT) + each * size:
        return []
    if pieces == 1:
        return [(begin, end, _HEAD + size * each)]
    ends = [begin + piece * size // pieces for piece in range(pieces + 1)]
    return [(at, to, _HEAD + (to - at) * _each(text, at, to)) for at, to in pairwise(ends)]


def _each(text: str, begin: int, end: int) -> int:
    """Return the cost of one character of an opaque run."""
    fitting = _CLASS.fullmatch(text, begin, end)
    assert fitting is not None  # the last class fits each run
    return CLASSES[(fitting.lastindex or 0) - 1][1]


@functools.cache
def share(cost: int) -> int:
    """Return ⌈2^(60 − cost/16)⌉: the part of 2^60 that a cost takes, in whole numbers."""
    number = 2 ** (60 * BIT - cost) if cost < 60 * BIT else 1
    root = number
    for _ in range(4):
        root = math.isqrt(root)
    return root + (root**BIT < number)
