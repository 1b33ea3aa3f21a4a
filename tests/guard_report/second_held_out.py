"""A second set of encodings, written after the guard was changed for speed, disguises, pieces and inner addresses.

As with `held_out`, nothing in the guard was ever tuned on it: who changes the guard because of one of these moves that
encoding to `varied_places` and writes a new one here.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import json
import lzma
import zlib
from collections.abc import Callable
from itertools import accumulate
from random import Random

from tests.guard_report.encodings import b64, b64u

Encoding = Callable[[bytes], str]

_STREETS = "high mill park oak elm lake hill church main bridge garden castle river forest market harbour".split()  # noqa: SIM905
_COLOURS = "red blue green gold pink grey lime teal navy rust plum jade ruby mint sand wine".split()  # noqa: SIM905
_DIGITS = "0123456789abcdef"
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ORDER = "".join(Random(99).sample(_STANDARD, 64))
_BASE59 = "23456789ABCDEFGHIJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz~"
_ARMENIAN = "".join(chr(0x561 + at) for at in range(16))
_SYLLABLES = [consonant + vowel for consonant in "kmnprstvlgdbzfhj" for vowel in "aeiouyáéíóúüöäàè"]


def _every(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _mapped(text: str, before: str, after: str) -> str:
    return text.translate(str.maketrans(before, after))


def _words(data: bytes, width: int) -> list[int]:
    return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]


def _number(value: int, alphabet: str) -> str:
    digits = []
    while value:
        value, digit = divmod(value, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(digits)


def _hex(data: bytes) -> str:
    return data.hex()


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _shuffled(data: bytes, size: int) -> bytes:
    """Bytes put in another order within blocks of `size`."""
    order = Random(size).sample(range(size), size)
    padded = data + bytes(-len(data) % size)
    return bytes(padded[at + place] for at in range(0, len(padded), size) for place in order)


def _summed(data: bytes) -> bytes:
    """Each byte is the sum of all up to it."""
    return bytes(total & 255 for total in accumulate(map(int, data)))


def _framed(data: bytes) -> bytes:
    """Blocks of twenty bytes, each with its number and a checksum."""
    blocks = [data[at : at + 20] for at in range(0, len(data), 20)]
    return b"".join(
        bytes((at,)) + block + binascii.crc_hqx(block, 0).to_bytes(2, "big") for at, block in enumerate(blocks)
    )


SECOND_HELD_OUT: dict[str, Encoding] = {
    "streets for nibbles": lambda data: "-".join(_STREETS[int(digit, 16)] for digit in _hex(data)),
    "colours for nibbles, together": lambda data: "".join(_COLOURS[int(digit, 16)] for digit in _hex(data)),
    "colours for nibbles in capitals": lambda data: "".join(_COLOURS[int(digit, 16)].title() for digit in _hex(data)),
    "syllables for bytes": lambda data: "-".join(_every("".join(_SYLLABLES[byte] for byte in data), 6)),
    "Armenian for nibbles": lambda data: _mapped(_hex(data), _DIGITS, _ARMENIAN),
    "chess squares": lambda data: "".join(
        "abcdefgh"[byte >> 3 & 7] + "12345678"[byte & 7] + "xyzw"[byte >> 6] for byte in data
    ),
    "playing cards": lambda data: "".join(chr(0x1F0A1 + int(digit, 16)) for digit in _hex(data)),
    "base64 in a random order": lambda data: _mapped(b64u(data), _STANDARD, _ORDER),
    "base64 in a random order, in eights": lambda data: ".".join(_every(_mapped(b64u(data), _STANDARD, _ORDER), 8)),
    "base64 with a letter after each six": lambda data: "q".join(_every(b64u(data), 6)),
    "base64 with words between": lambda data: "-and-".join(_every(b64u(data), 14)),
    "base64 halves in turn": lambda data: "".join(
        map("".join, zip(b64u(data)[::2][::-1], b64u(data)[1::2], strict=False))
    ),
    "base64 of shuffled blocks": lambda data: b64u(_shuffled(data, 8)),
    "base64 of shuffled blocks of three": lambda data: b64u(_shuffled(data, 3)),
    "base64 of sums": lambda data: b64u(_summed(data)),
    "base64 of bytes against their place": lambda data: b64u(bytes(byte ^ at & 255 for at, byte in enumerate(data))),
    "base64 of framed blocks": lambda data: b64u(_framed(data)),
    "base64 of zlib, first bytes last": lambda data: b64u(zlib.compress(data)[4:] + zlib.compress(data)[:4]),
    "base64 of bzip2 without its head": lambda data: b64u(bz2.compress(data)[4:]),
    "base64 of hexadecimal backwards": lambda data: b64u(_hex(data)[::-1].encode()),
    "base64 of decimals": lambda data: b64u(" ".join(map(str, data)).encode()),
    "base64 of escapes": lambda data: b64u(codecs.escape_encode(data)[0]),
    "base64 of a list in JSON": lambda data: b64u(
        json.dumps([b64(data[at : at + 30]) for at in range(0, len(data), 30)]).encode()
    ),
    "base64 of base58, low digits first": lambda data: b64u(
        _number(int.from_bytes(data, "big"), _BASE59[:58]).encode()
    ),
    "base59, low digits first": lambda data: _number(int.from_bytes(data, "big"), _BASE59),
    "base36 of pairs": lambda data: ".".join(
        _number(value, "0123456789abcdefghijklmnopqrstuvwxyz") for value in _words(data, 2)
    ),
    "base32 of XZ": lambda data: _base32(lzma.compress(data)),
    "base32, rows of seven backwards": lambda data: "".join(row[::-1] for row in _every(_base32(data), 7)),
    "base32 in an own alphabet": lambda data: _mapped(
        _base32(data), "abcdefghijklmnopqrstuvwxyz234567", "0192837465qpwoeirutyalskdjfhgzmx"
    ),
    "hexadecimal in a random order": lambda data: _mapped(_hex(data), _DIGITS, "c7093a1ef5d82b64"),
    "hexadecimal with g to v in turn": lambda data: "".join(
        digit if at % 2 else "ghijklmnopqrstuv"[int(digit, 16)] for at, digit in enumerate(_hex(data))
    ),
    "hexadecimal of little-endian words": lambda data: "-".join(f"{value:08x}" for value in _words(data, 4)),
    "hexadecimal, each byte twice": lambda data: "".join(f"{byte:02x}{255 - byte:02x}" for byte in data),
    "hexadecimal as sizes of pictures": lambda data: "/".join(
        f"{value >> 8}x{value & 255}.jpg" for value in _words(data, 2)
    ),
    "amounts with units": lambda data: ",".join(f"{value}kb" for value in _words(data, 2)),
    "shares in per mille": lambda data: "_".join(f"0.{byte:03d}" for byte in data),
    "clock times": lambda data: "-".join(f"{byte >> 4:02d}h{byte & 15:02d}m" for byte in data),
    "ASCII85 of zlib": lambda data: base64.a85encode(zlib.compress(data)).decode(),
}
