"""Tells random digits from digits that stand for something, without knowing the alphabet.

Identifiers, signatures and keys are uniformly random. A file that was written in some alphabet is not, unless it was
compressed: headers and zeros make some digits far more frequent than others.
"""

from __future__ import annotations

import math
import re

from shared.guard.tokens import is_word

#: Shorter runs do not show their distribution.
RUN_DIGITS_MIN = 72
#: Standard deviations of pairs of equal digits above chance. Random tokens of all kinds stay below five.
DEVIATIONS_MAX = 9.0

_RUN = re.compile(rb"[A-Za-z0-9+/_-]{72,}")
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_PIECES = re.compile(rb"[+/_-]")


def is_structured(text: bytes) -> bool:
    """Whether `text` has a long run of digits that neither reads as words nor is random."""
    return any(_deviations(run) > DEVIATIONS_MAX for run in _RUN.findall(text))


def _reads(piece: bytes) -> bool:
    return piece.isdigit() or (len(piece) > 4 and piece.isalpha() and is_word(piece.decode().lower()))


def _deviations(run: bytes) -> float:
    digits = b"".join(piece for piece in _PIECES.split(run) if not _reads(piece))
    size = len(digits)
    if size < RUN_DIGITS_MIN or digits.isdigit():
        return 0.0
    used = frozenset(digits)
    if used <= _HEX_DIGITS:
        base = 16
    elif digits.lower() == digits or digits.upper() == digits:
        base = 32
    else:
        base = 62
    pairs = sum(count * (count - 1) for count in map(digits.count, used)) / 2
    expected = size * (size - 1) / 2 / base
    return (pairs - expected) / math.sqrt(expected * (1 - 1 / base))
