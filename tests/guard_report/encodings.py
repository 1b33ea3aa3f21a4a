"""Encodings of bytes as text that a smuggler would choose: over sixty of them."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import gzip
import html
import lzma
import math
import quopri
import string
import zlib
from collections.abc import Callable

Encoding = Callable[[bytes], str]

_STANDARD = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_Z85 = string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#"
_BASE91 = string.ascii_uppercase + string.ascii_lowercase + string.digits + '!#$%&()*+,./:;<=>?@[]^_`{|}~"'
_BASE45 = string.digits + string.ascii_uppercase + " $%*+-./:"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _b32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=")


def _mapped(text: str, before: str, after: str) -> str:
    return text.translate(str.maketrans(before, after))


def _number(alphabet: str) -> Encoding:
    def encode(data: bytes) -> str:
        value, digits = int.from_bytes(data), []
        while value:
            value, digit = divmod(value, len(alphabet))
            digits.append(alphabet[digit])
        return "".join(reversed(digits))

    return encode


def _base91(data: bytes) -> str:
    queue = bits = 0
    output = []
    for byte in data:
        queue |= byte << bits
        bits += 8
        if bits > 13:
            pair = queue & 8191
            width = 13 if pair > 88 else 14
            pair = queue & ((1 << width) - 1)
            queue >>= width
            bits -= width
            output += [_BASE91[pair % 91], _BASE91[pair // 91]]
    return "".join(output)


def _base45(data: bytes) -> str:
    output = []
    for at in range(0, len(data) - 1, 2):
        value = int.from_bytes(data[at : at + 2], "big")
        output += [_BASE45[value % 45], _BASE45[value // 45 % 45], _BASE45[value // 2025]]
    return "".join(output)


def _cut(text: str, size: int, separator: str) -> str:
    return separator.join(text[at : at + size] for at in range(0, len(text), size))


def _groups_reversed(text: str, size: int) -> str:
    return "".join(text[at : at + size][::-1] for at in range(0, len(text), size))


def _wide(data: bytes) -> bytes:
    return b64(data).encode("utf-16-le")


ENCODINGS: dict[str, Encoding] = {
    "base64": b64,
    "base64url": b64u,
    "base64 in lines": lambda data: _cut(b64(data), 76, "\r\n"),
    "base64 behind junk": lambda data: b64(b"junk-7b" + data),
    "base64 behind letters": lambda data: "x" + b64u(data),
    "base64 reversed": lambda data: b64u(data)[::-1],
    "base64 rot13": lambda data: codecs.encode(b64u(data), "rot13"),
    "base64 swapped case": lambda data: b64u(data).swapcase(),
    "base64 cut by dashes": lambda data: _cut(b64u(data), 9, "-"),
    "base64 cut by dots": lambda data: _cut(b64u(data), 8, "."),
    "base64 cut by slashes": lambda data: _cut(b64u(data), 12, "/"),
    "base64 groups of four reversed": lambda data: _groups_reversed(b64u(data), 4),
    "base64 twice": lambda data: b64u(b64(data).encode()),
    "base64 of hexadecimal": lambda data: b64u(data.hex().encode()),
    "base64 of UTF-16": lambda data: b64u(_wide(data)),
    "base64 of base85": lambda data: b64u(base64.b85encode(data)),
    "data URI": lambda data: f"data:image/png;base64,{b64(data)}",
    "base64 percent-encoded": lambda data: "".join(f"%{byte:02X}" for byte in b64(data).encode()),
    "gzip base64": lambda data: b64u(gzip.compress(data, mtime=0)),
    "zlib base64": lambda data: b64u(zlib.compress(data, 9)),
    "raw deflate base64": lambda data: b64u(zlib.compress(data, 9)[2:-4]),
    "bzip2 base64": lambda data: b64u(bz2.compress(data)),
    "xz base64": lambda data: b64u(lzma.compress(data)),
    "hexadecimal": lambda data: data.hex(),
    "hexadecimal upper case": lambda data: data.hex().upper(),
    "hexadecimal with colons": lambda data: data.hex(":"),
    "hexadecimal with spaces": lambda data: data.hex(" "),
    "hexadecimal with 0x": lambda data: ",".join(f"0x{byte:02x}" for byte in data),
    "hexadecimal with \\x": lambda data: "".join(f"\\x{byte:02x}" for byte in data),
    "hexadecimal reversed": lambda data: data.hex()[::-1],
    "hexadecimal nibbles swapped": lambda data: _groups_reversed(data.hex(), 2),
    "hexadecimal inverted": lambda data: bytes(byte ^ 0xFF for byte in data).hex(),
    "hexadecimal as UUIDs": lambda data: ",".join(
        f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in _cut(data.hex(), 32, " ").split()
    ),
    "base32": _b32,
    "base32 lower case": lambda data: _b32(data).lower(),
    "base32 extended hex": lambda data: base64.b32hexencode(data).decode().rstrip("="),
    "base32 Crockford": lambda data: _mapped(
        _b32(data), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    ),
    "z-base-32": lambda data: _mapped(
        _b32(data).lower(), "abcdefghijklmnopqrstuvwxyz234567", "ybndrfg8ejkmcpqxot1uwisza345h769"
    ),
    "zlib base32": lambda data: _b32(zlib.compress(data)),
    "base36 number": _number(string.digits + string.ascii_lowercase),
    "base58": _number(_BASE58),
    "base58 Ripple": _number(_RIPPLE),
    "base62": _number(string.digits + string.ascii_uppercase + string.ascii_lowercase),
    "base62 lower first": _number(string.digits + string.ascii_lowercase + string.ascii_uppercase),
    "base45": _base45,
    "ascii85": lambda data: base64.a85encode(data).decode(),
    "base85": lambda data: base64.b85encode(data).decode(),
    "Z85": lambda data: _mapped(base64.b85encode(data).decode(), base64._b85alphabet.decode(), _Z85),  # type: ignore[attr-defined]
    "base91": _base91,
    "uuencode": lambda data: "".join(
        binascii.b2a_uu(data[at : at + 45], backtick=True).decode()[1:-1] for at in range(0, len(data), 45)
    ),
    "xxencode": lambda data: _mapped(
        b64(data).rstrip("="), _STANDARD, "+-" + string.digits + string.ascii_uppercase + string.ascii_lowercase
    ),
    "quoted-printable": lambda data: quopri.encodestring(data, quotetabs=True).decode(),
    "percent bytes": lambda data: "".join(f"%{byte:02X}" for byte in data),
    "percent bytes twice": lambda data: "".join(f"%25{byte:02X}" for byte in data),
    "decimal list": lambda data: ",".join(map(str, data)),
    "decimal triples": lambda data: "".join(f"{byte:03d}" for byte in data),
    "octal list": lambda data: "\\" + "\\".join(f"{byte:03o}" for byte in data),
    "bits": lambda data: "".join(f"{byte:08b}" for byte in data),
    "two-letter bits": lambda data: _mapped("".join(f"{byte:08b}" for byte in data), "01", "ab"),
    "nibbles as letters": lambda data: _mapped(data.hex(), "0123456789abcdef", "abcdefghijklmnop"),
    "decimal number": lambda data: str(int.from_bytes(data, "big")) if math.log10(256) * len(data) < 4_200 else "",
    "HTML entities": lambda data: "".join(f"&#{byte};" for byte in data),
    "named HTML entities": lambda data: html.escape(data.decode("latin-1")),
    "latin-1 text": lambda data: data.decode("latin-1"),
    "Braille": lambda data: "".join(chr(0x2800 + byte) for byte in data),
    "ideographs": lambda data: "".join(chr(0x4E00 + byte) for byte in data),
    "emoji": lambda data: "".join(chr(0x1F400 + byte) for byte in data),
    "full-width base64": lambda data: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in b64u(data)),
}
