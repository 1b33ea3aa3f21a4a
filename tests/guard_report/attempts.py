"""Sends bodies through the guard like the HTTP intake, with stages left out on demand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from random import Random
from typing import Any
from unittest.mock import patch

from pydantic import ValidationError

from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import as_kept, inspect, parse_body

module = sys.modules[inspect.__module__]
#: Every stage that a report can leave out: the parser's limits, the closed schema, and the budget.
STAGES: frozenset[str] = frozenset({"envelope", "schema", "budget"})


def refusal(
    body: bytes,
    stages: frozenset[str] = STAGES,
    content_type: str | None = "application/json",
    encoding: str | None = None,
) -> str | None:
    """Return the code with which `body` is refused, or None when it is accepted."""
    try:
        tree = parse_body(content_type, encoding, body) if "envelope" in stages else json.loads(body)
        record = ReferralSubmission.model_validate(tree, extra=None if "schema" in stages else "ignore")
        with nullcontext() if "budget" in stages else patch.object(module, "check_budget"):
            inspect(as_kept(record))
    except Refused as refused:
        return refused.code
    except ValidationError:
        return "schema"
    except (ValueError, RecursionError):
        return "not_json"
    return None


def as_bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("utf-8", "surrogatepass")


def fuzzed(bodies: Iterator[dict[str, Any]], count: int, seed: int) -> Iterator[bytes]:
    """Yield bodies with flipped bytes, doubled pieces, and strings that cost the guard most."""
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
