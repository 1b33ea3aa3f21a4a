"""L3: decodes what could be encoded, alone and together, and looks for files in it.

A sender who hides a file cuts it over as many values as it needs. So values are looked at one by one, then joined:
the segments of a path, the values of a query, the same component of all addresses, all references, all digests.
"""

from __future__ import annotations

import html
import itertools
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from shared.guard.decodings import DIGITS_MIN, from_characters, heads, whole
from shared.guard.disguises import begins_in_disguise
from shared.guard.leaves import Path, pointer
from shared.guard.parts import Address, Part, Split
from shared.guard.signatures import (
    begins_with_content,
    begins_with_sound,
    find_content,
    find_content_in_any,
    inflated,
    inflated_inside,
    inflated_raw,
    may_hold_content,
)
from shared.guard.structure import RUN_DIGITS_MIN, is_structured
from shared.guard.tokens import DIGIT_BITS
from shared.kernel.errors import Refused

DEPTH_MAX = 3
#: Bytes, beside words, from which a text is worth decoding: the smallest file of any kind is larger.
CARRIED_BYTES_MIN = 26
#: Shorter texts hold no file: not even in ideographs, at 14 bits each.
TEXT_CHARACTERS_MIN = 8
#: Shorter texts are no file as they stand.
CONTENT_CHARACTERS_MIN = 20
#: Pieces from this size on show the head of a file by themselves.
LONG_BYTES_MIN = 40
#: The same for text of symbols, rare ideographs and raw bytes, which nobody writes by hand.
SYMBOL_BYTES_MIN = 12
_CARRIED_BITS_MIN, _SYMBOL_BITS_MIN = 8 * CARRIED_BYTES_MIN, 8 * SYMBOL_BYTES_MIN
#: Longer texts in few different characters are decoded even if they look like words: those stand for bits.
PLAIN_CHARACTERS_MAX, FEW_SYMBOLS = 96, 18
#: From so many pieces of at least so many characters a shorter last one shows that something was cut.
PIECES_CUT_MIN, PIECE_CHARACTERS_MIN = 4, 12
#: Opaque values of different roles from which they are also looked at as one text.
PIECES_MIN = 8
#: Digests and UUIDs, also as file names: shorter than any file, and the most frequent opaque values of all.
_DIGEST = re.compile(
    r"(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9A-F]{64}|[0-9A-F]{40}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:\.[a-z0-9]{2,5})?"
)
_CODE = re.compile(r"[A-Za-z0-9+/_-]{4,}")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{40,}")


def check_content(texts: Split) -> None:
    """Raise `Refused` with a code `guard_recognise_…` when a value, or several joined, decode to a file."""
    long = [part.text for part in texts.parts if len(part.text) >= CONTENT_CHARACTERS_MIN]
    is_suspect = may_hold_content([text for text in long if text.isascii()])
    for _, text, path, _, opaque_bits, _, _, carried_bits in texts.parts:
        size = len(text)
        if size < TEXT_CHARACTERS_MIN:
            continue
        if (
            size >= CONTENT_CHARACTERS_MIN
            and (is_suspect or not text.isascii())
            and find_content(text.encode("utf-8", "surrogateescape"))
        ):
            _refuse("content", _NO_FILE, path)
        if carried_bits >= _CARRIED_BITS_MIN or (size > PLAIN_CHARACTERS_MAX and _is_long_in_few_symbols(text)):
            is_worth_decoding = _DIGEST.fullmatch(text) is None
        else:
            is_worth_decoding = opaque_bits >= _SYMBOL_BITS_MIN and not text.isascii()
        if is_worth_decoding:
            _check_alone(text, path)
    for address in texts.addresses:
        if "%25" in address.raw:
            _check_decoded_once(address)
    seen: set[str] = set()
    for joined in itertools.chain(
        _joined_in_addresses(texts.addresses), _joined_in_record(texts.parts), _joined_in_all(texts.parts)
    ):
        if joined.is_cut:
            _refuse("cut", "no code cut into pieces over several values", joined.path)
        if joined.text not in seen:
            seen.add(joined.text)
            _check(joined.text, joined.path, heads_only=joined.heads_only)
            if joined.is_one_code:
                _check_structure(joined.text, joined.path)
    for data, path in _joined_bytes(texts):
        if _holds_content(data, DEPTH_MAX) or _head_holds_content(data[:64].translate(_NIBBLES_SWAPPED)):
            _refuse("content", _NO_FILE, path)


