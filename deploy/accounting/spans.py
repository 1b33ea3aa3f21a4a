"""Numbers as spans: what is dense needs one, however long it grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Span = tuple[int, int]


class Spans:
    """Numbers that were seen, in any order; those that follow one another take no more room than one."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[list[int]] = []
        for first, last in sorted(spans):
            self._append(first, last)

    def add(self, number: int) -> None:
        """Numbers come mostly in their order."""
        if not self._spans or number > self._spans[-1][0]:
            self._append(number, number)
        elif number not in self:
            self._spans = [list(each) for each in Spans([*map(_span, self._spans), (number, number)])]

    def __iter__(self) -> Iterator[Span]:
        return map(_span, self._spans)

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._spans)

    @property
    def last(self) -> int:
        """The highest; 0 for none."""
        return self._spans[-1][1] if self._spans else 0

    def missing(self, last: int) -> list[Span]:
        """The numbers from 1 to `last` that are not here."""
        found, following = [], 1
        for first, end in self._spans:
            if first > following:
                found.append((following, min(first - 1, last)))
            following = end + 1
            if following > last:
                break
        if following <= last:
            found.append((following, last))
        return [span for span in found if span[0] <= span[1]]

    def _append(self, first: int, last: int) -> None:
        if self._spans and first <= self._spans[-1][1] + 1:
            self._spans[-1][1] = max(self._spans[-1][1], last)
        else:
            self._spans.append([first, last])


def _span(pair: list[int]) -> Span:
    return pair[0], pair[1]


def as_text(spans: Iterable[Span], *, most: int = 10) -> str:
    """Spans as `1-3, 7`, the first of them."""
    listed = list(spans)
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in listed[:most]]
    return ", ".join(texts) + (" …" if len(listed) > most else "")
