"""`docs/errors.md`: every code of an error with its cause and its remedy, written from the one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shared.kernel.codes import FAMILIES, RULES, ErrorEntry

_HEAD: Final = """# Errors

Written by `python -m deploy.artifacts` from `shared/kernel/codes`; a test finds every code in the code and compares. A
code is stable: programs may act on it. The command line prints the remedy, an answer over HTTP carries it
(`application/problem+json`, [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), and its `type`, `/problems/` and the
code, can be asked for at every service without a key. `field` is a JSON pointer; no error ever repeats a value.
"""
_RULES: Final = """\
## Rules of fields

`fields_invalid` and `parameter_invalid` list each place with its rule; `expected` is what would be right there, for a
code its values. Rules whose name does not say it:
"""


def errors_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_families(), _RULES, "| rule | remedy |", "| --- | --- |", *_rules(), ""])


def _families() -> Iterator[str]:
    for title, entries in FAMILIES.items():
        yield from [f"## {title}\n", "| code | cause | remedy |", "| --- | --- | --- |", *_rows(entries), ""]


def _rows(entries: Mapping[str, ErrorEntry]) -> Iterator[str]:
    for code, entry in sorted(entries.items()):
        yield f"| `{code}` | {entry.cause} | {entry.remedy} |"


def _rules() -> Iterator[str]:
    for rule, remedy in sorted(RULES.items()):
        yield f"| `{rule}` | {remedy} |"
