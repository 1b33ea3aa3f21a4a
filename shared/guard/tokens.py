"""Measures text: how many bits of it read like words or numbers, and how many are opaque.

A piece is a word when its letter pairs are those of written languages; everything else counts with the
size of the alphabet it draws from. The measure refuses nothing: `capacity` compares it with budgets.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from itertools import pairwise
from typing import NamedTuple

DIGIT_BITS, HEX_BITS, LETTER_BITS, BASE36_BITS, BASE62_BITS, BASE85_BITS = 3.33, 4.0, 4.7, 5.17, 5.96, 6.41
WORD_BITS = 16.0
WORD_LETTERS_MAX = 24
#: The same where words are not set apart: whole phrases of Japanese, Chinese or Thai.
UNSPACED_LETTERS_MAX = 96
#: Letter pairs that cover 96 % of the pairs in sixteen languages written in Latin letters, by first letter.
_PAIRS = (
    "aabcdefgijklmnoprstuvyz baehiloruy caehiklorstuz daehilorstu eabcdefgijklmnoprstuvwxyz faefiloru gaehilnorstuv "
    "haeilortuy iabcdefgijklmnoprstuvz jaeou kaehiklorstu ladeilnopstuy mabehimopru nacdefghiknostuvy "
    "oabcdegijklmnoprstuvwz paehiloprtuy qu racdegiklmnorstuvwyz sacehiklopstuy tabcehiorstuwy uabcdefgijklmnoprstuz "
    "vaeio waehioy xapt yacmnopst zaehinouy"
)
_COMMON_PAIRS = frozenset((group[0], letter) for group in _PAIRS.split() for letter in group[1:])
_COMMON_SHARE = 0.75
_HEX_DIGITS = "0123456789abcdef"

_PIECE = re.compile(r"[A-Za-z0-9]+|[^\x00-\x7f]+")
#: Punctuation that neither words nor addresses nor JSON need often, but alphabets of more than 64 digits do.
_RARE = re.compile(r"[!#$()*;<>@\[\]^`{|}~'\\]")
_REPEATED = re.compile(r"(.)\1\1")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_RUN = re.compile(r"[A-Za-z]+|[0-9]+")
#: Letters and digits in at most three runs.
_FEW_RUNS = re.compile(r"[A-Za-z]*+[0-9]++[A-Za-z]*+|[0-9]++[A-Za-z]++[0-9]++")
#: Scripts in which words are set apart, so that a word has a length; and marks that go with any script.
_SPACED_SCRIPTS = frozenset(
    {
        "CYRILLIC",
        "GREEK",
        "ARABIC",
        "HEBREW",
        "ARMENIAN",
        "GEORGIAN",
        "LATIN",
        "DEVANAGARI",
        "BENGALI",
        "TAMIL",
        "HANGUL",
    }
)
_COMPANIONS = frozenset({"COMBINING", "ZERO", "VARIATION"})


class Measure(NamedTuple):
    """`opaque_bits` do not read like anything; `capacity_bits` bounds what the text could carry at all.

    `words` are pieces that read: words, abbreviations, small numbers. Each can stand for a byte or two.
    `carried_bits` is the capacity beside real words: what numbers and abbreviations could hold as well.
    """

    opaque_bits: float
    capacity_bits: float
    words: int
    carried_bits: float


def measure(text: str) -> Measure:
    """Measure decoded text (no percent encoding; bytes that are not UTF-8 as surrogate escapes)."""
    return Measure(*measured(text))


def measured(text: str) -> tuple[float, float, int, float]:
    """The four values of `Measure`, for who makes thousands of them."""
    size = len(text)
    if text.isascii():
        if size <= 3:
            return 0.0, BASE62_BITS * size, 0, BASE62_BITS * size
        if text.isdigit():
            return DIGIT_BITS * size if size > 4 else 0.0, DIGIT_BITS * size, 0, DIGIT_BITS * size
        if text.isalnum():
            return _ascii(text)
    opaque = capacity = carried = 0.0
    words = 0
    pieces = _PIECE.findall(text)
    for piece in pieces:
        one = _FREQUENT.get(piece) or (_ascii(piece) if piece.isascii() else _other_scripts(piece))
        piece_opaque, piece_capacity, piece_words, piece_carried = one
        opaque += piece_opaque
        capacity += piece_capacity
        words += piece_words
        carried += piece_carried
    covered = sum(map(len, pieces))
    if covered == size:
        return opaque, capacity, words, carried
    rare = BASE85_BITS * len(_RARE.findall(text))
    if rare > 4 * BASE85_BITS:
        opaque += rare
    return opaque, capacity + 2.0 * (size - covered) + rare, words, carried + rare


def is_word(letters: str) -> bool:
    """Whether lower-case ASCII letters look like a word of some language: most of their pairs are common ones.

    Few letters, and one of them three times in a row, are no word.
    """
    pairs = len(letters) - 1
    if pairs < 3:
        return True
    if pairs >= WORD_LETTERS_MAX or (2 * len(set(letters)) < len(letters) and _REPEATED.search(letters)):
        return False
    return _COMMON_PAIRS.issuperset(pairwise(letters)) or (
        sum(map(_COMMON_PAIRS.__contains__, pairwise(letters))) >= _COMMON_SHARE * pairs
    )


def is_everyday(character: str) -> bool:
    """Whether a character beyond ASCII is one that the scripts in everyday use are written with."""
    return character in _everyday_characters()


def _ascii(piece: str) -> tuple[float, float, int, float]:
    size = len(piece)
    if piece.isalpha():
        return _letters(piece, size)
    if piece.isdigit():
        bits = DIGIT_BITS * size
        return (bits, bits, 0, bits) if size > 4 else (0.0, bits, 1, bits)
    if size <= 40 and _FEW_RUNS.fullmatch(piece):
        opaque = capacity = carried = 4.0
        words = 0
        for run in _RUN.findall(piece):
            one = _ascii(run)
            if one[0] and run > "9":
                break
            opaque, capacity, words, carried = opaque + one[0], capacity + one[1], words + one[2], carried + one[3]
        else:
            return opaque, capacity, words, carried
    bits = _alphabet_bits(piece) * size
    return bits, bits, 0, bits


def _letters(piece: str, size: int) -> tuple[float, float, int, float]:
    lower = piece.lower()
    if piece == lower or piece[1:] == lower[1:] or piece.isupper():
        bits = LETTER_BITS * size
        if size <= 3:
            return 0.0, bits, 1, bits
        return (0.0, WORD_BITS, 1, 0.0) if is_word(lower) else (bits, bits, 0, bits)
    humps = _CAMEL.findall(piece)
    if len(humps) * 4 <= size and all(len(hump) > 2 and is_word(hump.lower()) for hump in humps):
        return 0.0, WORD_BITS * len(humps), len(humps), 0.0
    bits = BASE62_BITS * size
    return bits, bits, 0, bits


def _alphabet_bits(piece: str) -> float:
    if piece.lower() == piece or piece.upper() == piece:
        return BASE36_BITS if piece.lower().strip(_HEX_DIGITS) else HEX_BITS
    return BASE62_BITS


def _other_scripts(piece: str) -> tuple[float, float, int, float]:
    """Letters of everyday alphabets read; rare ideographs, symbols, mixed scripts, long words and raw bytes do not."""
    opaque = capacity = 0.0
    scripts = set()
    everyday = _everyday_characters()
    for character in piece:
        if "\udc80" <= character <= "\udcff":
            opaque += 4.0  # a byte of text in an old national encoding, mostly
            capacity += 8.0
        elif character not in everyday:
            bits = 14.0 if _is_ideographic(character) else 8.0
            opaque += bits
            capacity += bits
        elif _is_ideographic(character):
            capacity += 11.0
            scripts.add("HANGUL" if character >= "\uac00" else "IDEOGRAPH")
        else:
            capacity += 5.0
            scripts.add(_script(character))
    scripts -= _COMPANIONS
    oddly_cased = piece[1:] != piece[1:].lower() and piece != piece.upper()
    longest = WORD_LETTERS_MAX if scripts <= _SPACED_SCRIPTS else UNSPACED_LETTERS_MAX
    if len(scripts) > 2 or oddly_cased or len(piece) > longest:
        opaque = capacity = max(capacity, 8.0 * len(piece))
    return opaque, capacity, max(1, len(piece) // 8), opaque


@functools.lru_cache(maxsize=1_024)
def _script(character: str) -> str:
    return unicodedata.name(character, "?").split(" ", 1)[0]


def _is_ideographic(character: str) -> bool:
    """Ideographs and Hangul syllables: scripts of thousands of characters."""
    return "\u3400" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3" or character > "\U0001ffff"


@functools.cache
def _everyday_characters() -> frozenset[str]:
    """What the legacy national character sets hold: they were made of the characters that people write with.

    Ideographs are cut at the first, most frequent level of GB 2312, JIS X 0208 and Big5.
    """
    characters: set[str] = set()
    for codec in [
        "cp1250",
        "cp1251",
        "cp1252",
        "cp1253",
        "cp1254",
        "cp1255",
        "cp1256",
        "cp1257",
        "cp1258",
        "cp874",
        "koi8_u",
    ]:
        characters.update(bytes(range(128, 256)).decode(codec, "ignore"))
    for codec, first, last in (("gb2312", 0xB0A1, 0xD7FE), ("big5", 0xA440, 0xC67E), ("euc_kr", 0xB0A1, 0xC8FE)):
        characters.update(_double_byte(codec, first, last))
    characters.update(_double_byte("shift_jis", 0x889F, 0x9872))
    for first, last in (
        (0x300, 0x36F),
        (0x900, 0xDFF),
        (0x10A0, 0x10FF),
        (0x531, 0x586),
        (0x1200, 0x135A),
        (0x1780, 0x17DD),
        (0x1E00, 0x1EFF),
        (0x3041, 0x30FF),
        (0x660, 0x669),
        (0x6F0, 0x6F9),
    ):
        characters.update(map(chr, range(first, last + 1)))
    characters.update("\u200c\u200d\ufe0f・「」『』【】（）！？：、。～｜")
    return frozenset(character for character in characters if not unicodedata.category(character).startswith("C")) | {
        "\u200c",
        "\u200d",
    }


def _double_byte(codec: str, first: int, last: int) -> str:
    lows = (*range(0x40, 0x7F), *range(0x80, 0xFF))
    cells = ((high << 8 | low) for high in range(first >> 8, (last >> 8) + 1) for low in lows)
    return b"".join(cell.to_bytes(2, "big") for cell in cells if first <= cell <= last).decode(codec, "ignore")


#: What addresses are made of most, measured once. Fixed: values of class S3 are not to be remembered.
_FREQUENT_TEXT = """
www com net org info example onion html htm php aspx jpg jpeg png gif webp bmp mp4 webm mov avi mkv zip rar pdf txt
images image img files file media static assets content cdn upload uploads download downloads data storage m3u8
album gallery photo photos picture pictures video videos watch view play stream thumb thumbs preview
forum board thread topic post posts page pages user users profile member members channel channels room group
share shared invite search index home news blog archive category tag tags item items mail matrix chat site
"""
_FREQUENT = {word: _ascii(word) for word in _FREQUENT_TEXT.split()}
