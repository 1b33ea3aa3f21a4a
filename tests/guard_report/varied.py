"""Eighty-two encodings that the recogniser does not know, and that the budgets and shapes were set with in view.

They stand for what recognition cannot reach: here the limits alone decide.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import itertools
import json
import lzma
import operator
import plistlib
import zlib
from collections.abc import Callable

from tests.guard_report.encodings import b64, b64u

Encoding = Callable[[bytes], str]

_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aiou"
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
_WORDS = [first + second + "n" for first, second in itertools.product(_SYLLABLES, _SYLLABLES)]
_NATO = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
]
_MORSE = [
    "-----",
    ".----",
    "..---",
    "...--",
    "....-",
    ".....",
    "-....",
    "--...",
    "---..",
    "----.",
    ".-",
    "-...",
    "-.-.",
    "-..",
    ".",
    "..-.",
]
_URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NEW60 = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ_abcdefghijkmnopqrstuvwxyz"
_BASE56 = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
_BASE40 = "0123456789abcdefghijklmnopqrstuvwxyz-._~"
_BASE30 = "0123456789bcdefghjkmnpqrstvwxz"
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _number(alphabet: str) -> Encoding:
    def encode(data: bytes) -> str:
        value, digits = int.from_bytes(data, "big"), []
        while value:
            value, digit = divmod(value, len(alphabet))
            digits.append(alphabet[digit])
        return "".join(reversed(digits))

    return encode


def _blocks(alphabet: str, size: int, width: int) -> Encoding:
    """Every block of `size` bytes as a number of `width` digits, as Monero writes addresses."""

    def encode(data: bytes) -> str:
        output = []
        for at in range(0, len(data), size):
            value = int.from_bytes(data[at : at + size].ljust(size, b"\x00"), "big")
            digits = []
            for _ in range(width):
                value, digit = divmod(value, len(alphabet))
                digits.append(alphabet[digit])
            output.append("".join(reversed(digits)))
        return "".join(output)

    return encode


def _proquint(data: bytes) -> str:
    output = []
    for at in range(0, len(data) - 1, 2):
        value = int.from_bytes(data[at : at + 2], "big")
        output.append(
            _CONSONANTS[value >> 12]
            + _VOWELS[value >> 10 & 3]
            + _CONSONANTS[value >> 6 & 15]
            + _VOWELS[value >> 4 & 3]
            + _CONSONANTS[value & 15]
        )
    return "-".join(output)


def _mapped(text: str, before: str, after: str) -> str:
    return text.translate(str.maketrans(before, after))


def _bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def _wide(data: bytes, bits: int, first: int) -> str:
    text = _bits(data)
    return "".join(chr(first + int(text[at : at + bits].ljust(bits, "0"), 2)) for at in range(0, len(text), bits))


def _columns(text: str, width: int) -> str:
    return "".join(text[start::width] for start in range(width))


def _every(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _with_check_digits(text: str) -> str:
    return "".join(chunk + _STANDARD[sum(map(ord, chunk)) % 64] for chunk in _every(text, 16))


def _intel_hex(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 16):
        chunk = data[at : at + 16]
        record = bytes([len(chunk), at >> 8 & 255, at & 255, 0]) + chunk
        lines.append(":" + (record + bytes([-sum(record) & 255])).hex().upper())
    return "".join(lines)


def _yenc(data: bytes) -> str:
    return bytes((byte + 42) & 255 for byte in data).decode("latin-1")


def _rle(data: bytes) -> bytes:
    return b"".join(bytes([len(list(group)) & 255, value]) for value, group in itertools.groupby(data))


def _delta(data: bytes) -> bytes:
    return bytes((now - before) & 255 for before, now in zip(b"\x00" + data, data, strict=False))


def _reversed_bits(data: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)


def _zlib_with_dictionary(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zdict=b"IHDRIDATIENDftypmoovmdat" * 4)
    return stream.compress(data) + stream.flush()


def _roman(value: int) -> str:
    output = ""
    for amount, numeral in (
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ):
        output += numeral * (value // amount)
        value %= amount
    return output or "n"


def _pairs(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2].ljust(2, b"\x00"), "big") for at in range(0, len(data), 2)]


def _base40(data: bytes) -> str:
    return "".join(
        _BASE40[v // 1600] + _BASE40[v // 40 % 40] + _BASE40[v % 40] if v < 64_000 else f"~~{v - 64_000:03d}"
        for v in _pairs(data)
    )


def _chained(data: bytes) -> bytes:
    return bytes(itertools.accumulate(data, operator.xor))


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


VARIED: dict[str, Encoding] = {
    "base26 number": _number("abcdefghijklmnopqrstuvwxyz"),
    "base52 number": _number("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    "base7 number": _number("0123456"),
    "base64 as one number, digits last": _number(_STANDARD),
    "base58 in blocks": _blocks("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 8, 11),
    "base62 in blocks": _blocks("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 8, 11),
    "base36 in blocks": _blocks("0123456789abcdefghijklmnopqrstuvwxyz", 4, 7),
    "base94 in blocks": _blocks("".join(map(chr, range(33, 127))), 9, 11),
    "consonants": lambda data: _mapped(data.hex(), "0123456789abcdef", "bcdfghjklmnpqrst"),
    "proquints": _proquint,
    "words for bytes": lambda data: "-".join(_WORDS[byte * 7] for byte in data),
    "words for eleven bits": lambda data: "-".join(_WORDS[int(chunk, 2)] for chunk in _every(_bits(data), 11)),
    "spelling alphabet": lambda data: "-".join(_NATO[int(digit, 16)] for digit in data.hex()),
    "Morse": lambda data: "/".join(_MORSE[int(digit, 16)] for digit in data.hex()),
    "Roman numerals": lambda data: "-".join(map(_roman, data)),
    "base64 with check digits": lambda data: _with_check_digits(b64u(data)),
    "base64 by columns": lambda data: _columns(b64u(data), 5),
    "base64 with shifted alphabet": lambda data: _mapped(b64u(data), _STANDARD, _STANDARD[7:] + _STANDARD[:7]),
    "base64 of reversed bits": lambda data: b64u(_reversed_bits(data)),
    "base64 of differences": lambda data: b64u(_delta(data)),
    "base64 of run lengths": lambda data: b64u(_rle(data)),
    "base64 of zlib with a dictionary": lambda data: b64u(_zlib_with_dictionary(data)),
    "base64 of raw LZMA": lambda data: b64u(
        lzma.compress(data, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    ),
    "base64 of base32": lambda data: b64u(base64.b32encode(data)),
    "base64 of JSON numbers": lambda data: b64u(json.dumps({"d": list(data)}).encode()),
    "base64 of octets in CBOR": lambda data: b64u(b"\xa1\x61d\x59" + len(data).to_bytes(2, "big") + data),
    "base64 with halves swapped": lambda data: b64u(data[len(data) // 2 :] + data[: len(data) // 2]),
    "base64 on Cyrillic letters": lambda data: "".join(chr(0x400 + _STANDARD.index(digit)) for digit in b64u(data)),
    "base64 on Greek and Latin": lambda data: _mapped(b64u(data), _STANDARD[:26], "αβγδεζηθικλμνξοπρστυφχψωάέ"),
    "hexadecimal Gray code": lambda data: bytes(byte ^ byte >> 1 for byte in data).hex(),
    "hexadecimal in thirds": lambda data: _columns(data.hex(), 3),
    "hexadecimal of gzip reversed": lambda data: gzip.compress(data, mtime=0).hex()[::-1],
    "MAC addresses": lambda data: ",".join("-".join(_every(chunk, 2)) for chunk in _every(data.hex(), 12)),
    "IPv6 groups": lambda data: ",".join(
        ":".join(f"{int(g, 16):x}" for g in _every(chunk, 4)) for chunk in _every(data.hex(), 32)
    ),
    "Intel HEX": _intel_hex,
    "MIME words": lambda data: "".join(f"=?utf-8?B?{b64(data[at : at + 45])}?=" for at in range(0, len(data), 45)),
    "UTF-7": lambda data: data.decode("latin-1").encode("utf-7").decode(),
    "Punycode": lambda data: data.decode("latin-1").encode("punycode").decode("latin-1"),
    "yEnc": _yenc,
    "base32 twice": lambda data: base64.b32encode(base64.b32encode(data)).decode().rstrip("=").lower(),
    "base2048 on Hangul": lambda data: _wide(data, 11, 0xAC00),
    "base32768 on ideographs": lambda data: _wide(data, 14, 0x4E00),
    "nibbles as emoji": lambda data: "".join(chr(0x1F600 + int(digit, 16)) for digit in data.hex()),
    "checksums between words": lambda data: ".".join(
        chunk + f"{binascii.crc_hqx(chunk.encode(), 0):04x}" for chunk in _every(data.hex(), 12)
    ),
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
    "base64 of netstrings": lambda data: b64u(
        b"".join(b"%d:%b," % (len(c), c) for c in (data[at : at + 50] for at in range(0, len(data), 50)))
    ),
    "base64 of words with ends swapped": lambda data: b64u(
        b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    ),
    "gzip in hexadecimal": lambda data: gzip.compress(data, mtime=0).hex(),
    "bzip2 in base32": lambda data: base64.b32encode(bz2.compress(data)).decode().rstrip("=").lower(),
    "zlib in base36": lambda data: _number("0123456789abcdefghijklmnopqrstuvwxyz")(zlib.compress(data)),
    "raw deflate in base56": lambda data: _number(_BASE56)(zlib.compress(data, 9)[2:-4]),
    "base56": _number(_BASE56),
    "NewBase60": _number(_NEW60),
    "base30": _number(_BASE30),
    "base40 by pairs": _base40,
    "hexadecimal of seven-bit groups": lambda data: f"{int(''.join(f'{byte:08b}' for byte in data)[::-1], 2):x}",
    "hexadecimal in fours, reversed order": lambda data: "-".join(
        reversed([data.hex()[at : at + 4] for at in range(0, 2 * len(data), 4)])
    ),
    "letters in fours": lambda data: "-".join(
        data.hex().translate(str.maketrans("0123456789abcdef", "ABCDEFGHIJKLMNOP"))[at : at + 4]
        for at in range(0, 2 * len(data), 4)
    ),
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
}
