"""A plot as SVG text: bars, one below the other, each with its name and number. Pure.

It needs no script, no style sheet and nothing from elsewhere, and says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

_WIDTH: Final = 720
_NAMES: Final = 260
_NUMBERS: Final = 70
_ROW: Final = 26
_TOP: Final = 44
_FONT: Final = 'font-family="sans-serif" font-size="13" fill="#1b1b1b"'


class Bar(NamedTuple):
    name: str
    value: float


def bars(title: str, values: Sequence[Bar]) -> str:
    """A picture of `values`, none of them negative, drawn to the highest."""
    height = _TOP + _ROW * max(len(values), 1) + 12
    most = max((bar.value for bar in values), default=0.0) or 1.0
    room = _WIDTH - _NAMES - _NUMBERS
    said = escape(title)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{said}">',
        f"<title>{said}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-family="sans-serif" font-size="16" fill="#1b1b1b">{said}</text>',
    ]
    for number, bar in enumerate(values):
        top = _TOP + _ROW * number
        width = round(bar.value / most * room, 1)
        text = f'y="{top + 16}" {_FONT}'
        drawn += [
            f'<text x="{_NAMES - 8}" text-anchor="end" {text}>{escape(bar.name)}</text>',
            f'<rect x="{_NAMES}" y="{top + 3}" width="{width}" height="{_ROW - 8}" fill="#1f5f8b"/>',
            f'<text x="{_NAMES + width + 6}" {text}>{bar.value:.1f}</text>',
        ]
    if not values:
        drawn.append(f'<text x="12" y="{_TOP + 16}" {_FONT}>too few to show</text>')
    return "\n".join([*drawn, "</svg>", ""])
