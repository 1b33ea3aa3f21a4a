"""How a sealed part is spelt: one JSON text for one value, so that what is kept of it are the bytes that came."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from shared.guard.envelope_limits import BODY_BYTES_MAX, SEALED_NODES_MAX
from shared.kernel.errors import Refused

_BEFORE_EDGE: Final = b',"edge":'


class Spelt(NamedTuple):
    """An edge and the record that came with it: each as the JSON that its origin wrote, byte for byte."""

    edge: bytes
    record: bytes


def check_spelt(plaintext: bytes, tree: dict[str, Any]) -> None:
    """Raises `Refused` unless `plaintext` is `tree`, which was read from it, without spaces or needless escapes.

    Otherwise bytes that nobody looks at would be kept with it: the guard sees values, not how they are spelt.
    """
    if to_json(tree) != plaintext:
        raise Refused("guard_refused", "not spelt plainly", field="/sealed")


def is_plain(plaintext: bytes, tree: dict[str, Any]) -> bool:
    """Return whether a sealed part that its contract has accepted certainly passes `parse_body` and `check_spelt`.

    `tree` was read from it. Contracts are closed and bound the depth and each text, number and list. So only the size
    and the number of values are left: there are no more values than commas and opening brackets. A name that occurs
    twice is in the tree once.
    """
    values = 1 + plaintext.count(b",") + plaintext.count(b"{") + plaintext.count(b"[")
    return len(plaintext) <= BODY_BYTES_MAX and values <= SEALED_NODES_MAX and to_json(tree) == plaintext


def spelt_parts(plaintext: bytes, salt: str) -> Spelt:
    """Edge and record of a sealed part that is spelt plainly and is what its contract says, with this salt.

    Raises `Refused("edge_not_reproducible")` where its members stand in another order than `sealed_of` writes them in.
    What is looked for stands in no string of it: quotes are escaped there.
    """
    between = b',"salt":"%s","record":' % salt.encode()
    begins = plaintext.find(_BEFORE_EDGE)
    ends = plaintext.find(between, begins)
    if not plaintext.startswith(b'{"decision":') or begins < 0 or ends < 0:
        raise Refused("edge_not_reproducible", "its members are in another order", field="/sealed")
    return Spelt(plaintext[begins + len(_BEFORE_EDGE) : ends], plaintext[ends + len(between) : -1])