#: Which of the decodings of `whole` are looked into: the first, and the first after the alignments of base64.
_CLOSELY = slice(0, 5, 4)
_NO_FILE = "no file, however encoded, in any field or over several"


def _check_structure(text: str, path: Path) -> None:
    if len(text) >= RUN_DIGITS_MIN and is_structured(text.encode("utf-8", "surrogateescape")):
        _refuse("structure", "long codes are random or readable", path)


def _check_decoded_once(address: Address) -> None:
    """`decoded` undoes percent encoding up to three times; an alphabet that has `%` in it wants it undone once."""
    values = [value for _, value in address.parameters]
    for components in (address.segments, values, [address.fragment]):
        texts = [unquote(component) for component in components if component]
        for text in dict.fromkeys((*texts, "".join(texts))):
            if "%" in text and len(text) > DIGITS_MIN:
                _check(text, address.path)


def _check_alone(text: str, path: Path) -> None:
    _check(text, path)
    for run in _LONG_RUN.findall(text):
        if len(run) < len(text) and any(map(_head_holds_content, heads(run.encode()))):
            _refuse("content", _NO_FILE, path)
    _check_structure(text, path)


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
    if may_hold_content((text,)) and find_content(data):
        return True
    if len(data) < DIGITS_MIN:
        return False
    if not heads_only:
        decodings = list(whole(data))
        if find_content_in_any(decodings) or any(inflated(decoded) is not None for decoded in decodings):
            return True
        if any(_holds_closely(decoded, depth - 1) for decoded in decodings[_CLOSELY]):
            return True
    return any(map(_head_holds_content, heads(data)))


def _holds_content(data: bytes, depth: int) -> bool:
    """Whether `data` is or contains a file, also inside compression or further encodings, `depth` levels down."""
    return find_content(data) or inflated(data) is not None or _holds_closely(data, depth)


def _holds_closely(data: bytes, depth: int) -> bool:
    """The same for `data` that is no file and no compressed stream as it stands."""
    if depth < 1 or len(data) < 16:
        return False
    raw = inflated_raw(data)
    if begins_with_sound(data) or inflated_inside(data) or (raw is not None and find_content(raw)):
        return True
    if data.count(0) * 3 > len(data):
        return _holds_content(data[::2], depth - 1) or _holds_content(data[1::2], depth - 1)
    if _is_text(data):
        return _text_holds_content(data.decode("utf-8", "replace"), depth - 1)
    return begins_in_disguise(data)


def _head_holds_content(head: bytes) -> bool:
    if begins_with_content(head):
        return True
    held = inflated(head)
    return held is not None and find_content(held)


def _is_text(data: bytes) -> bool:
    return data.isascii() and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:128])


class _Joined(NamedTuple):
    """Several texts as one. `heads_only` where the pieces are so long that each was looked at as a whole before;
    `is_one_code` where the pieces are of one size, as the pieces of one code are and random codes may be; `is_cut`
    where they are opaque, and only the last is shorter."""

    path: Path
    text: str
    heads_only: bool
    is_one_code: bool = False
    is_cut: bool = False


def _joined_in_addresses(addresses: Iterable[Address]) -> Iterator[_Joined]:
    """Per address: its segments, its values, and host, segments and fragment together."""
    for address in addresses:
        members = [part for part in address.parts if part.carried_bits >= 16 and part.role != "name"]
        if not _together(members):
            continue
        for chosen in (
            [part for part in members if part.role == "path"],
            [part for part in members if part.role == "value"],
            [part for part in members if part.role != "value"],
        ):
            if _together(chosen):
                pieces = [part.text for part in chosen]
                yield _Joined(address.path, "".join(pieces), _are_long(chosen), is_cut=_is_cut(chosen, pieces))


def _joined_in_record(parts: Iterable[Part]) -> Iterator[_Joined]:
    """Per role and position, over all addresses and lists: the values that differ, without what they share."""
    by_role: dict[str, list[Part]] = {}
    for part in parts:
        if part.role != "name":
            by_role.setdefault(part.role, []).append(part)
    for members in by_role.values():
        if members[0].path is members[-1].path or not _together(members):
            continue
        columns: dict[object, dict[str, None]] = {}
        by_text: dict[str, Part] = {}
        path: Path = None
        place: tuple[str, ...] = ()
        ordinal = 0
        for part in members:
            if part.path is path:
                ordinal += 1
            else:
                path, place, ordinal = part.path, _place(part.path), 0
            by_text.setdefault(part.text, part)
            for position in (part.name or ordinal, place, None):
                columns.setdefault(position, {})[part.text] = None
        for column in dict.fromkeys([tuple(column) for column in columns.values() if len(column) > 1]):
            chosen = [by_text[text] for text in column]
            if _together(chosen):
                yield _Joined(chosen[0].path, "".join(column), _are_long(chosen))
                pieces = _differing(column)
                is_cut = _is_cut(chosen, pieces)
                yield _Joined(chosen[0].path, "".join(pieces), _are_long(chosen), _are_alike(pieces), is_cut)


