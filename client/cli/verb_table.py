"""The rows of `verbs.json`: the call of each command, its words and options, and its output.

The `call` of a row is an act (`case.accept`) or a method and a path. Its `words` and `options` become fields of the
body, or of the query.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

if TYPE_CHECKING:
    from enum import StrEnum

_TABLE: Final = Path(__file__).with_name("verbs.json")
#: Options of the command itself: the service does not receive them.
OWN: Final = frozenset({"options", "limit", "out"})


class VerbWord(TypedDict):
    """A word or an option: its type, with `*` if it may be repeated, and the resulting `field`."""

    type: str
    help: NotRequired[str]
    required: NotRequired[bool]
    default: NotRequired[str | int]
    field: NotRequired[str]
    name: NotRequired[str]


class Statements(TypedDict):
    """The rule by which words become a list: the fields by their vocabularies, and their additional options."""

    list: str
    fields: NotRequired[Mapping[str, str]]
    beside: NotRequired[Mapping[str, Sequence[str]]]
    form: NotRequired[str]
    usual: NotRequired[str]
    now: NotRequired[str]


class VerbRow(TypedDict):
    """One command."""

    help: str
    call: str
    words: NotRequired[Mapping[str, VerbWord]]
    options: NotRequired[Mapping[str, VerbWord]]
    common: NotRequired[Sequence[str]]
    limit: NotRequired[VerbWord]
    always: NotRequired[Mapping[str, str]]
    instead: NotRequired[Mapping[str, str]]
    statements: NotRequired[Statements]
    wanted: NotRequired[str]
    vocabularies: NotRequired[Sequence[str]]
    accept: NotRequired[str]
    shows: NotRequired[str]
    lines: NotRequired[Sequence[str]]
    rows: NotRequired[str]
    columns: NotRequired[Mapping[str, str]]
    bare: NotRequired[bool]


class VerbGroup(TypedDict):
    """Commands of one group; the one without a name is the group itself.

    A text names a command written by hand.
    """

    help: str
    verbs: Mapping[str, VerbRow | str]


class VerbTable(TypedDict):
    """The whole file; `common` has options of several commands."""

    common: Mapping[str, Mapping[str, VerbWord]]
    groups: Mapping[str, VerbGroup]


@cache
def table() -> VerbTable:
    """Return all commands."""
    read: VerbTable = json.loads(_TABLE.read_text(encoding="utf-8"))
    return read


def parameters(row: VerbRow) -> Mapping[str, VerbWord]:
    """Return the words and options of a command, by their names."""
    common = [table()["common"][each] for each in row.get("common", ())]
    return {
        name: each for some in (row.get("words", {}), row.get("options", {}), *common) for name, each in some.items()
    }


def vocabulary(name: str) -> type[StrEnum]:
    """Return the codes of `answers.CaseOutcome`: a class of `shared.core.vocabulary`."""
    found: type[StrEnum] = resolve_name(f"shared.core.vocabulary.{name}")
    return found
