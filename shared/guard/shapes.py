"""L2 for decoded text: forms that identifiers, signatures and names never have, whatever they would mean.

Digests and signatures have sizes, numbers have an end, words have letters, and people write in one script at a time.
What is refused here needs no alphabet to be guessed: it covers encodings that nobody has thought of yet.
"""

from __future__ import annotations

import re
from typing import NoReturn

from shared.guard.leaves import Path, pointer
from shared.guard.parts import Part
from shared.guard.tokens import is_everyday
from shared.kernel.errors import Refused

#: Shorter text in ASCII can have any form.
SHAPELESS_CHARACTERS_MAX = 40
DIGITS_MAX = 40
LETTERS_MAX = 56
ONE_CASE_MAX = 80
HEX_MAX = 76
#: Hexadecimal runs beyond `HEX_MAX`: SHA-384, SHA-512, RSA signatures of 1,024 to 4,096 bits.
HEX_SIZES = frozenset({96, 128, 256, 512, 768, 1_024})
RARE_CHARACTERS_MAX, RARE_SHARE_MAX = 12, 0.25
PUNCTUATION_MAX, PUNCTUATION_SHARE_MAX = 24, 0.55

NUMBERS_MAX, LONG_NUMBERS_MAX = 12, 8

_DIGITS = re.compile(r"\d{41,}")
_NUMBER = re.compile(r"(?<![A-Za-z0-9])\d+(?![A-Za-z0-9])")
_LONG_NUMBER = re.compile(r"(?<![A-Za-z0-9])\d{5,}(?![A-Za-z0-9])")
_RUN = re.compile(r"[A-Za-z0-9]+")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def check_shape(part: Part) -> None:
    """Raise `Refused` with a code `guard_rules_…` when a run of characters in `part` has no legitimate form."""
    text = part.text
    if len(text) > SHAPELESS_CHARACTERS_MAX:
        runs = _RUN.findall(text)
        for run in runs:
            if len(run) > SHAPELESS_CHARACTERS_MAX:
                _check_run(run, part.path)
        _check_numbers(text, runs, part.path)
        punctuation = len(_PUNCTUATION.findall(text))
        if punctuation > PUNCTUATION_MAX and punctuation > PUNCTUATION_SHARE_MAX * len(text):
            _refuse("punctuation", "text has more letters and digits than punctuation", part.path)
    if not text.isascii():
        characters = [character for character in text if character > "\x7f" and not "\udc80" <= character <= "\udcff"]
        rare = sum(1 for character in characters if not is_everyday(character))
        if rare > RARE_CHARACTERS_MAX and rare > RARE_SHARE_MAX * len(characters):
            _refuse("rare_characters", "characters that people write with", part.path)


def _check_numbers(text: str, runs: list[str], path: Path) -> None:
    """`runs` are the letters and digits of `text` between anything else: in ASCII no number is longer than its run."""
    if text.isascii():
        numbers = [run for run in runs if run.isdigit()]
        long_numbers = [number for number in numbers if len(number) >= 5]
        has_digits = any(len(run) > DIGITS_MAX and _DIGITS.search(run) for run in runs)
    else:
        numbers, long_numbers = _NUMBER.findall(text), _LONG_NUMBER.findall(text)
        has_digits = _DIGITS.search(text) is not None
    if has_digits:
        _refuse("digits", f"numbers of at most {DIGITS_MAX} digits", path)
    if len(numbers) > NUMBERS_MAX or len(long_numbers) > LONG_NUMBERS_MAX:
        _refuse("numbers", f"at most {NUMBERS_MAX} numbers in a value, {LONG_NUMBERS_MAX} of them long", path)


def _check_run(run: str, path: Path) -> None:
    size = len(run)
    if _HEX.fullmatch(run):
        if size > HEX_MAX and size not in HEX_SIZES:
            _refuse("hexadecimal", "hexadecimal of the size of a digest or signature", path)
    elif run.isalpha():
        if size > LETTERS_MAX:
            _refuse("letters", f"words and codes of at most {LETTERS_MAX} letters", path)
    elif size > ONE_CASE_MAX and run in (run.lower(), run.upper()):
        _refuse("one_case", f"codes in one case of at most {ONE_CASE_MAX} characters", path)


def _refuse(rule: str, detail: str, path: Path) -> NoReturn:
    raise Refused(f"guard_rules_{rule}", detail, field=pointer(path))
