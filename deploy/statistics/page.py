"""A month as a page: its plots and its tables, in one file of HTML. Pure.

It has no script and asks nobody: plots are the files beside it, and all that they show is in the tables, too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

#: Light and dark as the reader's browser has it; what is too wide is moved, not cut.
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:1rem auto;max-width:72rem}"
    "main{padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #8888}"
    "thead th{vertical-align:bottom}th:first-child,td:first-child{text-align:left}.scroll{overflow-x:auto}"
    "img{max-width:100%;height:auto}"
)
#: What a column's last word says of its unit.
_HOURS: Final = "_median_h"


class Part(NamedTuple):
    """One table of a page by its file's name, its title, and its plots: what each shows, by its file's name."""

    table: str
    title: str
    plots: Mapping[str, str]


def page(title: str, parts: Sequence[Part], files: Mapping[str, bytes]) -> str:
    """The page. `files` has the tables, as they are published."""
    return "\n".join([*_head(title), *(line for each in parts for line in _part(each, files)), *_foot()])


def _head(title: str) -> Iterator[str]:
    said = escape(title)
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{said}</title><style>{_STYLE}</style></head><body><main><h1>{said}</h1>"
    yield "<p>Parties are counted together until each number other than zero has three contributors and none of them "
    yield "has more than 70 %. An empty cell is a median of fewer than five.</p>"


def _part(part: Part, files: Mapping[str, bytes]) -> Iterator[str]:
    title = escape(part.title)
    yield f"<section><h2>{title}</h2>"
    for name, what in part.plots.items():
        yield f'<p><img src="{escape(name)}" alt="{escape(what)}; the numbers are in the table below"></p>'
    header, *rows = csv.reader(files[part.table].decode().splitlines())
    named = "".join(_cell("th", _called(each), scope="col") for each in header)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
    yield f"<table><caption>{escape(part.table)}</caption><thead><tr>{named}</tr></thead><tbody>"
    for first, *cells in rows:
        numbers = "".join(_cell("td", each) for each in cells)
        yield f"<tr>{_cell('th', first or 'several together', scope='row')}{numbers}</tr>"
    yield "</tbody></table></div>" + ("" if rows else "<p>Too few to show.</p>") + "</section>"


def _cell(tag: str, text: str, *, scope: str = "") -> str:
    return f'<{tag} scope="{scope}">{escape(text)}</{tag}>' if scope else f"<{tag}>{escape(text)}</{tag}>"


def _foot() -> Iterator[str]:
    yield "</main></body></html>"
    yield ""


def _called(column: str) -> str:
    """A column's name in words."""
    if column.endswith(_HOURS):
        return f"{column.removesuffix(_HOURS).replace('_', ' ')}, median hours"
    return column.replace("_", " ")