def _joined_in_all(parts: Iterable[Part]) -> Iterator[_Joined]:
    """The opaque values of all roles in the order of the record, where there are many: a file cut small."""
    chosen = list({part.text: part for part in parts if part.opaque_bits and part.role != "name"}.values())
    if len(chosen) >= PIECES_MIN and len({part.role for part in chosen}) > 1:
        yield _Joined(chosen[0].path, "".join([part.text for part in chosen]), _are_long(chosen))


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


#: Letters of one case, digits, and the two further digits of either base64 alphabet as one character each.
_CLASSES = str.maketrans(
    string.ascii_lowercase + string.ascii_uppercase + string.digits + "-_+/", "a" * 26 + "A" * 26 + "0" * 10 + "--++"
)


def _is_cut(parts: list[Part], pieces: list[str]) -> bool:
    """Whether opaque pieces are of one size and alphabet and only the last is shorter: identifiers that stand side
    by side have one size, or many, and another kind of identifier has another alphabet."""
    size, last = len(pieces[0]), pieces[-1]
    return (
        len(pieces) >= PIECES_CUT_MIN
        and size >= PIECE_CHARACTERS_MIN
        and 0 < 10 * len(last) < 9 * size
        and all(len(piece) == size for piece in pieces[:-1])
        and all(part.opaque_bits >= DIGIT_BITS * size for part in parts[:-1])
        and set(last.translate(_CLASSES)) <= set("".join(pieces[:-1]).translate(_CLASSES))
        and not last.isdigit()
        and parts[0].role != "host"
        and "." not in pieces[0]
        and _DIGEST.fullmatch(pieces[0]) is None
        and (parts[-1].opaque_bits > 0 or len(last) < 4)
    )


def _are_long(parts: list[Part]) -> bool:
    return max(part.carried_bits for part in parts) >= 8 * LONG_BYTES_MIN


def _together(parts: list[Part]) -> bool:
    """Whether several texts are worth decoding as one. A single digest among them carries no piece of a file."""
    if len(parts) < 2:
        return False
    carried = sum([part.carried_bits for part in parts])
    if carried < _CARRIED_BITS_MIN:
        return _is_long_in_few_symbols("".join([part.text for part in parts]))
    digests = [part.carried_bits for part in parts if part.carried_bits > 100 and _DIGEST.fullmatch(part.text)]
    return len(digests) != 1 or carried - digests[0] >= _CARRIED_BITS_MIN


def _differing(texts: Sequence[str]) -> list[str]:
    """`texts` without their common beginning and end."""
    start = _shared_length(texts)
    end = _shared_length([text[start:][::-1] for text in texts])
    return [text[start : len(text) - end] for text in texts]


def _shared_length(texts: Sequence[str]) -> int:
    """How many characters all of `texts` begin with. The extremes in order share what all share."""
    first, last = min(texts), max(texts)
    if first[:1] != last[:1]:
        return 0
    size = min(len(first), len(last))
    return next((at for at in range(size) if first[at] != last[at]), size)


_NIBBLES_SWAPPED = bytes((byte >> 4 | byte << 4) & 0xFF for byte in range(256))


def _joined_bytes(texts: Split) -> Iterator[tuple[bytes, Path]]:
    """The bytes of digests, of host addresses and of numbers, each in the order of the record."""
    if texts.digests:
        path = texts.digests[0].path
        by_kind: dict[str, list[bytes]] = {}
        for digest in texts.digests:
            by_kind.setdefault(digest.kind, []).append(digest.data)
        joined = b"".join([digest.data for digest in texts.digests])
        yield joined, path
        if len(by_kind) > 1:
            yield from ((b"".join(values), path) for values in by_kind.values() if len(values) > 1)
    if len(texts.hosts) > 1:
        yield b"".join([host.packed for host in texts.hosts if host.packed]), texts.hosts[0].path
    for width, low, high in ((2, 1, 1 << 16), (4, 1 << 16, 1 << 32)):
        integers = [(value, path) for _, value, path in texts.integers if low <= value < high]
        if len(integers) > 7:
            yield b"".join([value.to_bytes(width, "big") for value, _ in integers]), integers[0][1]
