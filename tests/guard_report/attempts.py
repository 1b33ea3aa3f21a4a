"""Sends bodies through the guard as the HTTP door does, with stages left out on demand, and counts what gets in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pydantic import ValidationError

from shared.contracts.referral import ReferralSubmission
from shared.guard import ALL_STAGES, inspect, parse_body
from shared.kernel.errors import Refused
from tests.guard_report.positions import POSITIONS, Position

#: Every stage that a report can leave out: the parser's limits, the closed schema, and the stages of `inspect`.
STAGES: frozenset[str] = frozenset({"envelope", "schema", *ALL_STAGES})
#: Fields in the query of an address: the only ones where a single value may hold 300 bytes.
QUERY_POSITIONS = frozenset({"URL query value", "URL query token", "URL query values", "URL query alone"})
SINGLE_FIELD_POSITIONS = frozenset(
    {
        "URL path",
        "URL path before a suffix",
        "URL path segments",
        "URL fragment",
        "URL host labels",
        "onion path",
        "account",
        "account address",
        "message",
        "magnet name",
        "external reference",
    }
)


def refusal(
    body: bytes,
    stages: frozenset[str] = STAGES,
    content_type: str | None = "application/json",
    encoding: str | None = None,
) -> str | None:
    """The code with which `body` is refused, or None when it is accepted."""
    try:
        tree = parse_body(content_type, encoding, body) if "envelope" in stages else json.loads(body)
        record = ReferralSubmission.model_validate(tree, extra=None if "schema" in stages else "ignore")
        inspect(record, stages=frozenset(stage for stage in ALL_STAGES if stage in stages))
    except Refused as refused:
        return refused.code
    except ValidationError:
        return "schema"
    except (ValueError, RecursionError):
        return "not_json"
    return None


@dataclass
class Tally:
    """What became of a set of attempts. `fitting` are those whose position has room for the whole payload."""

    attempts: int = 0
    fitting: int = 0
    accepted_whole: int = 0
    accepted_in_part: int = 0
    large: int = 0
    single_field_bytes_max: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)

    @property
    def share_whole(self) -> float:
        """Of the attempts whose payload fits, the share in per cent that brought all of it in."""
        return 100 * self.accepted_whole / max(1, self.fitting)

    @property
    def share_any(self) -> float:
        """Of all attempts, the share in per cent that brought in the payload or as much of it as the smallest file."""
        return 100 * (self.accepted_whole + self.accepted_in_part) / max(1, self.attempts)

    def count(self, name: str, position: str, carried: float, *, whole: bool, code: str | None) -> None:
        """Add one attempt that would carry `carried` bytes of its payload."""
        self.attempts += 1
        self.fitting += whole
        if code is not None:
            self.codes[code] += 1
            return
        self.accepted_whole += whole
        self.accepted_in_part += not whole and carried >= SMALLEST_FILE_BYTES
        self.large += carried >= 300
        if position in SINGLE_FIELD_POSITIONS:
            self.single_field_bytes_max = max(self.single_field_bytes_max, round(carried))
        if whole:
            self.misses[name] += 1


SMALLEST_FILE_BYTES = 35


def smuggle(
    payloads: Mapping[str, bytes],
    encodings: Mapping[str, Callable[[bytes], str]],
    *,
    share: float,
    seed: int,
    stages: frozenset[str] = STAGES,
    positions: Mapping[str, Position] = POSITIONS,
) -> Tally:
    """Every payload in every encoding at every position, or the seeded `share` of these attempts."""
    r = Random(seed)
    tally = Tally()
    for payload in payloads.values():
        for name, encode in encodings.items():
            if not (chosen := [position for position in positions if r.random() < share]):
                continue
            text = encode(payload)
            for position in chosen:
                placed = positions[position](text)
                carried = len(payload) * placed.characters / max(1, len(text))
                code = refusal(as_bytes(placed.body), stages)
                tally.count(name, position, carried, whole=placed.characters >= len(text), code=code)
    return tally


def as_bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("utf-8", "surrogatepass")


def fuzzed(bodies: Iterator[dict[str, Any]], count: int, seed: int) -> Iterator[bytes]:
    """Bodies with bytes flipped, pieces doubled, and strings replaced by what costs the guard most."""
    r = Random(seed)
    stock = [as_bytes(body) for body in bodies]
    for _ in range(count):
        body = bytearray(r.choice(stock))
        for _ in range(r.randint(1, 4)):
            at = r.randrange(len(body))
            match r.randrange(5):
                case 0:
                    body[at] = r.randrange(256)
                case 1:
                    del body[at : at + r.randint(1, 40)]
                case 2:
                    body[at:at] = body[at : at + r.randint(1, 600)]
                case 3:
                    body[at:at] = r.choice(_COSTLY) * r.randint(1, 60)
                case _:
                    body[at:at] = bytes(r.choices(_TOKEN, k=r.randint(1, 400)))
        yield bytes(body)


_TOKEN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_COSTLY = (b"[", b"{", b"%25", b"%E3%81%82", b"a-", b"1,", b"&a=b", b"/x", b"&lt;", b"\\u0041", b"0", b"AAAA", b"zz9.")
