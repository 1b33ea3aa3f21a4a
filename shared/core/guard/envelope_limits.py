"""L0 of the guard: limits on the form of a body, before its content is parsed by a schema.

It rejects data that a schema never sees: other encodings of the body, repeated keys, numbers that two parsers read
differently, and bytes before or after the document.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from pydantic_core import from_json

from shared.core.canonical import Json
from shared.core.contracts.base import Contract
from shared.core.errors import Refused

BODY_BYTES_MAX = 32_768
DEPTH_MAX = 6
NODES_MAX = 600
#: Maximum values of a sealed part: the submitted record, and its edge, whose lists are limited.
SEALED_NODES_MAX = 4 * NODES_MAX
INTEGER_DIGITS_MAX = 19
_INTEGER_END = 10**INTEGER_DIGITS_MAX
KEY_CHARACTERS_MAX = 40
STRING_CHARACTERS_MAX = 2_048

_PLAIN_TYPE = "application/json"
_CONTENT_TYPE = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r]*+")
#: A name may be written with escapes of six characters each.
_OPENED = re.compile(r'[ \t\n\r]*+\{[ \t\n\r]*+("(?:[^"\\]|\\.){0,240}+")[ \t\n\r]*+:[ \t\n\r]*+\[')
_OPENED_BYTES_MAX = 1_024
_CLOSED = re.compile(r"\}[ \t\n\r]*")
#: The longest token that looks like an error if it is cut off: two escapes.
_TOKEN_MAX = 12
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def parse_body(
    content_type: str | None, content_encoding: str | None, body: bytes, *, nodes_max: int = NODES_MAX
) -> Json:
    """Parse the JSON object in `body`, with at most `nodes_max` values.

    The schema checks its fields later. Raises `Refused` with a code `body_…`. Its pointer stops before a name that is
    in none of our contracts, so that an error never repeats a key from outside.
    """
    _check_kind(content_type, content_encoding)
    if len(body) > BODY_BYTES_MAX:
        raise _too_large(BODY_BYTES_MAX)
    text = _text(body)
    return _plain(text, nodes_max) or _within_limits(_load(text), nodes_max)


class ListItem(NamedTuple):
    """One item of a list: its value or its error, and its bytes as sent, without surrounding white space."""

    read: Json | Refused
    raw: bytes


def parse_list(
    content_type: str | None, content_encoding: str | None, body: bytes, *, name: str, items_max: int
) -> Iterator[ListItem]:
    """Yield the objects of `{name: [ … ]}`, each within the limits of a body.

    An invalid one is yielded as its error. Items are parsed lazily, one at a time. No text longer than a body is parsed
    at once. Parsing stops at an item that is too long, or at one item too many.

    Raises `Refused` for errors of the whole body: its kind, text, outer form or length.
    """
    _check_kind(content_type, content_encoding)
    if len(body) > items_max * BODY_BYTES_MAX:
        raise _too_large(items_max * BODY_BYTES_MAX)
    text = _text(body)
    misshapen = functools.partial(_misshapen, text, name, items_max)
    if (at := _list_opened(text, name)) is None or text.startswith("]", (at := _past_space(text, at))):
        raise misshapen()
    for place in range(items_max):
        tree, raw = _cut_out(text, at, field=f"/{name}/{place}")
        yield ListItem(_item(tree), raw.encode())
        at = _past_space(text, at + len(raw))
        if not text.startswith(",", at):
            break
        at = _past_space(text, at + 1)
    else:
        raise misshapen()
    if not text.startswith("]", at):
        raise _not_json()
    if text.startswith(",", (at := _past_space(text, at + 1))):
        raise misshapen()
    if not _CLOSED.fullmatch(text, at):
        raise _not_json()


def opens_list(body: bytes, name: str) -> bool:
    """Return whether a body begins like one for `parse_list`."""
    return _list_opened(body[:_OPENED_BYTES_MAX].decode(errors="replace"), name) is not None


def _list_opened(text: str, name: str) -> int | None:
    """Return where the items of `{name: [ …` begin, or None if it begins differently."""
    if (opened := _OPENED.match(text)) is None:
        return None
    try:
        return opened.end() if json.loads(opened[1]) == name else None
    except ValueError:
        return None


def _misshapen(text: str, name: str, items_max: int) -> Refused:
    """Return the error for a body that is no list of one to `items_max` items.

    Only a short body is parsed for it.
    """
    short = len(text) <= BODY_BYTES_MAX
    if not (type(_load(text)) is dict if short else text.startswith("{", _past_space(text, 0))):
        return Refused("body_not_object", "send a JSON object")
    return Refused("batch_size", f"send 1 to {items_max} items in one list", field=f"/{name}")


def _cut_out(text: str, at: int, *, field: str) -> tuple[object, str]:
    """Parse the value at this position; return it with its text.

    Raises `Refused` also if it exceeds a body's limit.
    """
    window = text[at : at + BODY_BYTES_MAX + 1]
    try:
        tree, end = _DECODER.raw_decode(window)
    except json.JSONDecodeError as error:
        goes_on = at + len(window) < len(text)
        if goes_on and (error.msg.startswith("Unterminated") or error.pos > len(window) - _TOKEN_MAX):
            raise _too_large(BODY_BYTES_MAX, field) from None
        raise _not_json() from None
    except RecursionError:
        raise _too_deep() from None
    if len(window[:end].encode()) > BODY_BYTES_MAX:
        raise _too_large(BODY_BYTES_MAX, field)
    return tree, window[:end]


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _item(tree: object) -> Json | Refused:
    try:
        return _within_limits(tree)
    except Refused as error:
        return error.with_traceback(None)  # its frames would keep the parsed values of all items in memory


def _check_kind(content_type: str | None, content_encoding: str | None) -> None:
    if content_type is None or not (content_type == _PLAIN_TYPE or _CONTENT_TYPE.fullmatch(content_type.strip())):
        raise Refused("body_content_type", "send application/json", status=415)
    if content_encoding not in (None, "", "identity"):
        raise Refused("body_content_encoding", "send the body without content encoding", status=415)


def _too_large(bytes_max: int, field: str | None = None) -> Refused:
    return Refused("body_too_large", f"at most {bytes_max} bytes", field=field, status=413)


def _too_deep() -> Refused:
    return Refused("body_too_deep", f"at most {DEPTH_MAX} levels")


def _not_json() -> Refused:
    return Refused("body_not_json", "send one JSON document and nothing else", status=400)


def _text(body: bytes) -> str:
    if body.startswith(_BOMS):
        raise Refused("body_byte_order_mark", "send UTF-8 without a byte order mark", status=400)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("body_not_utf8", "send UTF-8", status=400) from None


class _Unacceptable:
    """A placeholder in the parsed tree for an invalid number, until its pointer is known."""

    def __init__(self, code: str) -> None:
        self.code = code


class _Repeating(dict[str, object]):
    """An object with a repeated name. It holds the last value."""


def _load(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise _not_json() from None
    except RecursionError:
        raise _too_deep() from None


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(members)
    return read if len(read) == len(members) else _Repeating(read)


def _integer(digits: str) -> int | _Unacceptable:
    if len(digits.lstrip("-")) > INTEGER_DIGITS_MAX:
        return _Unacceptable("body_number_too_long")
    return int(digits)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=lambda _: _Unacceptable("body_number_not_integer"),
    parse_constant=lambda _: _Unacceptable("body_number_not_integer"),
)


def _plain(text: str, nodes_max: int = NODES_MAX) -> Json | None:
    """Return the result of `_within_limits` quickly if names are known and nothing is escaped; else None.

    Without escapes, a string has two quotes. The count must match the strings in the tree, unless a name is repeated.
    """
    tree = _unescaped(text)
    strings = _plain_strings(tree, nodes_max)
    return tree if strings and 2 * strings == text.count('"') else None


def _unescaped(text: str) -> Any:
    """Return the JSON in `text`, None if it is invalid or has an escape."""
    if "\\" in text:
        return None
    try:
        return from_json(text, cache_strings="none")  # a cache would keep values of class S3
    except ValueError:
        return None


def _plain_strings(tree: object, nodes_max: int) -> int:
    """Return the number of strings in an object, with names; 0 if not clearly within the limits."""
    if type(tree) is not dict:
        return 0
    names = _field_names()
    nodes, strings = 1, 0
    level: list[Any] = [tree]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for container in level:
            nodes += len(container)
            if type(container) is dict:
                if not names.issuperset(container):
                    return 0
                strings += len(container)
                container = container.values()
            for child in container:
                kind = type(child)
                if kind is str:
                    strings += 1
                    if len(child) > STRING_CHARACTERS_MAX:
                        return 0
                elif kind is dict or kind is list:
                    below.append(child)
                elif kind is float or (kind is int and not -_INTEGER_END < child < _INTEGER_END):
                    return 0
        if not below:
            return strings if nodes <= nodes_max else 0
        level = below
    return 0


def _within_limits(tree: object, nodes_max: int = NODES_MAX) -> Json:
    if not isinstance(tree, dict):
        raise Refused("body_not_object", "send a JSON object")
    nodes, names = 1, _field_names()
    level: list[Any] = [tree]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for container in level:
            nodes += len(container)
            if nodes > nodes_max:
                raise Refused("body_too_many_values", f"at most {nodes_max} values")
            if isinstance(container, dict):
                if type(container) is _Repeating:
                    where = _pointer_to(tree, container)
                    raise Refused("body_key_repeated", "each name once in an object", field=where)
                if not names.issuperset(container) and not all(map(_is_name, container)):
                    raise Refused("body_key", f"names are ASCII and at most {KEY_CHARACTERS_MAX} characters")
                children: Any = container.values()
            else:
                children = container
            for child in children:
                kind = type(child)
                if kind is str:
                    if len(child) > STRING_CHARACTERS_MAX or not (child.isascii() or _is_scalar_text(child)):
                        _refuse_string(tree, child)
                elif kind is dict or kind is list or kind is _Repeating:
                    below.append(child)
                elif kind is _Unacceptable:
                    raise Refused(child.code, "integers only, at most 19 digits", field=_pointer_to(tree, child))
        if not below:
            return tree
        level = below
    raise Refused("body_too_deep", f"at most {DEPTH_MAX} levels", field=_pointer_to(tree, level[0]))


def _is_name(key: str) -> bool:
    return len(key) <= KEY_CHARACTERS_MAX and key.isascii()


def _is_scalar_text(text: str) -> bool:
    """Return False for text with lone surrogates, which cannot be encoded as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _refuse_string(tree: object, text: str) -> NoReturn:
    code = "body_string_too_long" if len(text) > STRING_CHARACTERS_MAX else "body_string_not_text"
    raise Refused(code, f"at most {STRING_CHARACTERS_MAX} characters of text", field=_pointer_to(tree, text))


def _pointer_to(tree: object, wanted: object) -> str:
    """Return the JSON pointer to the first place of the object `wanted`, cut before an unknown name."""
    names = _field_names()
    stack: list[tuple[object, str, bool]] = [(tree, "", True)]
    while stack:
        node, pointer, ours = stack.pop()
        if node is wanted:
            return pointer
        if isinstance(node, dict):
            for key, child in node.items():
                known = ours and key in names
                stack.append((child, f"{pointer}/{key}" if known else pointer, known))
        elif isinstance(node, list):
            stack.extend((child, f"{pointer}/{index}" if ours else pointer, ours) for index, child in enumerate(node))
    return ""


@functools.cache
def _field_names() -> frozenset[str]:
    """Return the names in our contracts. All of them are within the limits of a name."""
    names: set[str] = set()
    models: list[type[Contract]] = [Contract]
    while models:
        model = models.pop()
        names.update(model.model_fields)
        models.extend(model.__subclasses__())
    return frozenset(names)
