"""A slow reference for the charge of a text, from the costs in a model's file; and Kraft sums of a machine."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from functools import cache

from deploy.artifacts.charge_model import ModelDraft
from shared.core.guard import charge
from shared.core.guard.files import verified

_CLASSES = [
    (re.compile(pattern), charge.choices(size))
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
]
_RUN_MIN, _RUN_MAX = 8, 263
_HEAD, _ABOUT = charge.choices(8) + charge.choices(256), 4 * charge.BIT


def drafted(data: bytes) -> ModelDraft:
    """Return the costs and escapes in a model's file."""
    draft = ModelDraft({}, {})
    for codes, (escape, pairs) in charge.entries(data):
        context = "".join(charge.SYMBOLS[code] for code in codes)
        draft.escapes[context] = escape
        for code, cost in zip(pairs[::2], pairs[1::2], strict=True):
            draft.costs[context + charge.SYMBOLS[code]] = cost
    return draft


@cache
def shipped_draft() -> ModelDraft:
    """Return the costs and escapes of the current model."""
    return drafted(verified(f"charge-{charge.NUMBER}.model", charge.MODELS_SHA256[charge.NUMBER]))


def changed_model(change: Callable[[int], int]) -> charge.Model:
    """Return the machine of the current model with each cost in each state changed."""
    model = charge.read(verified(f"charge-{charge.NUMBER}.model", charge.MODELS_SHA256[charge.NUMBER]))
    for costs, _ in model.states:
        costs[:] = array("H", map(change, costs))
    return model


def slow_charge(text: str, kind: str) -> int:
    """Return the charge of a canonical text. Raises `KeyError` for a character that no canonical text has."""
    plain = re.sub("%(..)", lambda escape: charge.ESCAPED[escape[1]], text)
    costs = _costs(kind, plain)
    spans = list(_spans(plain, costs))
    shorter, at = "", 0
    for begin, end in spans:
        shorter, at = shorter + plain[at:begin] + charge.OPAQUE, end
    runs = sum(_HEAD + (end - begin) * _each(plain[begin:end]) for begin, end in spans)
    return min(sum(costs), runs + sum(_costs(kind, shorter + plain[at:])))


def _costs(kind: str, text: str) -> list[int]:
    before, costs = charge.STARTS[kind], []
    for symbol in text + charge.END:
        costs.append(shipped_draft().cost(before, symbol))
        before = (before + symbol)[-charge.ORDER :]
    return costs


def _spans(text: str, costs: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the opaque runs: a run of letters, digits, - and _ as a whole, or else those between - and _."""
    for found in re.finditer(rf"[A-Za-z0-9_-]{{{_RUN_MIN},}}", text):
        pieces = re.compile(rf"[A-Za-z0-9]{{{_RUN_MIN},}}").finditer(text, *found.span())
        yield from list(_parts(text, costs, *found.span())) or [
            part for piece in pieces for part in _parts(text, costs, *piece.span())
        ]


def _parts(text: str, costs: list[int], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Split a run into parts of nearly equal size, if these are cheaper."""
    size, count = end - begin, -(-(end - begin) // _RUN_MAX)
    least = _HEAD + _ABOUT + charge.choices(10) * size
    if sum(costs[begin:end]) > max(least, count * (_HEAD + _ABOUT) + size * _each(text[begin:end])):
        for part in range(count):
            yield begin + part * size // count, begin + (part + 1) * size // count


def _each(run: str) -> int:
    return next(cost for pattern, cost in _CLASSES if pattern.fullmatch(run))


def kraft_sums(model: charge.Model) -> Iterator[int]:
    """Yield the sum of all symbols' shares in each state of the machine: at most 2^60 in a bounding model."""
    for costs, _ in model.states:
        yield sum(map(charge.share, costs))


def is_bounding(model: charge.Model) -> bool:
    """Return whether every state of the model satisfies Kraft's inequality."""
    return all(total <= charge.ONE for total in kraft_sums(model))
