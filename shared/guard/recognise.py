"""L3: decodes what could be encoded, alone and together, and looks for files in it.

A sender who hides a file cuts it over as many values as it needs. So values are looked at one by one, then joined:
the segments of a path, the values of a query, the same component of all addresses, all references, all digests.
"""

from __future__ import annotations

import base64
import html
import ipaddress
import itertools
import operator
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from shared.guard.decodings import DIGITS_MIN, from_characters, heads, whole
from shared.guard.leaves import INTEGER, Leaf, Path, pointer
from shared.guard.parts import Address, Part, Split
from shared.guard.signatures import (
    begins_with_content,
    begins_with_sound,
    find_content,
    inflated,
    inflated_inside,
    inflated_raw,
)
from shared.guard.structure import is_structured
from shared.kernel.errors import Refused

DEPTH_MAX = 3
#: Bytes, beside words, from which a text is worth decoding: the smallest file of any kind is larger.
CARRIED_BYTES_MIN = 26
#: Pieces from this size on show the head of a file by themselves.
LONG_BYTES_MIN = 40
#: The same for text of symbols, rare ideographs and raw bytes, which nobody writes by hand.
SYMBOL_BYTES_MIN = 12
#: Longer texts in few different characters are decoded even if they look like words: those stand for bits.
PLAIN_CHARACTERS_MAX, FEW_SYMBOLS = 96, 18
#: Digests and UUIDs, also as file names: shorter than any file, and the most frequent opaque values of all.
_DIGEST = re.compile(
    r"(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9A-F]{64}|[0-9A-F]{40}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:\.[a-z0-9]{2,5})?"
)
_CODE = re.compile(r"[A-Za-z0-9+/_-]{4,}")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{40,}")


def check_content(found: list[Leaf], texts: Split) -> None:
    """Raise `Refused` with a code `guard_recognise_…` when a value, or several joined, decode to a file."""
    for part in texts.parts:
        if len(part.text) >= 20 and find_content(part.text.encode("utf-8", "surrogateescape")):
            _refuse("content", _NO_FILE, part.path)
        if _is_worth_decoding(part):
            _check(part.text, part.path)
            for run in _LONG_RUN.findall(part.text):
                if len(run) < len(part.text) and any(map(_head_holds_content, heads(run.encode()))):
                    _refuse("content", _NO_FILE, part.path)
            _check_structure(part.text, part.path)
    for address in texts.addresses:
        if "%25" in address.raw:
            _check_decoded_once(address)
    seen: set[str] = set()
    for joined in itertools.chain(_joined_in_addresses(texts.parts), _joined_in_record(texts.parts)):
        if joined.text not in seen:
            seen.add(joined.text)
            _check(joined.text, joined.path, heads_only=joined.heads_only)
            if joined.is_one_code:
                _check_structure(joined.text, joined.path)
    for data, path in _joined_bytes(texts):
        if _holds_content(data, DEPTH_MAX):
            _refuse("content", _NO_FILE, path)


#: Which of the decodings of `whole` are looked into: the first, and the first after the alignments of base64.
_CLOSELY = frozenset({0, 4})
_NO_FILE = "no file, however encoded, in any field or over several"


def _check_structure(text: str, path: Path) -> None:
    if is_structured(text.encode("utf-8", "surrogateescape")):
        _refuse("structure", "long codes are random or readable", path)


def _check_decoded_once(address: Address) -> None:
    """`decoded` undoes percent encoding up to three times; an alphabet that has `%` in it wants it undone once."""
    values = [value for _, value in address.parameters]
    for components in (address.segments, values, [address.fragment]):
        texts = [unquote(component) for component in components if component]
        for text in dict.fromkeys((*texts, "".join(texts))):
            if "%" in text and len(text) > DIGITS_MIN:
                _check(text, address.path)


def _is_worth_decoding(part: Part) -> bool:
    if part.carried_bits >= 8 * CARRIED_BYTES_MIN or _is_long_in_few_symbols(part.text):
        return _DIGEST.fullmatch(part.text) is None
    return part.opaque_bits >= 8 * SYMBOL_BYTES_MIN and not part.text.isascii()


