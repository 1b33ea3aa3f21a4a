"""The number of encrypted bytes that a record can carry: random bytes fill every field until it is refused.

Random bytes represent any encryption. No guard can recognise them; it can only promise the number printed here.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, NamedTuple

from shared.core.contracts.referral import ReferralSubmission
from shared.core.guard import as_kept
from tests.guard_report.attempts import STAGES, as_bytes, refusal
from tests.guard_report.encodings import b64u
from tests.guard_report.positions import BASE, POSITIONS

Body = dict[str, Any]
#: Returns the code with which a body is refused, or None if it is accepted.
Refusing = Callable[[bytes], str | None]


class Piece(NamedTuple):
    """Random bytes in a record: their text, and their number."""

    text: str
    size: int


class Packed(NamedTuple):
    """A record full of random bytes: the number in its stored form, and each inserted piece."""

    carried: int
    body: Body
    pieces: tuple[Piece, ...]

    def found_in(self, text: str) -> int:
        """Return the number of these bytes in a text."""
        return sum(piece.size for piece in self.pieces if piece.text in text)


#: Adds one more value with random bytes to a body. Returns the new body and the addition, or None when full.
Channel = Callable[[Body, Random], tuple[Body, tuple[Piece, ...]] | None]
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def largest_blob(position: str, r: Random) -> int:
    """Return the maximum of random bytes, in base64url, that one position of the attack corpus accepts."""
    most = 0
    for size in range(8, 1_200, 8):
        text = b64u(r.randbytes(size))
        placed = POSITIONS[position](text)
        if placed.characters < len(text):
            break
        if refusal(as_bytes(placed.body)) is None:
            most = size
    return most


def fullest_record(
    r: Random,
    stages: frozenset[str] = STAGES,
    *,
    channels: Sequence[Channel] | None = None,
    base: Body = BASE,
    refusing: Refusing | None = None,
) -> Packed:
    """Pack all channels, or these, greedily; return the fullest record that is accepted."""
    refusing = refusing or partial(refusal, stages=stages)
    body: Body = base | {"items": [{"locator": {"kind": "url", "value": f"https://s{n}.example/"}} for n in range(10)]}
    pieces: tuple[Piece, ...] = ()
    for channel in channels or CHANNELS:
        refusals = 0
        while refusals < 3:
            grown = channel(body, r)
            if grown is None:
                break
            if refusing(as_bytes(grown[0])) is None:
                body, pieces = grown[0], (*pieces, *grown[1])
            else:
                refusals += 1
    kept = as_kept(ReferralSubmission.model_validate(body)).model_dump_json() if "schema" in stages else str(body)
    packed = Packed(0, body, pieces)
    return packed._replace(carried=packed.found_in(kept))


def _with_item(body: Body, index: int, item: Body) -> Body:
    items = list(body["items"])
    items[index] = item
    return body | {"items": items}


def _hash(kind: str, size: int) -> Channel:
    def add(body: Body, r: Random) -> tuple[Body, tuple[Piece, ...]] | None:
        for index, item in enumerate(body["items"]):
            if kind not in item.get("hashes", {}):
                data = r.randbytes(size)
                text = base64.b64encode(data).decode() if kind == "photodna" else data.hex()
                return _with_item(body, index, item | {"hashes": item.get("hashes", {}) | {kind: text}}), (
                    Piece(text, size),
                )
        return None

    return add


def _in_url(piece: Callable[[Random], str], size: int, joiner: str, most: int) -> Channel:
    def add(body: Body, r: Random) -> tuple[Body, tuple[Piece, ...]] | None:
        for index in r.sample(range(10), 10):
            value = body["items"][index]["locator"]["value"]
            if value.count(joiner) < most + ("https://x/".count(joiner) if joiner == "/" else 0):
                text = piece(r)
                item = body["items"][index] | {"locator": {"kind": "url", "value": value + joiner + text}}
                return _with_item(body, index, item), (Piece(text, size),)
        return None

    return add


def _code(size: int) -> Callable[[Random], str]:
    return lambda r: b64u(r.randbytes(size))


def _reference(body: Body, r: Random) -> tuple[Body, tuple[Piece, ...]] | None:
    if len(body["correlations"]) >= 8:
        return None
    text = r.randbytes(20).hex()
    return body | {"correlations": [*body["correlations"], {"system": "other", "ref": text}]}, (Piece(text, 20),)


def _subject(body: Body, r: Random) -> tuple[Body, tuple[Piece, ...]] | None:
    if len(body["subject_accounts"]) >= 4:
        return None
    events = [
        {
            "ip": f"2001:{r.getrandbits(16):x}:" + ":".join(f"{r.randint(1, 65535):x}" for _ in range(6)),
            "port": r.randint(1, 65535),
            "at": f"20{r.randint(10, 25)}-0{r.randint(1, 9)}-1{r.randint(0, 9)}T10:11:12.{r.randint(0, 999):03d}Z",
        }
        for _ in range(4)
    ]
    account = {"service": "provider-001.example", "account": "".join(r.choices(_BASE58, k=44)), "events": events}
    pieces = (Piece(account["account"], 32), *(Piece(event["ip"], 14 + 2 + 4) for event in events))
    return body | {"subject_accounts": [*body["subject_accounts"], account]}, pieces


def _hosting(body: Body, r: Random) -> tuple[Body, tuple[Piece, ...]] | None:
    for index, item in enumerate(body["items"]):
        if len(item.get("hosting", [])) < 4:
            one = {"asn": r.randint(1, 4_294_967_295), "observed_on": f"2020-0{r.randint(1, 9)}-{r.randint(1, 28):02d}"}
            hosting = [*item.get("hosting", []), one]
            return _with_item(body, index, item | {"hosting": hosting}), (Piece(f'"asn":{one["asn"]}', 6),)
    return None


def _token(r: Random) -> str:
    return "".join(r.choices(string.ascii_letters + string.digits, k=172))


HASH_BYTES = {"photodna": 144, "sha256": 32, "pdq": 32, "tmk_pdqf": 32, "sha1": 20, "md5": 16}
HASHES: tuple[Channel, ...] = tuple(_hash(kind, size) for kind, size in HASH_BYTES.items())
#: All except hashes.
OTHERS: tuple[Channel, ...] = (
    _in_url(_code(32), 32, "/", 2),
    _in_url(lambda r: f"x-amz-security-token={b64u(r.randbytes(600))}", 600, "?", 1),
    _in_url(lambda r: f"token={_token(r)}", 127, "&", 2),
    _in_url(_code(40), 40, "#", 1),
    _reference,
    _subject,
    _hosting,
)
CHANNELS: tuple[Channel, ...] = (*HASHES, *OTHERS)
