"""A month as a page, its plots and its tables, in one file of HTML; and a plot as SVG text. Pure.

The page has no script and asks nobody: plots are the files beside it, and all that they show is in the tables, too. A
plot needs no style sheet and nothing from elsewhere, and says in words what it shows.
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
_WIDTH, _NAMES, _NUMBERS, _ROW, _TOP = 720, 260, 70, 26, 44
_FONT: Final = 'font-family="sans-serif" font-size="13" fill="#1b1b1b"'


class Part(NamedTuple):
    """One table of a page by its file's name, its title, and its plots: what each shows, by its file's name."""

    table: str
    title: str
    plots: Mapping[str, str]


class Bar(NamedTuple):
    name: str
    value: float


def page(title: str, parts: Sequence[Part], files: Mapping[str, bytes]) -> str:
    """The page. `files` has the tables, as they are published."""
    said = escape(title)
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{said}</title><style>{_STYLE}</style></head><body><main><h1>{said}</h1>",
        "<p>Parties are counted together until each number other than zero has three contributors and none of them ",
        "has more than 70 %. An empty cell is a median of fewer than five.</p>",
        *(line for each in parts for line in _part(each, files)),
        "</main></body></html>",
    ]
    return "\n".join(lines) + "\n"


def _part(part: Part, files: Mapping[str, bytes]) -> Iterator[str]:
    title = escape(part.title)
    yield f"<section><h2>{title}</h2>"
    for name, what in part.plots.items():
        yield f'<p><img src="{escape(name)}" alt="{escape(what)}; the numbers are in the table below"></p>'
    header, *rows = csv.reader(files[part.table].decode().splitlines())
    named = "".join(f'<th scope="col">{escape(_called(each))}</th>' for each in header)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
    yield f"<table><caption>{escape(part.table)}</caption><thead><tr>{named}</tr></thead><tbody>"
    for first, *cells in rows:
        numbers = "".join(f"<td>{escape(each)}</td>" for each in cells)
        yield f'<tr><th scope="row">{escape(first or "several together")}</th>{numbers}</tr>'
    yield "</tbody></table></div>" + ("" if rows else "<p>Too few to show.</p>") + "</section>"


def _called(column: str) -> str:
    """A column's name in words."""
    unit = ", median hours" if column.endswith(_HOURS) else ""
    return column.removesuffix(_HOURS).replace("_", " ") + unit


def bars(title: str, values: Sequence[Bar]) -> str:
    """A picture of `values`, none of them negative, drawn to the highest: bars, each with its name and number."""
    height = _TOP + _ROW * max(len(values), 1) + 12
    most = max((bar.value for bar in values), default=0.0) or 1.0
    said = escape(title)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{said}">',
        f"<title>{said}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-family="sans-serif" font-size="16" fill="#1b1b1b">{said}</text>',
    ]
    for top, bar in zip(range(_TOP, height, _ROW), values, strict=False):
        width, text = round(bar.value / most * (_WIDTH - _NAMES - _NUMBERS), 1), f'y="{top + 16}" {_FONT}'
        drawn += [
            f'<text x="{_NAMES - 8}" text-anchor="end" {text}>{escape(bar.name)}</text>',
            f'<rect x="{_NAMES}" y="{top + 3}" width="{width}" height="{_ROW - 8}" fill="#1f5f8b"/>',
            f'<text x="{_NAMES + width + 6}" {text}>{bar.value:.1f}</text>',
        ]
    if not values:
        drawn.append(f'<text x="12" y="{_TOP + 16}" {_FONT}>too few to show</text>')
    return "\n".join([*drawn, "</svg>", ""])