def _is_long_in_few_symbols(text: str) -> bool:
    return len(text) > PLAIN_CHARACTERS_MAX and len(set(text)) <= FEW_SYMBOLS


def _check(text: str, path: Path, *, heads_only: bool = False) -> None:
    if _text_holds_content(text, DEPTH_MAX, heads_only=heads_only):
        _refuse("content", _NO_FILE, path)


def _refuse(rule: str, detail: str, path: Path) -> None:
    raise Refused(f"guard_recognise_{rule}", detail, field=pointer(path))


def _text_holds_content(text: str, depth: int, *, heads_only: bool = False) -> bool:
    if "&" in text and ";" in text:
        text = html.unescape(text)
    if not text.isascii():
        if any(_holds_content(data, 1) for data in from_characters(text)):
            return True
        text = unicodedata.normalize("NFKC", text)
    data = text.encode("ascii", "ignore")
    if find_content(data):
        return True
    if len(data) < DIGITS_MIN:
        return False
    for number, decoded in enumerate(() if heads_only else whole(data)):
        if _holds_content(decoded, depth - 1, closely=number in _CLOSELY):
            return True
    return any(map(_head_holds_content, heads(data)))


def _holds_content(data: bytes, depth: int, *, closely: bool = True) -> bool:
    """Whether `data` is or contains a file, also inside compression or further encodings, `depth` levels down."""
    if find_content(data):
        return True
    if inflated(data) is not None:
        return True
    if depth < 1 or not closely or len(data) < 16:
        return False
    raw = inflated_raw(data)
    if begins_with_sound(data) or inflated_inside(data) or (raw is not None and find_content(raw)):
        return True
    if data.count(0) * 3 > len(data):
        return _holds_content(data[::2], depth - 1) or _holds_content(data[1::2], depth - 1)
    if _is_text(data):
        return _text_holds_content(data.decode("utf-8", "replace"), depth - 1)
    return begins_with_content(data[::-1]) or _differences(data[:6]) in _HEAD_DIFFERENCES


def _head_holds_content(head: bytes) -> bool:
    if begins_with_content(head):
        return True
    held = inflated(head)
    return held is not None and find_content(held)


def _is_text(data: bytes) -> bool:
    return data.isascii() and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:128])


def _differences(head: bytes) -> bytes:
    """What stays the same when every byte is combined with one key byte: the differences of neighbours."""
    return bytes(map(operator.xor, head, head[1:]))


_HEAD_DIFFERENCES = frozenset(
    map(
        _differences,
        (
            b"\x89PNG\r\n",
            b"GIF89a",
            b"GIF87a",
            b"\xff\xd8\xff\xe0\x00\x10",
            b"PK\x03\x04\x14\x00",
            b"%PDF-1",
            b"OggS\x00\x02",
            b"7z\xbc\xaf\x27\x1c",
            b"\x1f\x8b\x08\x00\x00\x00",
        ),
    )
)


class _Joined(NamedTuple):
    """Several texts as one. `heads_only` where the pieces are so long that each was looked at as a whole before;
    `is_one_code` where the pieces are of one size, as the pieces of one code are and random codes may be."""

    path: Path
    text: str
    heads_only: bool
    is_one_code: bool = False


def _joined_in_addresses(parts: Iterable[Part]) -> Iterator[_Joined]:
    """Per address: its segments, its values, and host, segments and fragment together."""
    for path, group in itertools.groupby(parts, key=lambda part: part.path):
        members = [part for part in group if part.role != "name" and part.carried_bits >= 16]
        if len(members) < 2:
            continue
        for chosen in (
            [part for part in members if part.role == "path"],
            [part for part in members if part.role == "value"],
            [part for part in members if part.role != "value"],
        ):
            if _together(chosen):
                yield _Joined(path, "".join([part.text for part in chosen]), _are_long(chosen))


