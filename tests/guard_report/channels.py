"""Encodings of bytes as text that a smuggler would choose, and the bits that each carries beyond its charge."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Callable
from random import Random
from urllib.parse import quote

from shared.core.guard.canonical import canonical
from shared.core.guard.charge import BIT, charge
from tests.guard_report.encodings import ENCODINGS, Encoding, b64, b64u, number

_URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_FLICKR = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
_BASE20 = "23456789CFGHJMPQRVWX"
_BASE24 = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GIVEN = "ada ben cem dan eva fil gia hal ida jan kai lea mia ned ola pia".split()  # noqa: SIM905
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905


def _every(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def _groups(data: bytes, bits: int, alphabet: str) -> str:
    return "".join(alphabet[int(chunk.ljust(bits, "0"), 2)] for chunk in _every(_bits(data), bits))


def _least_first(data: bytes) -> str:
    """Return six bits at a time from the low end of each byte, as BinHex-like and PHP hash codes do."""
    bits = "".join(f"{byte:08b}"[::-1] for byte in data)
    return "".join(_URLSAFE[int(chunk.ljust(6, "0")[::-1], 2)] for chunk in _every(bits, 6))


def _mixed_bases(data: bytes) -> str:
    half = len(data) // 2
    return b64u(data[:half]) + "." + data[half:].hex()


def _bech32(data: bytes) -> str:
    return (
        "file1"
        + _groups(data, 5, _BECH32)
        + hashlib.sha256(data).hexdigest()[:6].translate(str.maketrans("abcdef1b", "qpzryxxx"))
    )


def _xor_of_neighbours(data: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(data, b"\x5a" + data, strict=False))


def _dates(data: bytes) -> str:
    values = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return ",".join(f"{1 + v % 28}-{_MONTHS[v // 28 % 12]}-{1700 + v // 336}" for v in values)


def _floats(data: bytes) -> str:
    whole = data.ljust(-(-len(data) // 2) * 2, b"\x00")
    return ",".join(f"{value / 256:.3f}" for value in struct.unpack(f">{len(whole) // 2}h", whole))


def _tar_like(data: bytes) -> bytes:
    return b"name=note;size=" + str(len(data)).encode() + b";" + data


HELD_OUT: dict[str, Encoding] = {
    "base58 Flickr, little end first": number(_FLICKR, little=True),
    "base62, little end first": number(_FLICKR + "0OIl", little=True),
    "base20 of map codes": number(_BASE20),
    "base24 of product keys": lambda data: "-".join(_every(number(_BASE24)(data), 5)),
    "bech32 with prefix and checksum": _bech32,
    "base64, low bits first": _least_first,
    "base64, thirteen rotated": lambda data: _groups(data, 6, _URLSAFE[13:] + _URLSAFE[:13]),
    "base64, sorted alphabet": lambda data: _groups(data, 6, "".join(sorted(_URLSAFE))),
    "base64 with tildes": lambda data: b64(data).translate(str.maketrans("+/=", "~!*")),
    "base64 with a comma every five": lambda data: ",".join(_every(b64u(data), 5)),
    "base64 in rows, last row first": lambda data: "".join(reversed(_every(b64u(data), 16))),
    "base64, outside in": lambda data: "".join(a + b for a, b in zip(b64u(data), reversed(b64u(data)), strict=True))[
        : len(b64u(data))
    ],
    "base64 of hexadecimal of zlib": lambda data: b64u(zlib.compress(data).hex().encode()),
    "base64 of neighbours combined": lambda data: b64u(_xor_of_neighbours(data)),
    "base64 of minus each byte": lambda data: b64u(bytes(-byte & 255 for byte in data)),
    "base64 of UTF-32": lambda data: b64u(data.decode("latin-1").encode("utf-32-be")),
    "base64 of latin-1 in UTF-8": lambda data: b64u(data.decode("latin-1").encode()),
    "base64 of a form field": lambda data: b64u(_tar_like(data)),
    "base64 and hexadecimal halves": _mixed_bases,
    "base64 thrice": lambda data: b64u(b64u(b64u(data).encode()).encode()),
    "base32 with hyphens": lambda data: "-".join(_every(base64.b32encode(data).decode().rstrip("=").lower(), 6)),
    "base32, consonants and digits": lambda data: _groups(data, 5, "bcdfghjklmnpqrstvwxyz0123456789a"),
    "base16, mixed case at will": lambda data: "".join(d.upper() if n % 3 else d for n, d in enumerate(data.hex())),
    "base16 with letters from k": lambda data: data.hex().translate(
        str.maketrans("0123456789abcdef", "klmnopqrstuvwxyz")
    ),
    "base16, high nibbles first": lambda data: data.hex()[::2] + "." + data.hex()[1::2],
    "base8 with letters": lambda data: _groups(data, 3, "abcdefgh"),
    "base4 with vowels": lambda data: _groups(data, 2, "aeio"),
    "octal in sevens": lambda data: ".".join(_every(f"{int.from_bytes(data, 'big'):o}", 7)),
    "first names for nibbles": lambda data: "-".join(_GIVEN[int(digit, 16)] for digit in data.hex()),
    "dates": _dates,
    "decimal fractions": _floats,
    "network addresses": lambda data: ";".join(
        ".".join(map(str, data[at : at + 4])) + ":443" for at in range(0, len(data), 4)
    ),
    "hexadecimal in path of CSS": lambda data: "_".join(f"x{chunk}px" for chunk in _every(data.hex(), 8)),
    "Hebrew letters for nibbles": lambda data: "".join(chr(0x5D0 + int(digit, 16)) for digit in data.hex()),
    "Hiragana for six bits": lambda data: _groups(data, 6, "".join(map(chr, range(0x3042, 0x3082)))),
    "Cyrillic for five bits": lambda data: _groups(data, 5, "".join(map(chr, range(0x430, 0x450)))),
    "common ideographs for bytes": lambda data: bytes(
        b for byte in data for b in (0xB0 + byte // 94, 0xA1 + byte % 94)
    ).decode("gb2312"),
}


_WORDS = "the of and to in is for on that by this with you it not or be are from at as your all have new more an was we".split()  # noqa: SIM905, E501
_NIBBLES = _WORDS[:16]


def _words(data: bytes) -> str:
    return "-".join(_NIBBLES[int(digit, 16)] for digit in data.hex())


#: Encodings that look like parts of addresses: words, dates, sizes, folders, parameter names.
_LIKE_ADDRESSES: dict[str, Callable[[bytes], str]] = {
    "words for nibbles": _words,
    "folders of words": lambda data: _words(data).replace("-", "/"),
    "words as titles": lambda data: _words(data).title(),
    "names of parameters": lambda data: "&".join(f"{word}=1" for word in _words(data).split("-")),
    "numbered images": lambda data: "/".join(f"img_{byte}.jpg" for byte in data),
    "years and months": lambda data: "/".join(f"{2000 + byte // 12}/{byte % 12 + 1:02d}" for byte in data),
    "pages": lambda data: "&".join(f"page={byte}" for byte in data),
    "labels of hosts": lambda data: ".".join(f"www{byte}" for byte in data),
    "sizes of pictures": lambda data: "-".join(f"{byte}x{byte ^ 255}" for byte in data),
    "case of one word": lambda data: "".join("aA"[byte >> at & 1] for byte in data for at in range(8)),
    "dots and hyphens": lambda data: "".join(
        "a-a."[2 * (byte >> at & 1) : 2 * (byte >> at & 1) + 2] for byte in data for at in range(8)
    ),
    "https and http": lambda data: "/".join(("http:", "https:")[byte >> at & 1] for byte in data for at in range(8)),
}
CHANNELS = {**ENCODINGS, **HELD_OUT, **_LIKE_ADDRESSES}


def surplus_bits(encode: Callable[[bytes], str], r: Random) -> float:
    """Return the bits that a text carries beyond its charge: it encodes random bytes, so every bit counts.

    An encoding carries nothing where it maps different bytes to equal texts; none of `CHANNELS` does that.
    """
    data = r.randbytes(r.choice([4, 16, 40, 120]))
    address = canonical(f"https://site.example/{quote(encode(data), safe=_URI, errors='surrogateescape')}", "url")
    try:
        return 8 * len(data) - charge(address, "url") / BIT
    except KeyError:  # a control character: refused
        return 0.0


_URI = "%/:?#[]@!$&'()*+,;=~"
