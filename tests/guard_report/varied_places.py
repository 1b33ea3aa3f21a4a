"""More encodings, and more places for them, that were looked at after they were written: the guard learned from both.

The places cut a text over several fields or put it where a program rather than a person writes.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

from tests.guard_report.encodings import b64, b64u
from tests.guard_report.positions import BASE, Placed, Position

Encoding = Callable[[bytes], str]
Body = dict[str, Any]

_HIRAGANA = "あいうえおかきくけこさしすせそた"
_FRUIT = "apple banana cherry damson elder fig grape hazel iris juniper kiwi lemon mango nutmeg olive peach".split()  # noqa: SIM905
_KEYS = "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9olp"
_NOTES = "c d e f g a b h cis dis eis fis gis ais bis his".split()  # noqa: SIM905
_ONION = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwd"
_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
_SHUFFLED = "".join(Random(4711).sample("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 64))
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _every(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _mapped(text: str, before: str, after: str) -> str:
    return text.translate(str.maketrans(before, after))


def _words(data: bytes, width: int) -> list[int]:
    return [int.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width)]


def _number(value: int, alphabet: str) -> str:
    digits = []
    while value:
        value, digit = divmod(value, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _running(data: bytes, step: int) -> bytes:
    return bytes((byte + step * at) & 255 for at, byte in enumerate(data))


def _tagged(data: bytes) -> bytes:
    """Tag, length and value, sixteen bytes each (as in ASN.1 BER)."""
    return b"".join(b"\x04" + bytes((len(data[at : at + 16]),)) + data[at : at + 16] for at in range(0, len(data), 16))


def _planes(data: bytes) -> str:
    """All first bits, then all second bits, and so on, as base64."""
    bits = "".join("".join(str(byte >> place & 1) for byte in data) for place in range(8))
    return b64u(int(bits, 2).to_bytes(len(data), "big"))


MORE_VARIED: dict[str, Encoding] = {
    "fruit for nibbles": lambda data: ".".join(_FRUIT[int(digit, 16)] for digit in data.hex()),
    "notes for nibbles": lambda data: "-".join(_NOTES[int(digit, 16)] for digit in data.hex()),
    "hiragana for nibbles": lambda data: "".join(_HIRAGANA[int(digit, 16)] for digit in data.hex()),
    "Greek for nibbles": lambda data: _mapped(data.hex(), "0123456789abcdef", "αβγδεζηθικλμνξοπ"),
    "arrows for pairs of bits": lambda data: "".join("←↑→↓"[byte >> at & 3] for byte in data for at in (6, 4, 2, 0)),
    "keyboard columns, number": lambda data: _number(int.from_bytes(data, "big"), _KEYS),
    "base64 with an own alphabet": lambda data: _mapped(b64u(data), _STANDARD, _SHUFFLED),
    "base64 in brackets": lambda data: "".join(f"({chunk})" for chunk in _every(b64u(data), 7)),
    "base64 after numbers": lambda data: ".".join(f"{at}{chunk}" for at, chunk in enumerate(_every(b64u(data), 9))),
    "base64 in quotes with plus": lambda data: "'+'".join(_every(b64(data), 15)),
    "base64 of a number in base35": lambda data: b64u(_number(int.from_bytes(data, "big"), _KEYS).encode()),
    "base64 of gzip backwards": lambda data: b64u(gzip.compress(data, mtime=0)[::-1]),
    "base64 of bytes with a running key": lambda data: b64u(_running(data, 1)),
    "base64 of bytes with a running key of seven": lambda data: b64u(_running(data, 7)),
    "base64 of bytes times three": lambda data: b64u(bytes(byte * 3 & 255 for byte in data)),
    "base64 of bits in planes": _planes,
    "base64 of tag, length, value": lambda data: b64u(_tagged(data)),
    "base64 of a form": lambda data: b64u(b"file=" + quote(data).encode()),
    "base64 of quoted-printable": lambda data: b64u(binascii.b2a_qp(data)),
    "base64 of uuencode": lambda data: b64u(
        b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    ),
    "base64 of doubles": lambda data: b64u(b"".join(struct.pack(">d", float(byte)) for byte in data)),
    "base64 of padded words": lambda data: b64u(b"".join(b"\x00" + bytes((byte,)) for byte in data)),
    "base64 of zlib after a word": lambda data: b64u(b"attachment" + zlib.compress(data, 9)),
    "base32 of bzip2 in sixes": lambda data: "-".join(_every(_base32(bz2.compress(data)), 6)),
    "base32 in capitals and small": lambda data: "".join(
        digit.upper() if at % 3 else digit for at, digit in enumerate(_base32(data))
    ),
    "base32 with vowels between": lambda data: "".join(
        digit + "aeiou"[at % 5] for at, digit in enumerate(_base32(data))
    ),
    "base16 in three letters": lambda data: "".join(chr(97 + int(digit, 16)) + "xy" for digit in data.hex()),
    "hexadecimal of halves": lambda data: data[1::2].hex() + data[::2].hex(),
    "hexadecimal in file names": lambda data: "/".join(f"{chunk}.png" for chunk in _every(data.hex(), 12)),
    "hexadecimal in sizes": lambda data: ",".join(f"{w >> 8}x{w & 255}" for w in _words(data, 2)),
    "hexadecimal after checks": lambda data: ":".join(
        f"{binascii.crc32(data[at : at + 4]):08x}{data[at : at + 4].hex()}" for at in range(0, len(data), 4)
    ),
    "numbers of three bytes": lambda data: "-".join(map(str, _words(data, 3))),
    "numbers of five bytes in base36": lambda data: "-".join(
        _number(value, "0123456789abcdefghijklmnopqrstuvwxyz") for value in _words(data, 5)
    ),
    "prices": lambda data: "+".join(f"{value // 100}.{value % 100:02d}" for value in _words(data, 2)),
    "telephone numbers": lambda data: ",".join(f"+49{value:010d}" for value in _words(data, 4)),
    "years and pages": lambda data: ";".join(f"{1900 + byte}" for byte in data),
    "ISBN-like": lambda data: ",".join(f"978-{value >> 16:05d}-{value & 65_535:05d}" for value in _words(data, 4)),
    "versions": lambda data: "/".join("v" + ".".join(map(str, data[at : at + 3])) for at in range(0, len(data), 3)),
    "ASCII85 of backwards": lambda data: base64.a85encode(data[::-1]).decode(),
    "base85 in a query": lambda data: quote(base64.b85encode(data).decode(), safe=""),
    "control pictures": lambda data: "".join(chr(0x2400 + byte % 32) + chr(0x2460 + byte // 32) for byte in data),
}


def _items(locators: list[Body], characters: int) -> Placed:
    return Placed(BASE | {"items": [{"locator": locator} for locator in locators]}, characters)


def _urls(before: str, after: str, size: int) -> Position:
    """Over ten addresses, `size` characters in each."""

    def place(text: str) -> Placed:
        chunks = _every(text, size)[:10]
        values = [before + quote(chunk, safe="-._~") + after for chunk in chunks]
        return _items([{"kind": "url", "value": value} for value in values], sum(map(len, chunks)))

    return place


def _each(kind: str, before: str, after: str, size: int) -> Position:
    def place(text: str) -> Placed:
        chunks = _every(text, size)[:10]
        return _items([{"kind": kind, "value": before + chunk + after} for chunk in chunks], sum(map(len, chunks)))

    return place


def _everywhere(text: str) -> Placed:
    """Sixteen characters in the reference, and in each host, folder, name, parameter and fragment of ten addresses."""
    chunks = _every(text, 16)[:51]
    rest = iter(chunks[1:])
    urls = []
    for _ in range(10):
        part = [quote(next(rest, ""), safe="-._~") for _ in range(5)]
        urls.append(f"https://h{part[0]}.example/{part[1]}/{part[2]}?v={part[3]}#{part[4]}")
    placed = _items([{"kind": "url", "value": url} for url in urls], sum(map(len, chunks)))
    return Placed(placed.body | {"external_ref": "R" + chunks[0]}, placed.characters)


def _names_of_parameters(text: str) -> Placed:
    chunks = _every(text, 12)[:30]
    query = "&".join(f"{quote(chunk, safe='-._~')}=1" for chunk in chunks)
    return _items([{"kind": "url", "value": f"https://site.example/view?{query}"}], sum(map(len, chunks)))


def _accounts_and_references(text: str) -> Placed:
    chunks = _every(text, 24)[:12]
    accounts = [{"service": "provider-001.example", "account": chunk} for chunk in chunks[:4]]
    references = [{"system": "other", "ref": chunk} for chunk in chunks[4:]]
    return Placed(BASE | {"subject_accounts": accounts, "correlation": references}, sum(map(len, chunks)))


FURTHER_POSITIONS: dict[str, Position] = {
    "fragments of ten items": _urls("https://site.example/#", "", 60),
    "hosts of ten items": _urls("https://", ".site.example/", 50),
    "file names of ten items": _urls("https://site.example/2026/01/", ".html", 80),
    "one token in each of ten items": _urls("https://site.example/view?token=", "", 160),
    "address inside an address": _urls("https://out.example/go?url=https%3A%2F%2Fsite.example%2F", "", 120),
    "names of parameters": _names_of_parameters,
    "onion folders of ten items": _each("onion", f"{_ONION}.onion/", "/", 60),
    "magnet names of ten items": _each(
        "p2p", "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=", "", 120
    ),
    "folders under an IPFS address": _each("p2p", f"ipfs://{_CID}/", "", 120),
    "handles of ten items": _each("account", "@", ":matrix.example", 40),
    "message numbers of ten items": _each("message", "channels/", "/1", 60),
    "everywhere a little": _everywhere,
    "accounts and references": _accounts_and_references,
}
