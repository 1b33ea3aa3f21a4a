"""Statements whose columns are named once: a row's fields give names and types, and parameters need no numbers.

A row is a frozen dataclass (or a named tuple); its fields are the columns, in their order:

    @dataclass(frozen=True, slots=True)
    class NoticeRow:
        notice_id: UUID               # uuid
        state: NoticeState            # text, like every string
        edge: Json                    # jsonb, given as JSON text
        rules: tuple[str, ...]        # text[]

    _ROW = Columns.of(NoticeRow)
    _ADD = insert("notice", _ROW, end="ON CONFLICT DO NOTHING")
    await driver.execute(*_ADD.bind(rows=_ROW.rows(rows)))

All rows are sent in one statement, with one array per column; its text is built once, at import. `Columns.of` takes
`without` for fields that are not columns, and further columns by name with their SQL type. A value that is not a field
of the row, or is stored in another form, is given with the rows, one for each:

    _DRAFT = Columns.of(Draft, without=("message",), type="text")
    _ENQUEUE = insert("message", _DRAFT)
    _ENQUEUE.bind(rows=_DRAFT.rows(drafts, type=[draft.message.type for draft in drafts]))

A `Statement` is for everything else. Its parameters have names: a scalar is declared by its SQL type, rows by their
columns. In the text, `{at}` is the scalar, and `{stamps}` is the relation of the rows, with the alias `stamps`:

    _STAMP = Statement(
        "UPDATE message AS m SET number = stamps.number, sent_at = {at} FROM {stamps} WHERE m.id = stamps.message_id",
        stamps=_STAMPED, at="timestamptz",
    )

`{stamps.ordered}` is the same relation with the column `position`, from 1. `{stamps.names}` and `{stamps.values}` are
the two column lists of an `INSERT INTO t (names) SELECT values`. `{note.kept}` is the list of an `UPDATE … SET` in
which None keeps the stored value. It is bound by one row (`_NOTE.one(note)`), not by many:

    _ACT = Statement(
        "UPDATE notice SET state = {following}, {note.kept} WHERE notice_id = {notice_id} AND state = {present}",
        note=_NOTE, following="text", notice_id="uuid", present="text",
    )

A literal brace in a statement is doubled. A missing, unknown or unused name fails at import or when it is bound.

Stored text is compressed against a dictionary of the texts that an instance keeps most:

    number of the dictionary (1 byte) · raw deflate (RFC 1951)

A dictionary never changes while stored bytes name it: a later one gets the next number. An instance reads
only text that it has compressed itself: many deflate streams open to one text, and a sender could hide data in its
choice of one.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID
from zlib import DEFLATED, MAX_WBITS, Z_SYNC_FLUSH, compressobj, decompressobj
from zlib import error as ZlibError  # noqa: N812 - the library's class has a lower-case name

from shared.core.errors import Defect

#: The longest text; the answer to a batch of 100 referrals with 200 recipients each is shorter.
TEXT_BYTES_MAX: Final = 32 * 1024 * 1024
_NUMBER: Final = 1
_DICTIONARY: Final = (Path(__file__).with_name("data") / f"stored-text-{_NUMBER}.bin").read_bytes()
_LEVEL: Final = 6
#: Raw deflate with a window of 8 KiB, which holds the dictionary. zlib clears its tables for each text. With the
#: largest window, that took five times as long as compressing a short text, and saved no byte.
_MEMORY_LEVEL: Final = 6
_WINDOW_BITS: Final = -13
#: It has read the dictionary. A copy costs half of reading it again.
_READY: Final = compressobj(_LEVEL, DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zdict=_DICTIONARY)


def compress(text: bytes, known: bytes = b"") -> bytes:
    """Return the text as it is stored. Its reader needs `known`, which has parts of the text."""
    assert len(text) <= TEXT_BYTES_MAX
    # A text of 16 KiB or more, such as the answer to a batch, repeats itself at longer distances.
    deflating = _READY.copy() if len(text) < 1 << 14 else compressobj(_LEVEL, DEFLATED, -MAX_WBITS, zdict=_DICTIONARY)
    if known:
        deflating.compress(known)
        deflating.flush(Z_SYNC_FLUSH)
    return b"".join((bytes([_NUMBER]), deflating.compress(text), deflating.flush()))


def decompress(stored: bytes, known: bytes = b"") -> bytes:
    """Return the text of stored bytes. Raises `Defect("record_malformed")` for other bytes."""
    inflating = decompressobj(-MAX_WBITS, _DICTIONARY + known)
    try:
        text = inflating.decompress(stored[1:], TEXT_BYTES_MAX)
    except ZlibError:
        raise Defect("record_malformed") from None
    if stored[:1] != bytes([_NUMBER]) or not inflating.eof or inflating.unused_data:
        raise Defect("record_malformed")
    return text


Row = TypeVar("Row")
First = TypeVar("First")
Second = TypeVar("Second")


class SqlType(str):
    """A mark on an annotation with the SQL type of its column, if the Python type does not determine it."""

    __slots__ = ()


#: JSON text, in a column of type `jsonb`.
Json = Annotated[str, SqlType("jsonb")]

_SQL_TYPES: Final[Mapping[type, str]] = {
    UUID: "uuid",
    str: "text",
    bool: "bool",
    int: "bigint",
    float: "double precision",
    bytes: "bytea",
    datetime: "timestamptz",
    date: "date",
}
#: The separator of a list's elements, because PostgreSQL has no array of arrays of different lengths. No code contains
#: it.
_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class BoundRows(Generic[Row]):
    """The arguments of a parameter of rows: one per column."""

    columns: Columns[Row]
    arguments: Sequence[object]


class Columns(Generic[Row]):
    """The columns of one type of row: their names, in order, and the SQL type of each."""

    def __init__(self, sql_types: Mapping[str, str]) -> None:
        self.sql_types = dict(sql_types)
        self._getters = {name: attrgetter(name) for name in sql_types}

    @classmethod
    def of(cls, kind: type[Row], *, without: Sequence[str] = (), **further: str) -> Columns[Row]:
        """Return the columns of the fields of `kind` except `without`, then the `further` columns.

        A `further` column with a field's name sets the SQL type of that field.
        """
        hints = get_type_hints(kind, include_extras=True)
        fields = {name: hint for name, hint in hints.items() if name not in (*without, *further)}
        of_fields = {name: _sql_type(hint) for name, hint in fields.items()}
        return cls({name: further.get(name) or of_fields[name] for name in hints if name not in without} | further)

    def rows(self, rows: Sequence[Row], **given: Sequence[object]) -> BoundRows[Row]:
        """Bind these rows, also an empty list. Columns that are `given` are not read from the rows."""
        self._check(given)
        return BoundRows(self, [self._array(name, rows, given.get(name)) for name in self.sql_types])

    def one(self, row: Row, **given: object) -> BoundRows[Row]:
        """Bind one row, for `{name.kept}`: one value per column instead of an array. A list is bound unchanged."""
        self._check(given)
        read = {name: given[name] if name in given else self._getters[name](row) for name in self.sql_types}
        return BoundRows(self, list(read.values()))

    def _array(self, name: str, rows: Sequence[Row], given: Sequence[object] | None) -> list[Any]:
        array: list[Any] = list(map(self._getters[name], rows)) if given is None else list(given)
        if len(array) != len(rows):
            raise ValueError(f"{name}: {len(array)} values for {len(rows)} rows")
        if self.sql_types[name].endswith("[]"):
            return [None if each is None else _SEPARATOR.join(each) for each in array]
        return array

    def _check(self, given: Mapping[str, object]) -> None:
        if not given.keys() <= self.sql_types.keys():
            raise TypeError(f"no such column: {sorted(given.keys() - self.sql_types.keys())}")


class Statement:
    """A statement with named parameters. `text` has PostgreSQL's numbered parameters."""

    def __init__(self, text: str, /, **parameters: Columns[Any] | str) -> None:
        named = {field.partition(".")[0] for _, field, _, _ in Formatter().parse(text) if field}
        if named != parameters.keys():
            raise TypeError(f"declared and not used, or used and not declared: {sorted(named ^ parameters.keys())}")
        self._template = text
        self._parameters = parameters
        self.text = self.spell(1)

    def spell(self, first: int) -> str:
        """Return the text with its parameters numbered from `first`."""
        spelled: dict[str, object] = {}
        for name, parameter in self._parameters.items():
            if isinstance(parameter, str):
                spelled[name], width = f"${first}::{parameter}", 1
            else:
                spelled[name], width = _Spelled(name, parameter, first), len(parameter.sql_types)
            first += width
        return self._template.format_map(spelled).strip()

    def bind(self, **values: object) -> tuple[Any, ...]:
        """Return the text and its arguments in order, for a driver's `execute(*…)` or `fetch(*…)`."""
        return self.text, *self._arguments(values)

    def part(self, **values: object) -> StatementPart:
        """Bind this statement as a part of another one: see `join`."""
        return StatementPart(self, self._arguments(values))

    def _arguments(self, values: Mapping[str, object]) -> list[object]:
        if values.keys() != self._parameters.keys():
            raise TypeError(f"missing or unknown: {sorted(values.keys() ^ self._parameters.keys())}")
        bound: list[object] = []
        for name, parameter in self._parameters.items():
            value = values[name]
            if isinstance(parameter, str):
                bound.append(value)
            elif isinstance(value, BoundRows) and value.columns is parameter:
                bound.extend(value.arguments)
            else:
                raise TypeError(f"{name} is bound by the rows of its own columns")
        return bound


