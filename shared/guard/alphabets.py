"""The alphabets in which bytes are written as text, and the first digits of a file in each."""

from __future__ import annotations

import base64
import math
import string
from typing import NamedTuple

from shared.guard.signatures import FIRST_PAIRS

LOWER, UPPER, NUMERALS = string.ascii_lowercase, string.ascii_uppercase, string.digits
STANDARD = UPPER + LOWER + NUMERALS + "+/"
ALL = bytes(range(256))
ALPHANUMERIC = (UPPER + LOWER + NUMERALS).encode()
NOT_LETTERS = bytes(set(ALL) - set((UPPER + LOWER).encode()))
NOT_ALPHANUMERIC = bytes(set(ALL) - set(ALPHANUMERIC))
NOT_BASE64 = bytes(set(ALL) - set(STANDARD.encode()) - set(b"-_"))
URLSAFE = bytes.maketrans(b"-_", b"+/")
TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
SWAPCASE = bytes.maketrans((UPPER + LOWER).encode(), (LOWER + UPPER).encode())
ROT13 = bytes.maketrans((LOWER + UPPER).encode(), (LOWER[13:] + LOWER[:13] + UPPER[13:] + UPPER[:13]).encode())
ATBASH = bytes.maketrans((LOWER + UPPER).encode(), (LOWER[::-1] + UPPER[::-1]).encode())
INVERTED = ALL[::-1]
HEX_DIGITS = b"0123456789abcdefABCDEF"

#: Alphabets of 32 digits: RFC 4648, its extended-hex form, Crockford, z-base-32, geohash, bech32 (BIP 173), NIX.
BASE32_ALPHABETS = (
    LOWER + "234567",
    "0123456789abcdefghijklmnopqrstuv",
    "0123456789abcdefghjkmnpqrstvwxyz",
    "ybndrfg8ejkmcpqxot1uwisza345h769",
    "0123456789bcdefghjkmnpqrstuvwxyz",
    "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
    "0123456789abcdfghijklmnpqrsvwxyz",
)
BASE32 = tuple(
    (bytes.maketrans(alphabet.encode(), (NUMERALS + LOWER)[:32].encode()), frozenset(alphabet.encode()))
    for alphabet in BASE32_ALPHABETS
)
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class NumberAlphabet(NamedTuple):
    """Digits of a large number: their base and its bits, the table to their values, and which others there are.

    Without both cases of letters `others` counts digits folded to lower case.
    """

    base: int
    bits: float
    table: bytes
    others: bytes


#: Alphabets in which a file is written as one large number, by base.
NUMBER_ALPHABETS = tuple(
    NumberAlphabet(
        len(alphabet),
        math.log2(len(alphabet)),
        bytes.maketrans(alphabet.encode(), ALL[: len(alphabet)]),
        ALPHANUMERIC.translate(None, alphabet.encode()),
    )
    for alphabet in (
        BASE58,
        BASE58[:9] + BASE58[33:] + BASE58[9:33],
        "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz",
        NUMERALS + UPPER + LOWER,
        NUMERALS + LOWER + UPPER,
        UPPER + LOWER + NUMERALS,
        LOWER + UPPER + NUMERALS,
        LOWER + NUMERALS,
        NUMERALS + LOWER,
        *BASE32_ALPHABETS,
    )
)
#: Of these, those with letters of both cases.
BOTH_CASES = tuple(alphabet for alphabet in NUMBER_ALPHABETS if alphabet.base > 36)
HEAD_PAIRS = frozenset(int.from_bytes(pair, "big") for pair in FIRST_PAIRS)
#: Also the pairs after leading zeros that a number loses: icons, JPEG 2000 and XL, boxes of ISO base media.
NUMBER_PAIRS = (
    HEAD_PAIRS
    | {0x0100, 0x0200, 0x0C6A, 0x0C4A}
    | {length << 8 | letter for length in range(8, 256) for letter in b"fmsw"}
)
BASE85 = NUMERALS + LOWER + UPPER + ".-:+=^!/*?&<>()[]{}@%$#"
Z85 = bytes.maketrans(BASE85.encode(), (NUMERALS + UPPER + LOWER + "!#$%&()*+-;<=>?@^_`{|}~").encode())
BASE85_DIGITS = (NUMERALS + UPPER + LOWER + ".-:+=^!/*?&<>()[]{}@%$#;_`|~").encode()
ROT47 = bytes.maketrans(bytes(range(33, 127)), bytes((*range(80, 127), *range(33, 80))))
BASE45_PUNCTUATION = frozenset(b" $%*+:")
BASE45 = {character: value for value, character in enumerate((NUMERALS + UPPER + " $%*+-./:").encode())}
BASE91 = {
    character: value
    for value, character in enumerate((UPPER + LOWER + NUMERALS + '!#$%&()*+,./:;<=>?@[]^_`{|}~"').encode())
}


PUNCTUATION = frozenset(b"!#$%&()*;<>?@[]^`{|}~+")


#: The first three base64 digits, in either alphabet, of every pair of bytes with which a file can begin.
FIRST_STANDARD = frozenset(
    base64.b64encode(pair + bytes((third,)))[:3] for pair in FIRST_PAIRS for third in range(0, 256, 64)
)
FIRST_DIGITS = FIRST_STANDARD | {digits.translate(TO_URLSAFE) for digits in FIRST_STANDARD}
#: Simple disguises of base64, each its own inverse, with the first three digits of a file in that disguise.
DISGUISES = tuple(
    (table, frozenset(digits.translate(table) for digits in FIRST_DIGITS)) for table in (SWAPCASE, ROT13, ATBASH)
)


def _order(alphabet: bytes) -> tuple[bytes, bytes, frozenset[bytes]]:
    back = bytes.maketrans(STANDARD.encode(), alphabet)
    return (
        bytes.maketrans(alphabet, STANDARD.encode()),
        ALL.translate(None, alphabet),
        frozenset(digits.translate(back) for digits in FIRST_STANDARD),
    )


#: Alphabets of 64 digits in other orders, each with the table to the standard order, what is not in it, and the
#: first three digits of a file. First those with all letters and digits: xxencode, crypt, bcrypt, digits first.
ALPHANUMERIC_ORDERS = tuple(
    map(
        _order,
        (
            ("+-" + NUMERALS + UPPER + LOWER).encode(),
            ("./" + NUMERALS + UPPER + LOWER).encode(),
            ("./" + UPPER + LOWER + NUMERALS).encode(),
            (NUMERALS + LOWER + UPPER + "-_").encode(),
            (NUMERALS + UPPER + LOWER + "-_").encode(),
        ),
    )
)
FIRST_IN_ALPHANUMERIC_ORDERS = frozenset[bytes]().union(*(first for _, _, first in ALPHANUMERIC_ORDERS))
#: BinHex and uuencode.
PUNCTUATED_ORDERS = (
    _order(b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"),
    _order(bytes(range(32, 96))),
)