def _joined_in_record(parts: Iterable[Part]) -> Iterator[_Joined]:
    """Per role and position, over all addresses and lists: the values that differ, without what they share."""
    by_role: dict[str, list[Part]] = {}
    for part in parts:
        if part.role != "name":
            by_role.setdefault(part.role, []).append(part)
    for members in by_role.values():
        if not _together(members):
            continue
        groups = [list(group) for _, group in itertools.groupby(members, key=lambda part: part.path)]
        if len(groups) < 2:
            continue
        columns: dict[object, dict[str, Part]] = {}
        for group in groups:
            for ordinal, part in enumerate(group):
                for position in (part.name or ordinal, _place(part.path), None):
                    columns.setdefault(position, {}).setdefault(part.text, part)
        for column in columns.values():
            chosen = list(column.values())
            if _together(chosen):
                yield _Joined(chosen[0].path, "".join(column), _are_long(chosen))
                pieces = _differing(list(column))
                yield _Joined(chosen[0].path, "".join(pieces), _are_long(chosen), _are_alike(pieces))


def _place(path: Path) -> tuple[str, ...]:
    """The pointer without its indices: the same for all members of a list, and different for a field beside it."""
    names: list[str] = []
    while path is not None:
        path, name = path
        if isinstance(name, str):
            names.append(name)
    return tuple(names)


def _are_alike(pieces: list[str]) -> bool:
    sizes = {len(piece) for piece in pieces[:-1]}
    return len(pieces) > 2 and len(sizes) == 1 and all(map(_CODE.fullmatch, pieces))


def _are_long(parts: list[Part]) -> bool:
    return max(part.carried_bits for part in parts) >= 8 * LONG_BYTES_MIN


def _together(parts: list[Part]) -> bool:
    """Whether several texts are worth decoding as one. A single digest among them carries no piece of a file."""
    if len(parts) < 2:
        return False
    carried = sum([part.carried_bits for part in parts])
    if carried < 8 * CARRIED_BYTES_MIN:
        return _is_long_in_few_symbols("".join([part.text for part in parts]))
    digests = [part.carried_bits for part in parts if part.carried_bits > 100 and _DIGEST.fullmatch(part.text)]
    return len(digests) != 1 or carried - digests[0] >= 8 * CARRIED_BYTES_MIN


def _differing(texts: list[str]) -> list[str]:
    """`texts` without their common beginning and end."""
    start = _shared_length(texts)
    end = _shared_length([text[start:][::-1] for text in texts])
    return [text[start : len(text) - end] for text in texts]


def _shared_length(texts: list[str]) -> int:
    """How many characters all of `texts` begin with. The extremes in order share what all share."""
    first, last = min(texts), max(texts)
    size = min(len(first), len(last))
    return next((at for at in range(size) if first[at] != last[at]), size)


def _joined_bytes(texts: Split) -> Iterator[tuple[bytes, Path]]:
    """The bytes of digests, of host addresses and of numbers, each in the order of the record."""
    if texts.digests:
        path = texts.digests[0].path
        by_kind: dict[str, list[bytes]] = {}
        for leaf in texts.digests:
            by_kind.setdefault(leaf.kind, []).append(_digest_bytes(leaf))
        joined = b"".join([_digest_bytes(leaf) for leaf in texts.digests])
        yield joined, path
        yield bytes([(byte >> 4 | byte << 4) & 0xFF for byte in joined[:32]]), path
        if len(by_kind) > 1:
            yield from ((b"".join(values), path) for values in by_kind.values() if len(values) > 1)
    addresses = [leaf for leaf in texts.numbers if leaf.kind == "ip"]
    if len(addresses) > 1:
        yield b"".join([_packed(leaf.value) for leaf in addresses]), addresses[0].path
    for width, low, high in ((2, 1, 1 << 16), (4, 1 << 16, 1 << 32)):
        integers = [leaf for leaf in texts.numbers if leaf.kind == INTEGER and low <= leaf.value < high]
        if len(integers) > 7:
            yield b"".join([leaf.value.to_bytes(width, "big") for leaf in integers]), integers[0].path


def _digest_bytes(leaf: Leaf) -> bytes:
    try:
        return base64.b64decode(leaf.value) if leaf.kind == "photodna" else bytes.fromhex(leaf.value)
    except ValueError:
        return b""


def _packed(address: str) -> bytes:
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return b""