class StatementPart(NamedTuple):
    """A bound statement that goes into the WITH list of another one. `tracks`: the keys of tracks that it inserts."""

    statement: Statement
    arguments: Sequence[object]
    tracks: Set[tuple[object, ...]] = frozenset()


def join(parts: Sequence[StatementPart], text: str, *arguments: object) -> tuple[Any, ...]:
    """Return a statement that runs these parts, too, with all arguments: one round trip.

    No part sees the rows of another one or of the statement itself, and their order is not fixed. So no part may wait
    for a row that another transaction has locked.
    """
    bound, heads = list(arguments), list[str]()
    for number, part in enumerate(parts):
        heads.append(f"part_{number} AS ({_spell(part.statement, len(bound) + 1)})")
        bound += part.arguments
    own = text.strip()
    own_heads = own.removeprefix("WITH ")
    rest = f", {own_heads}" if own_heads != own else f" {own}"
    return (f"WITH {', '.join(heads)}{rest}" if heads else own), *bound


@lru_cache(maxsize=256)
def _spell(statement: Statement, first: int) -> str:
    return statement.spell(first)


def insert(table: str, columns: Columns[Any], *, fixed: Mapping[str, str] | None = None, end: str = "") -> Statement:
    """Return an `INSERT INTO table` for `rows`. `fixed` columns have one SQL expression for all rows; `end` follows."""
    names = ", ".join(["{rows.names}", *map(_quoted, fixed or {})])
    values = ", ".join(["{rows.values}", *(fixed or {}).values()])
    return Statement(f"INSERT INTO {table} ({names}) SELECT {values} FROM {{rows}} {end}", rows=columns)


