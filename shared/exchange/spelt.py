"""How a sealed part is spelt: one JSON text for one value, so that what is kept of it are the bytes that came."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pydantic_core import to_json

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
