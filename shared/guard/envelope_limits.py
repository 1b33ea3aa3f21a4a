"""L0: what a body must be before anything looks at its meaning.

Removes the places that a schema never sees: other encodings of the body, repeated keys, numbers that
two parsers read differently, bytes before or after the document.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, NoReturn

from pydantic_core import from_json, to_json

from shared.contracts.base import Contract
from shared.kernel.errors import Refused

BODY_BYTES_MAX = 32_768
DEPTH_MAX = 6
NODES_MAX = 600
#: Of a sealed part: the record that the door let in, and the edge that goes with it, whose lists are bounded.
SEALED_NODES_MAX = 4 * NODES_MAX
INTEGER_DIGITS_MAX = 19
_INTEGER_END = 10**INTEGER_DIGITS_MAX
KEY_CHARACTERS_MAX = 40
STRING_CHARACTERS_MAX = 2_048

_PLAIN_TYPE = "application/json"
_CONTENT_TYPE = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def parse_body(
    content_type: str | None, content_encoding: str | None, body: bytes, *, nodes_max: int = NODES_MAX
) -> dict[str, Any]:
    """The JSON object in `body`, of at most `nodes_max` values. Says nothing about its fields: that is for the schema.

    Raises `Refused` with a code `body_…`. The pointer stops where a name is not one of our contracts' names,
    so that a refusal never repeats a key that came from outside.
    """
    _check_kind(content_type, content_encoding)
    if len(body) > BODY_BYTES_MAX:
        raise _too_large(BODY_BYTES_MAX)
    text = _text(body)
    return _plain(text, nodes_max) or _within_limits(_load(text), nodes_max)


def parse_list(
    content_type: str | None, content_encoding: str | None, body: bytes, *, name: str, items_max: int
) -> list[dict[str, Any] | Refused]:
    """The objects of `{name: [ … ]}`, each under the limits of a body of its own; a bad one is its refusal.

    Raises `Refused` for what is wrong with the whole: its kind, its text, its outer shape, its length.
    """
    _check_kind(content_type, content_encoding)
    if len(body) > items_max * BODY_BYTES_MAX:
        raise _too_large(items_max * BODY_BYTES_MAX)
    text = _text(body)
    if (plain := _plain_list(text, name, items_max)) is not None:
        return list(plain)
    tree = _load(text)
    if type(tree) is not dict:
        raise Refused("body_not_object", "send a JSON object")
    items = tree.get(name)
    if set(tree) != {name} or not isinstance(items, list) or not 1 <= len(items) <= items_max:
        raise Refused("batch_size", f"send 1 to {items_max} items in one list", field=f"/{name}")
    return [_item(item) for item in items]


def _item(item: Any) -> dict[str, Any] | Refused:
    try:
        checked = _within_limits(item)
    except Refused as error:
        return error
    if len(to_json(checked)) > BODY_BYTES_MAX:
        return _too_large(BODY_BYTES_MAX)
    return checked


def _check_kind(content_type: str | None, content_encoding: str | None) -> None:
    if content_type is None or not (content_type == _PLAIN_TYPE or _CONTENT_TYPE.fullmatch(content_type.strip())):
        raise Refused("body_content_type", "send application/json", status=415)
    if content_encoding not in (None, "", "identity"):
        raise Refused("body_content_encoding", "send the body without content encoding", status=415)


def _too_large(bytes_max: int) -> Refused:
    return Refused("body_too_large", f"at most {bytes_max} bytes", status=413)


def _text(body: bytes) -> str:
    if body.startswith(_BOMS):
        raise Refused("body_byte_order_mark", "send UTF-8 without a byte order mark", status=400)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("body_not_utf8", "send UTF-8", status=400) from None


class _Unacceptable:
    """Stands in the parsed tree where a number was that must be refused, until its pointer is known."""

    def __init__(self, code: str) -> None:
        self.code = code


class _Repeating(dict[str, Any]):
    """An object that has a name twice; it holds what came last under it."""


def _load(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise Refused("body_not_json", "send one JSON document and nothing else", status=400) from None
    except RecursionError:
        raise Refused("body_too_deep", f"at most {DEPTH_MAX} levels") from None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
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


def _plain(text: str, nodes_max: int = NODES_MAX) -> dict[str, Any] | None:
    """What `_within_limits` returns for `text`, when that is plain to see: all names are ours, nothing is escaped.

    Without escapes there are two quotes a string: as many as the tree has strings, unless a name repeated lost some.
    """
    tree = _unescaped(text)
    strings = _plain_strings(tree, nodes_max)
    return tree if strings and 2 * strings == text.count('"') else None


def _plain_list(text: str, name: str, items_max: int) -> list[dict[str, Any]] | None:
    """What `parse_list` returns for `text`, when that is plain to see of every item: none of them is refused."""
    tree = _unescaped(text)
    if type(tree) is not dict or tree.keys() != {name}:
        return None
    items = tree[name]
    if type(items) is not list or not 1 <= len(items) <= items_max:
        return None
    strings = 1
    for item in items:
        if not (counted := _plain_strings(item, NODES_MAX)) or len(to_json(item)) > BODY_BYTES_MAX:
            return None
        strings += counted
    return items if 2 * strings == text.count('"') else None


def _unescaped(text: str) -> Any:
    """The JSON in `text`, None where it is none or has an escape."""
    if "\\" in text:
        return None
    try:
        return from_json(text, cache_strings="none")  # a cache would keep values of class S3
    except ValueError:
        return None


def _plain_strings(tree: Any, nodes_max: int) -> int:
    """How many strings an object has, its names counted; 0 where it is none, or not plainly within the limits."""
    if type(tree) is not dict:
        return 0
    names = _names_within_limits()
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


def _within_limits(tree: Any, nodes_max: int = NODES_MAX) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise Refused("body_not_object", "send a JSON object")
    nodes = 1
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
                for key in container:
                    if not _is_name(key):
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
    """False for text with lone surrogates: it cannot be written as UTF-8 again."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _refuse_string(tree: Any, text: str) -> NoReturn:
    code = "body_string_too_long" if len(text) > STRING_CHARACTERS_MAX else "body_string_not_text"
    raise Refused(code, f"at most {STRING_CHARACTERS_MAX} characters of text", field=_pointer_to(tree, text))


def _pointer_to(tree: Any, wanted: Any) -> str:
    """JSON pointer to the first place that holds the object `wanted` itself; cut before a name that is not ours."""
    names = _field_names()
    stack: list[tuple[Any, str, bool]] = [(tree, "", True)]
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
    return _names_of_contracts()


@functools.cache
def _names_within_limits() -> frozenset[str]:
    return frozenset(name for name in _names_of_contracts() if _is_name(name))


def _names_of_contracts() -> frozenset[str]:
    names: set[str] = set()
    models: list[type[Contract]] = [Contract]
    while models:
        model = models.pop()
        names.update(model.model_fields)
        models.extend(model.__subclasses__())
    return frozenset(names)
