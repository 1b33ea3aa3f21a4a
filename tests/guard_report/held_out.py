"""Encodings that were written after the guard was frozen and that nothing in it was ever tuned on.

Only figures on this set say something about encodings that nobody has thought of. Who changes the guard because of
one of these moves that encoding to `varied.py` and writes a new one here.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import itertools
import plistlib
import zlib
from collections.abc import Callable

from tests.guard_report.encodings import b64, b64u

Encoding = Callable[[bytes], str]

_URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NEW60 = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ_abcdefghijkmnopqrstuvwxyz"
_BASE56 = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
_BASE40 = "0123456789abcdefghijklmnopqrstuvwxyz-._~"
_BASE30 = "0123456789bcdefghjkmnpqrstvwxz"


def _number(alphabet: str) -> Encoding:
    def encode(data: bytes) -> str:
        value, digits = int.from_bytes(data, "big"), []
        while value:
            value, digit = divmod(value, len(alphabet))
            digits.append(alphabet[digit])
        return "".join(reversed(digits))

    return encode


def _pairs(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2].ljust(2, b"\x00"), "big") for at in range(0, len(data), 2)]


def _base40(data: bytes) -> str:
    return "".join(_BASE40[v // 1600] + _BASE40[v // 40 % 40] + _BASE40[v % 40] if v < 64_000 else f"~~{v - 64_000:03d}" for v in _pairs(data))


def _chained(data: bytes) -> bytes:
    return bytes(itertools.accumulate(data, lambda before, now: before ^ now))


def _letters(first: int) -> Encoding:
    """Sixteen consecutive letters of some script as hexadecimal digits."""
    return lambda data: "".join(chr(first + int(digit, 16)) for digit in data.hex())


def _fibonacci(value: int) -> str:
    numbers = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233]
    bits = ["0"] * len(numbers)
    value += 1
    for place in range(len(numbers) - 1, -1, -1):
        if numbers[place] <= value:
            value -= numbers[place]
            bits[place] = "1"
    return "".join(bits).rstrip("0") + "1"


def _varints(data: bytes) -> str:
    return "1.3.6.1.4.1." + ".".join(str(int.from_bytes(data[at : at + 3], "big")) for at in range(0, len(data), 3))


def _rows_reversed(text: str, size: int) -> str:
    return "".join(text[at : at + size][::-1] for at in range(0, len(text), size))


def _in_words(text: str) -> str:
    starts = ["photo", "album", "garden", "summer", "winter"]
    return "-".join(starts[number % 5] + text[at : at + 3] for number, at in enumerate(range(0, len(text), 3)))


def _token(data: bytes) -> str:
    return ".".join(map(b64u, (b'{"alg":"HS256","typ":"JWT"}', data, bytes(range(32)))))


def _plist(data: bytes) -> bytes:
    return plistlib.dumps({"name": data}, fmt=plistlib.FMT_BINARY)


HELD_OUT: dict[str, Encoding] = {
    "base64, digits doubled": lambda data: "".join(digit * 2 for digit in b64u(data)),
    "base64, rows of ten reversed": lambda data: _rows_reversed(b64u(data), 10),
    "base64, rows of three reversed": lambda data: _rows_reversed(b64u(data), 3),
    "base64 of chained bytes": lambda data: b64u(_chained(data)),
    "base64 of swapped nibbles": lambda data: b64u(bytes((byte << 4 | byte >> 4) & 255 for byte in data)),
    "base64 of bytes plus one": lambda data: b64u(bytes((byte + 1) & 255 for byte in data)),
    "base64 with dot and underscore": lambda data: b64(data).translate(str.maketrans("+/=", "._-")),
    "base64 as in IMAP": lambda data: b64(data).replace("/", ",").rstrip("="),
    "base64 among words": lambda data: _in_words(b64u(data)),
    "base64 in a token": _token,
    "base64 of a property list": lambda data: b64u(_plist(data)),
    "base64 of netstrings": lambda data: b64u(b"".join(b"%d:%b," % (len(c), c) for c in (data[at : at + 50] for at in range(0, len(data), 50)))),
    "base64 of words with ends swapped": lambda data: b64u(b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))),
    "gzip in hexadecimal": lambda data: gzip.compress(data, mtime=0).hex(),
    "bzip2 in base32": lambda data: base64.b32encode(bz2.compress(data)).decode().rstrip("=").lower(),
    "zlib in base36": lambda data: _number("0123456789abcdefghijklmnopqrstuvwxyz")(zlib.compress(data)),
    "raw deflate in base56": lambda data: _number(_BASE56)(zlib.compress(data, 9)[2:-4]),
    "base56": _number(_BASE56),
    "NewBase60": _number(_NEW60),
    "base30": _number(_BASE30),
    "base40 by pairs": _base40,
    "hexadecimal of seven-bit groups": lambda data: f"{int(''.join(f'{byte:08b}' for byte in data)[::-1], 2):x}",
    "hexadecimal in fours, reversed order": lambda data: "-".join(reversed([data.hex()[at : at + 4] for at in range(0, 2 * len(data), 4)])),
    "letters in fours": lambda data: "-".join(data.hex().translate(str.maketrans("0123456789abcdef", "ABCDEFGHIJKLMNOP"))[at : at + 4] for at in range(0, 2 * len(data), 4)),
    "Arabic letters": _letters(0x0627),
    "Thai letters": _letters(0x0E01),
    "Devanagari letters": _letters(0x0915),
    "Katakana letters": _letters(0x30A2),
    "Arabic-Indic numbers": lambda data: "".join(chr(0x660 + int(digit)) for byte in data for digit in f"{byte:03d}"),
    "base100 emoji": lambda data: "".join(chr(0x1F3F7 + byte) for byte in data),
    "Korean syllables for bytes": lambda data: "".join(chr(0xAC00 + 28 * byte) for byte in data),
    "times of day": lambda data: ",".join(f"{v // 3600:02d}:{v // 60 % 60:02d}:{v % 60:02d}" for v in _pairs(data)),
    "coordinates": lambda data: ";".join(f"{v / 1000:.3f}" for v in _pairs(data)),
    "object identifier": _varints,
    "colours": lambda data: "".join(f"#{data[at : at + 3].hex()}" for at in range(0, len(data), 3)),
    "DNA": lambda data: "".join("GATC"[byte >> shift & 3] for byte in data for shift in (6, 4, 2, 0)),
    "Fibonacci bits": lambda data: "".join(map(_fibonacci, data)),
    "one letter of case per bit": lambda data: "".join("lL"[int(bit)] for byte in data for bit in f"{byte:08b}"),
}  # fmt: skip
