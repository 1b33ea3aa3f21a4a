"""`docs/errors.md`: every code of an error with its cause and its mend, written from the one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shared.kernel.codes import FAMILIES
from shared.kernel.codes.rules import RULES
from shared.kernel.codes.why import Why

_HEAD: Final = """# Errors

Written by `python -m deploy.artifacts` from `shared/kernel/codes`; a test finds every code in the code and compares. A
code is stable: programs may act on it. The prompt says the mend beside it, an answer over HTTP carries it
(`application/problem+json`, [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), and its `type`, `/problems/` and the
code, can be asked for at every service without a key. `field` is a JSON pointer; no error ever repeats a value.
"""
_RULES: Final = """\
## Rules of fields

`fields_invalid` and `parameter_invalid` list each place with its rule; `expected` is what would be right there, for a
code its values. What a rule's name does not say:
"""


def errors_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_families(), _RULES, "| rule | mend |", "| --- | --- |", *_rules(), ""])


def _families() -> Iterator[str]:
    for title, whys in FAMILIES.items():
        yield from [f"## {title}\n", "| code | cause | mend |", "| --- | --- | --- |", *_rows(whys), ""]


def _rows(whys: Mapping[str, Why]) -> Iterator[str]:
    for code, why in sorted(whys.items()):
        yield f"| `{code}` | {why.cause} | {why.mend} |"


def _rules() -> Iterator[str]:
    for rule, mend in sorted(RULES.items()):
        yield f"| `{rule}` | {mend} |"
