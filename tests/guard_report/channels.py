"""Encodings of bytes as text that a smuggler would choose, and the bits that each carries beyond its charge."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from urllib.parse import quote

from shared.core.errors import Refused
from shared.core.guard import charge
from shared.core.guard.canonical import canonical
from tests.guard_report.encodings import ENCODINGS

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
CHANNELS = {**ENCODINGS, **_LIKE_ADDRESSES}


def charge_of(text: str, kind: str) -> int:
    """Return the charge of a canonical text by the current model, in sixteenths of a bit."""
    return charge.coded(text, kind, charge.shipped()).charge


def surplus_bits(encode: Callable[[bytes], str], r: Random) -> float:
    """Return the bits that a text carries beyond its charge: it encodes random bytes, so every bit counts.

    An encoding carries nothing where it maps different bytes to equal texts; none of `CHANNELS` does that.
    """
    data = r.randbytes(r.choice([4, 16, 40, 120]))
    try:
        address = canonical(f"https://site.example/{quote(encode(data), safe=_URI, errors='surrogateescape')}", "url")
    except Refused:  # a control character
        return 0.0
    return 8 * len(data) - charge_of(address, "url") / charge.BIT


_URI = "%/:?#[]@!$&'()*+,;=~"
