"""What a text costs: its code length under one fixed public code. No encoding carries more than it is charged.

A text is coded symbol by symbol and closed by `END`. A symbol is a character of RFC 3986, or one percent-escaped byte.
Each costs what the *model* says of it after the last `ORDER` symbols; where the model has no cost there, it costs the
escape of these symbols and what it costs after one symbol less. A run of letters and digits that reads like nothing is
coded as `OPAQUE`, its class (3 bits), its length (8 bits) and its characters at log2 of the size of their class.
Costs are whole sixteenths of a bit.

Why this bounds what can be carried. After every context Σ 2^(-cost/16) ≤ 1 over the alphabet with `END` and `OPAQUE`;
`kraft_sum` checks that in whole numbers, and the tests do for every context of the edition. So symbols have code words
of these lengths of which none begins another (Kraft 1949; McMillan 1956; Cover and Thomas, "Elements of Information
Theory", 2nd ed., theorem 5.2.1; the lengths need not be whole: arithmetic coding, ibid. 13.3). Put one behind the other
they are such a code for texts: `END` says where a text ends. Hence Σ 2^(-charge/16) ≤ 1 over all texts, and at most
2^(8 B) of them cost B bytes or less: a sender who only sends such texts says at most 8 B bits with each, however it
encodes. A text has several codings, and is charged one of them: another code word, the same sum.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.guard.files import verified

#: Sixteenths of a bit in a bit and in a byte.
BIT: Final = 16
BYTE: Final = 8 * BIT
#: How many symbols the next one is told from.
ORDER: Final = 3
#: The number of the model of today, and the SHA-256 of each file: one that was altered is not used.
NUMBER: Final = 1
MODELS_SHA256: Final[Mapping[int, str]] = {1: "b37f59a933b10ed5866e2691a3dede282a36300ad48f6e70ccaeb4c0fef9182c"}

END, OPAQUE = "\0", "\1"
#: What stands before a text of each kind, so that the model knows what begins.
STARTS: Final = dict(
    zip(("url", "onion", "account", "message", "peer", "reference", "text"), "\2\3\4\5\6\7\b", strict=True)
)
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_OTHERS: Final = ":/?#[]@!$&'()*+,;=| "
#: Escaped bytes are the characters from here on; those of letters, digits and controls are in no canonical text.
_ESCAPED: Final = 0x100
ESCAPED_BYTES: Final = frozenset(range(0x20, 0x100)) - {0x7F} - set(_UNRESERVED.encode())
#: What can come next.
ALPHABET: Final = (*_UNRESERVED, *_OTHERS, *(chr(_ESCAPED + byte) for byte in sorted(ESCAPED_BYTES)), END, OPAQUE)
#: The bytes of the model's file stand for these.
SYMBOLS: Final = (*ALPHABET, *STARTS.values())
#: All that there is to share after a context.
ONE: Final = 2**60


def choices(number: int) -> int:
    """What it costs to say one of `number`: the least whole sixteenth of a bit ≥ log2(number)."""
    return (number**BIT - 1).bit_length()


#: The classes of opaque runs, and what one character of each costs. The first that fits is taken.
_CLASSES: Final = tuple(
    (re.compile(pattern), choices(size))
    for pattern, size in (
        (r"[0-9]+", 10),
        (r"[0-9a-f]+", 16),
        (r"[0-9A-F]+", 16),
        (r"[a-z2-7]+", 32),
        (r"[A-Z2-7]+", 32),
        (r"[a-z0-9]+", 36),
        (r"[A-Z0-9]+", 36),
        (r"[A-Za-z0-9_-]+", 64),
    )
)
_RUN_MIN: Final = 8
_RUN_MAX: Final = _RUN_MIN + 2**8 - 1
_HEAD: Final = choices(len(_CLASSES)) + choices(2**8)
#: What `OPAQUE` itself costs about: a run is looked at closer only where it may be cheaper so.
_ABOUT: Final = 4 * BIT
_DIGIT: Final = choices(10)
_RUN: Final = re.compile(rf"[A-Za-z0-9_-]{{{_RUN_MIN},}}")
_PIECE: Final = re.compile(rf"[A-Za-z0-9]{{{_RUN_MIN},}}")
_ESCAPE: Final = re.compile(r"%([0-9A-F]{2})")


@dataclass(frozen=True)
class Model:
    """Costs by context and symbol, written one behind the other, and the escape of each context that is known."""

    costs: dict[str, int]
    escapes: dict[str, int]

    def cost(self, context: str, symbol: str) -> int:
        """What `symbol` costs after `context`, of which at most the last `ORDER` symbols count."""
        context, spent = context[-ORDER:], 0
        while (cost := self.costs.get(context + symbol)) is None:
            if not context:
                raise KeyError("a character that no canonical text has")
            spent += self.escapes.get(context, 0)
            context = context[1:]
        return spent + cost

    @functools.cached_property
    def starts(self) -> dict[str, State]:
        """Where the reading of a text of each kind begins."""
        contexts = {context[:end] for context in self.escapes for end in range(len(context) + 1)}
        states = {context: State() for context in sorted(contexts, key=len)}
        for context, state in states.items():
            state.escape = self.escapes.get(context, 0)
            state.below = states[longest_ending(context, states)] if context else None
        for key, cost in self.costs.items():
            states[key[:-1]][key[-1]] = cost, states[longest_ending(f" {key[-ORDER:]}", states)]
        for context, state in states.items():  # of a symbol that is known to lead on, but has no cost of its own there
            if len(context) > 1 and context[-1] not in (before := states[context[:-1]]):
                before[context[-1]] = before[context[-1]][0], state
        return {kind: states.get(start, states[""]) for kind, start in STARTS.items()}


class State(dict[str, tuple[int, "State"]]):
    """The last symbols, as far as the model knows them: what each next one costs, and the state after it.

    One that has no cost here costs the escape and what it costs in the state `below`, that of fewer symbols.
    """

    __slots__ = ("below", "escape")

    escape: int
    below: State | None

    def __missing__(self, symbol: str) -> tuple[int, State]:
        if self.below is None:
            raise KeyError("a character that no canonical text has")
        cost, state = self.below[symbol]
        return self.escape + cost, state


class Coded(NamedTuple):
    """One coding of a text: its symbols, and the runs that each `OPAQUE` among them stands for."""

    symbols: str
    runs: tuple[str, ...]
    charge: int


def shipped(number: int = NUMBER) -> Model:
    """The model of one number. Raises `ValueError` where its file was altered."""
    return _shipped(number)


@functools.cache
def _shipped(number: int) -> Model:
    return read(verified(f"charge-{number}.model", MODELS_SHA256[number]))


def read(data: bytes) -> Model:
    """A model from its file: for each context its size, itself, its escape, how many costs, and symbol and cost."""
    costs: dict[str, int] = {}
    escapes: dict[str, int] = {}
    at = 0
    while at < len(data):
        start = at + 1 + data[at]
        context = "".join([SYMBOLS[byte] for byte in data[at + 1 : start]])
        escapes[context] = data[start]
        at = start + 2 + 2 * data[start + 1]
        for place in range(start + 2, at, 2):
            costs[context + SYMBOLS[data[place]]] = data[place + 1]
    return Model(costs, escapes)


def charge(text: str, kind: str) -> int:
    """What the canonical `text` of one `kind` of `STARTS` costs today, in sixteenths of a bit. It is ASCII."""
    return coded(text, kind, shipped()).charge


def coded(text: str, kind: str, model: Model) -> Coded:
    """The coding that is charged: the cheaper of the plain one and that with opaque runs.

    Raises `KeyError` for a character that no canonical text has.
    """
    plain, start = symbols(text), model.starts[kind]
    costs = _costs(start, plain)
    best = Coded(plain, (), sum(costs))
    if best.charge > _least(_RUN_MIN) and (spans := list(_opaque_spans(plain, costs))):
        replaced, runs, at, spent = [], [], 0, 0
        for begin, end, run_cost in spans:
            replaced += [plain[at:begin], OPAQUE]
            runs.append(plain[begin:end])
            at, spent = end, spent + run_cost
        shorter = "".join([*replaced, plain[at:]])
        spent += sum(_costs(start, shorter))
        if spent < best.charge:
            best = Coded(shorter, tuple(runs), spent)
    return best


def symbols(text: str) -> str:
    """The symbols of a canonical text: one character for each escaped byte."""
    return _ESCAPE.sub(_escaped, text) if "%" in text else text


def _escaped(escape: re.Match[str]) -> str:
    return chr(_ESCAPED + int(escape[1], 16))


def _costs(state: State, text: str) -> list[int]:
    """What each symbol costs, and `END`."""
    costs = []
    for symbol in text:
        cost, state = state[symbol]
        costs.append(cost)
    costs.append(state[END][0])
    return costs


def _opaque_spans(text: str, costs: list[int]) -> Iterator[tuple[int, int, int]]:
    """Where runs begin and end that are cheaper as opaque ones, and what they cost behind their `OPAQUE`."""
    for found in _RUN.finditer(text):
        whole = list(_opaque(text, costs, found.span()))
        yield from whole or [
            span for piece in _PIECE.finditer(text, *found.span()) for span in _opaque(text, costs, piece.span())
        ]


def _opaque(text: str, costs: list[int], span: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """A run in pieces that an opaque one can have, all or none of them."""
    begin, end = span
    size, plain = end - begin, sum(costs[begin:end])
    if plain <= _least(size):
        return
    pieces = -(-size // _RUN_MAX)
    each = next(cost for pattern, cost in _CLASSES if pattern.fullmatch(text, begin, end))
    if plain <= pieces * (_HEAD + _ABOUT) + each * size:
        return
    for piece in range(pieces):
        first, last = begin + piece * size // pieces, begin + (piece + 1) * size // pieces
        yield first, last, run_cost(text[first:last])


def _least(size: int) -> int:
    """What no opaque run of this size costs less than."""
    return _HEAD + _ABOUT + _DIGIT * size


def run_cost(run: str) -> int:
    """What class, length and characters of an opaque run cost."""
    return _HEAD + len(run) * next(cost for pattern, cost in _CLASSES if pattern.fullmatch(run))


@functools.cache
def share(cost: int) -> int:
    """⌈2^(60 − cost/16)⌉: what of 2^60 a cost takes, in whole numbers."""
    number = 2 ** (60 * BIT - cost) if cost < 60 * BIT else 1
    root = number
    for _ in range(4):
        root = math.isqrt(root)
    return root + (root**BIT < number)


def costs_after(model: Model, context: str, below: Sequence[int]) -> list[int]:
    """What each symbol of `ALPHABET` costs after `context`, where they cost `below` after one symbol less."""
    get, escape = model.costs.get, model.escapes[context]
    return [get(context + symbol, escape + cost) for symbol, cost in zip(ALPHABET, below, strict=True)]


def kraft_sums(model: Model) -> Iterator[tuple[str, int]]:
    """Each context of the model, the empty one first, and Σ of the shares of all that can come after it: at most 2^60
    in a model that bounds anything. After any other context costs are those after its longest ending that is here."""
    after: dict[str, list[int]] = {}
    for context in sorted(model.escapes, key=len):
        costs = costs_after(model, context, after[longest_ending(context, after)] if context else _NOTHING_BELOW)
        if len(context) < ORDER:
            after[context] = costs
        yield context, sum(map(share, costs))


def longest_ending(context: str, known: Container[str]) -> str:
    """The longest proper ending of `context` that is known. The empty one is."""
    return next(context[at:] for at in range(1, len(context) + 1) if context[at:] in known)


_NOTHING_BELOW: Final = [60 * BIT] * len(ALPHABET)


def is_bounding(model: Model) -> bool:
    """Whether every context of the model, escapes included, obeys Kraft's inequality."""
    return all(total <= ONE for _, total in kraft_sums(model))
