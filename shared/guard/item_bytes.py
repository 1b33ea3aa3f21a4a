"""The exact bytes of each item of a list that was posted: what the signed acceptance of the item is over."""

from __future__ import annotations

import json
import re
from typing import Final

# Numbers stay text: what they mean was looked at before, and a long one would cost time here.
_SCANNER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE: Final = re.compile(r"[ \t\n\r]*")


def item_bytes(body: bytes) -> list[bytes]:
    """Each item's own bytes, as sent, without the white space around it. `body` is one that `parse_list` has read."""
    text = body.decode()
    at = _past_space(text, 0) + 1  # the brace
    _, at = _SCANNER.raw_decode(text, _past_space(text, at))  # the one name
    at = _past_space(text, at) + 1  # the colon
    at = _past_space(text, at)  # the bracket
    items: list[bytes] = []
    while text[at] != "]":
        start = _past_space(text, at + 1)
        _, end = _SCANNER.raw_decode(text, start)
        items.append(text[start:end].encode())
        at = _past_space(text, end)
    return items


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
