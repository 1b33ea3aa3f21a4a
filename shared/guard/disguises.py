"""Recognises the head of a file when every byte of it was changed in the same simple way."""

from __future__ import annotations

from shared.guard.signatures import FIRST_PAIRS, SIGNATURES, begins_with_content

#: Bytes of a head that are compared: enough that chance does not bring them, and every signature here has them.
_COMPARED = 6
_HEADS = tuple(
    head[:_COMPARED]
    for head in (*SIGNATURES, b"\xff\xd8\xff\xe0\x00\x10", b"\xff\xd8\xff\xdb\x00\x43", b"\x1f\x8b\x08\x00\x00\x00")
    if len(head) >= _COMPARED
)


def begins_in_disguise(data: bytes) -> bool:
    """Whether `data` is a file backwards, or one whose bytes were combined with a key byte, shifted, or turned."""
    if begins_with_content(data[::-1]):
        return True
    head = data[:_COMPARED]
    if len(head) < _COMPARED:
        return False
    first, second = head[:2]
    if first ^ second in _FIRST_COMBINED and _combined(head) in _COMBINED:
        return True
    if second - first & 255 in _FIRST_SHIFTS and _shifted(head) in _SHIFTED:
        return True
    turned = _TURNED.get(head[:2])
    return turned is not None and any(begins_with_content(data.translate(table)) for table in turned)


def _combined(head: bytes) -> int:
    """What stays the same when every byte is combined with one key byte (XOR)."""
    number = int.from_bytes(head, "big")
    return (number ^ number >> 8) & 0xFF_FFFF_FFFF


def _shifted(head: bytes) -> tuple[int, ...]:
    """What stays the same when one key byte is added to every byte."""
    a, b, c, d, e, f = head
    return (b - a & 255, c - b & 255, d - c & 255, e - d & 255, f - e & 255)


def _turns() -> dict[bytes, list[bytes]]:
    """Per pair of first bytes of a turned file, the tables that turn it back: bits rotated by one to seven places,
    and bits in reverse order."""
    values = range(256)
    tables = [bytes((value << places | value >> 8 - places) & 255 for value in values) for places in range(1, 8)]
    tables.append(bytes(int(f"{value:08b}"[::-1], 2) for value in values))
    turned: dict[bytes, list[bytes]] = {}
    for table in tables:
        back = bytes(map(table.index, values))
        for pair in FIRST_PAIRS:
            turned.setdefault(pair.translate(back), []).append(table)
    return turned


_COMBINED = frozenset(map(_combined, _HEADS))
_SHIFTED = frozenset(map(_shifted, _HEADS))
#: The same of the first two bytes alone, which spares the rest nearly always.
_FIRST_COMBINED = frozenset(head[0] ^ head[1] for head in _HEADS)
_FIRST_SHIFTS = frozenset(first for first, *_ in _SHIFTED)
_TURNED = _turns()