class _Spelled:
    """The placeholders of rows in the text of a statement: see the module."""

    def __init__(self, name: str, columns: Columns[Any], first: int) -> None:
        self._name = name
        self._numbered = [(column, kind, first + i) for i, (column, kind) in enumerate(columns.sql_types.items())]

    def __str__(self) -> str:
        return f"{self._arrays()} AS {self._alias()}"

    @property
    def ordered(self) -> str:
        return f"{self._arrays()} WITH ORDINALITY AS {self._alias('position')}"

    @property
    def names(self) -> str:
        return ", ".join(_quoted(column) for column, _, _ in self._numbered)

    @property
    def values(self) -> str:
        return ", ".join(_stored(f"{self._name}.{_quoted(column)}", kind) for column, kind, _ in self._numbered)

    @property
    def kept(self) -> str:
        return ", ".join(
            f"{_quoted(column)} = coalesce({_one(number, kind)}, {_quoted(column)})"
            for column, kind, number in self._numbered
        )

    def _arrays(self) -> str:
        return f"unnest({', '.join(f'${number}::{_carried(kind)}[]' for _, kind, number in self._numbered)})"

    def _alias(self, *further: str) -> str:
        return f"{self._name} ({', '.join([self.names, *further])})"


def pairs(keys: Sequence[tuple[First, Second]]) -> tuple[list[First], list[Second]]:
    """Return keys of two columns as a list for each column."""
    return [first for first, _ in keys], [second for _, second in keys]


def _sql_type(hint: Any) -> str:
    """Return the SQL type of a field from its annotation. Only the table decides whether NULL is allowed."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        marked = [mark for mark in hint.__metadata__ if isinstance(mark, SqlType)]
        return str(marked[0]) if marked else _sql_type(inner[0])
    if origin in (Union, types.UnionType):
        (hint,) = [each for each in inner if each is not types.NoneType]
        return _sql_type(hint)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"{_sql_type(inner[0])}[]"
    found = [_SQL_TYPES[base] for base in getattr(hint, "__mro__", ()) if base in _SQL_TYPES]
    if not found:
        raise TypeError(f"give the SQL type of a column of type {hint}")
    return found[0]


def _carried(kind: str) -> str:
    """Return the SQL type in which a column's array is sent: text for JSON and for joined lists."""
    return "text" if kind == "jsonb" or kind.endswith("[]") else kind


def _stored(value: str, kind: str) -> str:
    if kind.endswith("[]"):
        return f"string_to_array({value}, chr({ord(_SEPARATOR)}))::{kind}"
    return f"{value}::{kind}" if kind == "jsonb" else value


def _one(number: int, kind: str) -> str:
    return f"${number}::text::jsonb" if kind == "jsonb" else f"${number}::{kind}"


def _quoted(name: str) -> str:
    """Quote a column name, because `offset`, `by` and others are also SQL keywords."""
    return f'"{name}"'
