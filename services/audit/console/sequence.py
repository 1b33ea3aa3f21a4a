"""A flow as a sequence diagram: SVG, made on the server, in the order of the table beneath it. No style of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

#: Pixels between lines of life, between messages, and above the first.
_ACROSS: Final = 200
_DOWN: Final = 44
_TOP: Final = 64
#: What a picture shows of a long flow; the table has all of it.
MESSAGES_MAX: Final = 200


class Arrow(NamedTuple):
    """One message: its number in the table, from whom to whom, and what it is called."""

    number: int
    sender: str
    recipient: str
    name: str


def sequence(arrows: Sequence[Arrow]) -> Markup:
    """The picture of at most `MESSAGES_MAX` messages."""
    shown = arrows[:MESSAGES_MAX]
    parties = list(dict.fromkeys(party for arrow in shown for party in (arrow.sender, arrow.recipient)))
    at = {party: _ACROSS * place + _ACROSS // 2 for place, party in enumerate(parties)}
    width, height = _ACROSS * len(parties), _TOP + _DOWN * len(shown) + 24
    head = Markup(
        '<svg class="seq" role="group" aria-labelledby="seq-title seq-desc" viewBox="0 0 {w} {h}" width="{w}" '
        'height="{h}" xmlns="http://www.w3.org/2000/svg"><title id="seq-title">{n} messages between {p} parties</title>'
        '<desc id="seq-desc">The table below has the same messages in the same order.</desc><defs><marker id="tip" '
        'viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
        '<path d="M0 0L10 5L0 10z"/></marker></defs>'
    ).format(w=width, h=height, n=len(shown), p=len(parties))
    return Markup("").join([head, *_lives(at, height), *_messages(shown, at), Markup("</svg>")])


def _lives(at: dict[str, int], height: int) -> Iterator[Markup]:
    for party, x in at.items():
        yield Markup(
            '<line class="life" x1="{x}" x2="{x}" y1="{top}" y2="{end}"/><rect class="party" x="{left}" y="8" '
            'width="184" height="36" rx="6"/><text x="{x}" y="31" text-anchor="middle">{party}</text>'
        ).format(x=x, top=_TOP - 20, end=height - 8, left=x - 92, party=escape(party))


def _messages(arrows: Sequence[Arrow], at: dict[str, int]) -> Iterator[Markup]:
    for place, arrow in enumerate(arrows):
        y, begin, end = _TOP + _DOWN * place + 24, at[arrow.sender], at[arrow.recipient]
        if begin == end:
            line = Markup('<path class="msg" d="M{x} {up}h30v16h-28" marker-end="url(#tip)"/>').format(
                x=begin, up=y - 8
            )
            x, anchor = begin + 36, "start"
        else:
            line = Markup('<line class="msg" x1="{a}" y1="{y}" x2="{b}" y2="{y}" marker-end="url(#tip)"/>').format(
                a=begin, b=end + (-2 if end > begin else 2), y=y
            )
            x, anchor = (begin + end) // 2, "middle"
        yield Markup(
            '<a href="#m{n}"><g>{line}<text x="{x}" y="{up}" text-anchor="{anchor}">{n}. {name}</text></g></a>'
        ).format(n=arrow.number, line=line, x=x, up=y - 6, anchor=anchor, name=escape(arrow.name))
