"""Turns text into the bytes it may stand for, in every alphabet that is in use for writing bytes as text.

`whole` yields complete decodings in the common alphabets, at every alignment, so that content behind other bytes is
found too. `heads` yields only the first bytes, but in many more alphabets: a file shows itself at its head, and a
head costs a microsecond.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence

from shared.guard.alphabets import (
    ALPHANUMERIC,
    ALPHANUMERIC_ORDERS,
    BASE32,
    BASE45,
    BASE45_PUNCTUATION,
    BASE85_DIGITS,
    BASE91,
    BOTH_CASES,
    DISGUISES,
    FIRST_DIGITS,
    FIRST_IN_ALPHANUMERIC_ORDERS,
    HEAD_PAIRS,
    HEX_DIGITS,
    INVERTED,
    NOT_ALPHANUMERIC,
    NOT_BASE64,
    NOT_LETTERS,
    NUMBER_ALPHABETS,
    NUMBER_PAIRS,
    PUNCTUATED_ORDERS,
    PUNCTUATION,
    ROT13,
    ROT47,
    URLSAFE,
    Z85,
    NumberAlphabet,
)

DIGITS_MIN = 24
_HEAD_BYTES = 66
_HEAD_DIGITS = 88
_NUMBER_DIGITS = 256

_PADDING = (b"", b"", b"==", b"=")
_HEX_ESCAPE = re.compile(rb"0[xX]|\\+x|\\+u00|&#x|[Uu]\+00|[^0-9A-Fa-f]")
_NUMBER = re.compile(rb"-?\d+")
#: Different characters of `PUNCTUATION` from which a text may be in an alphabet of more than 64 digits.
_PUNCTUATION_MIN = 3


def whole(text: bytes) -> Iterator[bytes]:
    """Complete decodings of `text` as base64 (either alphabet, cut by anything, at four alignments) and hexadecimal."""
    if not _is_hexadecimal(text):
        yield from _whole_base64(text)
    if 20 * len(text.translate(None, HEX_DIGITS)) <= 11 * len(text) or b"&#x" in text:
        hexadecimal = _HEX_ESCAPE.sub(b"", text)
        if len(hexadecimal) >= DIGITS_MIN:
            yield _hexadecimal(hexadecimal)
            yield _hexadecimal(hexadecimal[1:])


def heads(text: bytes) -> Iterator[bytes]:
    """Decodings of `text` in rarer alphabets and simple disguises, where their first bytes can begin a file."""
    digits = text.translate(None, NOT_ALPHANUMERIC)
    if not digits.translate(None, HEX_DIGITS):
        if len(digits) >= DIGITS_MIN:
            yield from _disguised_hexadecimal(digits)
            yield from _few_symbols(digits)
        yield from _number_lists(text)
        return
    yield from _rare_base64(text)
    if len(digits) >= DIGITS_MIN:
        folded = digits.lower()
        if folded == digits or digits.upper() == digits:
            yield from _rare_base32(folded)
            yield from _number_heads(digits, folded, NUMBER_ALPHABETS)
        else:
            yield from _number_heads(digits, folded, BOTH_CASES)
        yield from _few_symbols(digits)
    yield from _number_lists(text)
    if len(digits) == len(text):
        return
    others = text.translate(None, ALPHANUMERIC)
    if len(PUNCTUATION.intersection(others)) >= _PUNCTUATION_MIN:
        yield from _punctuated(text)
    if not BASE45_PUNCTUATION.isdisjoint(others) and text.upper() == text:
        yield _base45(text)


def from_characters(text: str) -> Iterator[bytes]:
    """Bytes that characters beyond ASCII may stand for, one each or two each."""
    points = [ord(character) for character in text if character > "\x7f"]
    if len(points) < 12:
        return
    yield bytes([point & 0xFF for point in points])
    least = min(points)
    yield bytes([(point - least) & 0xFF for point in points])
    symbols = "".join(character for character in text if character > "\x7f")
    yield symbols.encode("utf-16-be", "surrogatepass")
    yield symbols.encode("utf-16-le", "surrogatepass")
    for codec in ("latin-1", "cp1252", "cp437", "cp1251"):
        encoded = text.encode(codec, "ignore")
        if not encoded.isascii():
            yield encoded
    yield text.encode("utf-8", "surrogateescape")


def _is_hexadecimal(text: bytes) -> bool:
    """Whether all letters and digits are hexadecimal: the chance that digits of a larger alphabet are is nil."""
    return not text.translate(None, NOT_ALPHANUMERIC).translate(None, HEX_DIGITS)


def _whole_base64(text: bytes) -> Iterator[bytes]:
    urlsafe = text.translate(None, NOT_BASE64)
    if len(urlsafe) < DIGITS_MIN:
        return
    standard = urlsafe.translate(URLSAFE)
    for skipped in range(4):
        yield _standard_base64(standard[skipped:])
    uncut = urlsafe.translate(None, b"-_")
    alphanumeric = uncut.translate(None, b"+/")
    if len(uncut) < len(urlsafe):
        yield _base64(uncut)
    if len(alphanumeric) < len(uncut):
        yield _base64(alphanumeric)


def _base64(digits: bytes) -> bytes:
    """Digits of either base64 alphabet and no others; a last digit that completes no byte is dropped."""
    return _standard_base64(digits.translate(URLSAFE))


def _standard_base64(digits: bytes) -> bytes:
    surplus = len(digits) % 4
    return binascii.a2b_base64(digits[:-1] if surplus == 1 else digits + _PADDING[surplus])


def _hexadecimal(digits: bytes) -> bytes:
    return binascii.a2b_hex(digits[: len(digits) & ~1])


def _rare_base64(text: bytes) -> Iterator[bytes]:
    start, head = text[:3], text[:64]
    is_none = start.isalnum() and start not in FIRST_IN_ALPHANUMERIC_ORDERS
    for table, others, first in PUNCTUATED_ORDERS if is_none else (*ALPHANUMERIC_ORDERS, *PUNCTUATED_ORDERS):
        if head.translate(None, others)[:3] in first:
            yield _base64(text.translate(table, others))
    digits = text.translate(None, NOT_BASE64)
    if len(digits) < DIGITS_MIN:
        return
    for table, first in DISGUISES:
        if digits[:3] in first:
            yield _base64(digits.translate(table))
    backwards = digits[::-1]
    for skipped in range(4):
        if backwards[skipped : skipped + 3] in FIRST_DIGITS:
            yield _base64(backwards[skipped:])
    if backwards[:3].translate(ROT13) in FIRST_DIGITS:
        yield _base64(backwards.translate(ROT13))
    if digits[3:0:-1] in FIRST_DIGITS:
        yield _base64(_regrouped(digits, 4))
    if digits[1::-1] + digits[3:4] in FIRST_DIGITS:
        yield _base64(_regrouped(digits, 2))
    for first_digit in (0, 1):
        if digits[first_digit : first_digit + 6 : 2] in FIRST_DIGITS:
            yield _base64(digits[first_digit::2])
    half = (len(digits) + 1) // 2
    if digits[:1] + digits[half : half + 1] + digits[1:2] in FIRST_DIGITS:
        yield _base64(bytes(itertools.chain.from_iterable(zip(digits[:half], digits[half:], strict=False))))


def _regrouped(digits: bytes, size: int) -> bytes:
    """Each group of `size` digits back to front; an incomplete last group is dropped."""
    usable = len(digits) - len(digits) % size
    output = bytearray(usable)
    for place in range(size):
        output[place::size] = digits[size - 1 - place : usable : size]
    return bytes(output)


def _disguised_hexadecimal(digits: bytes) -> Iterator[bytes]:
    data = _hexadecimal(digits)
    yield data[::-1]
    yield _hexadecimal(digits[::-1])
    yield _hexadecimal(_regrouped(digits, 2))
    yield _hexadecimal(_regrouped(digits, 4))
    yield _hexadecimal(_regrouped(digits, 8))
    yield data.translate(INVERTED)
    yield _hexadecimal(digits[::2] + digits[1::2])


def _rare_base32(folded: bytes) -> Iterator[bytes]:
    backwards = folded[::-1]
    for number, (table, alphabet) in enumerate(BASE32):
        if alphabet.issuperset(folded):
            for digits in (folded, backwards) if number else (folded, backwards, *(folded[n:] for n in range(1, 8))):
                if int(digits[:4].translate(table), 32) >> 4 in HEAD_PAIRS:
                    yield _binary(digits.translate(table), 32, 5)


def _binary(digits: bytes, base: int, bits: int) -> bytes:
    """Digits of a base that is a power of two, as bytes from the left; the bits that fill no byte are dropped."""
    surplus = len(digits) * bits % 8
    return (int(digits, base) >> surplus).to_bytes(len(digits) * bits // 8, "big") if digits else b""


def _number_heads(digits: bytes, folded: bytes, alphabets: Sequence[NumberAlphabet]) -> Iterator[bytes]:
    """`digits` as one number, with the zeros that a number may have lost, where it can begin a file.

    The first five digits and floating point are exact enough for the first two bytes, and spare the number itself
    nearly always.
    """
    beyond = len(digits) - 5
    for base, bits, table, others in alphabets:
        written = digits if base > 36 else folded
        if others and len(written.translate(None, others)) < len(written):
            continue
        first, second, third, fourth, fifth = written[:5].translate(table)
        leading = (((first * base + second) * base + third) * base + fourth) * base + fifth
        if leading and int(256.0 ** ((math.log2(leading) + bits * beyond) / 8 % 1 + 1)) in NUMBER_PAIRS:
            number = _left_trimmed(_number(written.translate(table), base))
            yield from (number, b"\x00\x00" + number, b"\x00\x00\x00" + number)


def _number(values: bytes, base: int) -> int:
    """The number that digits of these values write, exact in its first `_NUMBER_DIGITS`: only its head is looked at."""
    first = functools.reduce(lambda total, value: total * base + value, values[:_NUMBER_DIGITS], 0)
    further: int = base ** max(0, len(values) - _NUMBER_DIGITS)
    return first * further


def _left_trimmed(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _few_symbols(digits: bytes) -> Iterator[bytes]:
    """Strings of two, four, eight or sixteen different symbols: bits, base pairs, octal, nibbles as letters."""
    if len(digits) < 48 or len(set(digits[:48])) > 16 or len(used := set(digits)) > 16:
        return
    symbols = bytes(sorted(used))
    if len(symbols) <= 2:
        for order in (b"01", b"10"):
            bits = digits[: 8 * _HEAD_BYTES].translate(bytes.maketrans(symbols, order[: len(symbols)]))
            yield _binary(bits, 2, 1)
            yield bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits) - 7, 8))
            yield _binary(bits[1:], 2, 1)
    elif len(symbols) <= 4:
        for order in map(bytes, itertools.permutations(b"0123")):
            yield _binary(digits.translate(bytes.maketrans(symbols, order[: len(symbols)])), 4, 2)
    elif len(symbols) <= 8 and digits.isdigit() and max(symbols) < 0x38:
        yield _binary(digits[: 3 * _HEAD_BYTES], 8, 3)
    for first in {symbols[0], 0x41, 0x61, 0x67, 0x47}:
        if symbols[0] >= first and symbols[-1] < first + 16:
            yield bytes(
                (high - first) << 4 | (low - first) for high, low in zip(digits[::2], digits[1::2], strict=False)
            )
    if len(symbols) == 16:
        yield _hexadecimal(digits.translate(bytes.maketrans(symbols, b"0123456789abcdef")))


def _number_lists(text: bytes) -> Iterator[bytes]:
    """Lists of numbers: bytes in decimal (signed too) or octal, words of 16 or 32 bits; and long runs of digits."""
    if 5 * len(text.translate(None, NOT_LETTERS)) > len(text):
        return
    numbers = _NUMBER.findall(text)
    if not numbers:
        return
    if len(numbers) >= 12:
        values = [int(number[:12]) for number in numbers]
        if all(-129 < value < 256 for value in values):
            yield bytes(value & 0xFF for value in values)
        if all(number.isdigit() and max(number) < 0x38 and int(number, 8) < 256 for number in numbers):
            yield bytes(int(number, 8) for number in numbers)
        magnitudes = [abs(value) for value in values]
        for width, large in ((2, 0xFF), (4, 0xFFFF)):
            if max(magnitudes) < 1 << 8 * width and 2 * sum(value > large for value in magnitudes) > len(values):
                yield b"".join(value.to_bytes(width, "big") for value in magnitudes)
                yield b"".join(value.to_bytes(width, "little") for value in magnitudes)
    digits = b"".join(number.lstrip(b"-") for number in numbers)
    if 72 <= len(digits) <= 4_000 and 2 * len(digits) > len(text):
        groups = [int(digits[at : at + 3]) for at in range(0, len(digits) - 2, 3)]
        if max(groups) < 256:
            yield bytes(groups)
        number = _left_trimmed(int(digits))
        yield from (number, b"\x00\x00" + number, b"\x00\x00\x00" + number)


def _punctuated(text: bytes) -> Iterator[bytes]:
    """Encodings whose alphabets include punctuation: base85 in three forms, base91, rot47."""
    stripped = text.translate(None, b"\r\n\t ")
    head = stripped[:80]
    if not head.translate(None, BASE85_DIGITS):
        yield from _block_decoded(base64.b85decode, head.translate(Z85))
        yield from _block_decoded(base64.b85decode, head)
    yield from _block_decoded(base64.a85decode, head.removeprefix(b"<~").removesuffix(b"~>"))
    yield _base91(stripped)
    turned = stripped.translate(ROT47)
    yield turned
    yield _base64(turned.translate(None, NOT_BASE64))


def _block_decoded(decode: Callable[[bytes], bytes], text: bytes) -> Iterator[bytes]:
    """`text` in a code of five digits per block; nothing when a digit is not one of the code's."""
    with contextlib.suppress(ValueError):
        yield decode(text)


def _base91(text: bytes) -> bytes:
    """basE91: pairs of digits carry 13 or 14 bits, least significant first."""
    values = [BASE91[byte] for byte in text[: 2 * _HEAD_DIGITS] if byte in BASE91]
    queue = bits = 0
    output = bytearray()
    for low, high in zip(values[::2], values[1::2], strict=False):
        pair = low + 91 * high
        queue |= pair << bits
        bits += 13 if pair & 8191 > 88 else 14
        while bits > 7:
            output.append(queue & 255)
            queue >>= 8
            bits -= 8
    return bytes(output)


def _base45(text: bytes) -> bytes:
    """Base45 (RFC 9285): three digits, least significant first, carry two bytes."""
    values = [BASE45[byte] for byte in text[: 2 * _HEAD_DIGITS] if byte in BASE45]
    triples = zip(values[::3], values[1::3], values[2::3], strict=False)
    return b"".join(((a + 45 * b + 2025 * c) & 0xFFFF).to_bytes(2, "big") for a, b, c in triples)
