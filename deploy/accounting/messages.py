"""Equation (II) by identity: of every number of every pair and epoch the same message in every book, and one fate.

    emitted = applied + refused + moved + gone + deferred + waiting + parked + in flight

What was emitted is its sender's counter; what became of it the recipient's inbox says; what is on its way, the sender's
outbox. Each message is compared by its id and digest with what audit has read. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.differences import FOUND_MAX, Difference, Terms
from deploy.accounting.spans import Span, Spans, as_text
from deploy.accounting.streams import Line, Pair
from shared.contracts.registry import BY_TYPE, STATED_BY_INSTANCES
from shared.vocabulary.answers import ReceiptOutcome

OUTBOX, SETTLED, INBOX, AUDITED = "outbox", "settled", "inbox", "audited"
EMITTED, GONE, IN_FLIGHT = "emitted", "gone", "in_flight"
TERMS: Final = (EMITTED, *(each.value for each in ReceiptOutcome), GONE, IN_FLIGHT)
#: The fate that a sender alone knows of, where the database of its recipient's former instance is no longer there.
_ITS_OWN_WORD: Final = ReceiptOutcome.MOVED.value
_NOT_ENTITLED: Final = "not_entitled"


class Emitted(NamedTuple):
    """How far a pair was numbered by its sender; where the epoch has ended, it may have forgotten more."""

    last: int
    closed: bool


@dataclass(slots=True)
class Numbers:
    """What was found of one pair and epoch: the numbers that have a fate, and how many have which."""

    seen: Spans = field(default_factory=Spans)
    fates: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Compacted:
    """Numbers of one pair and epoch whose rows a book keeps no longer, and what its digests added up to."""

    numbers: Spans
    digests: int


@dataclass(slots=True)
class Messages:
    """The account of all numbers, fed with the lines of one number after the other."""

    emitted: Mapping[Pair, Emitted]
    gone: Mapping[Pair, Spans]
    numbers: dict[Pair, Numbers] = field(default_factory=dict)
    #: By book, `INBOX` or `SETTLED`, and pair.
    compacted: Mapping[tuple[str, Pair], Compacted] = field(default_factory=dict)
    #: The last numbers of epochs, by what came behind them.
    ends: Mapping[Pair, Sequence[int]] = field(default_factory=dict)
    _highest: dict[Pair, int] = field(default_factory=dict)
    #: What the digests of compacted numbers add up to as audit has read them; None where it has two of one number.
    _added: dict[tuple[str, Pair], int | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, lines: Sequence[Line]) -> Iterator[Difference]:
        """Take everything that any book has under one number."""
        by_book: dict[str, list[Line]] = {}
        for line in lines:
            by_book.setdefault(line.book, []).append(line)
        first = lines[0]
        found = self.numbers.setdefault(first.pair, Numbers())
        fate = self._fate(by_book, first)
        if fate is not None:
            found.seen.add(first.sequence)
            found.fates[fate] += 1
        if first.pair in self.ends:
            self._highest[first.pair] = first.sequence
        self._add_up(by_book.get(AUDITED, ()), first)
        yield from self._compared(by_book, first)

    def totals(self) -> dict[str, int]:
        """The terms of the equation, over all pairs of parties."""
        every = [each.terms for each in self.by_pair()]
        return {name: sum(terms[name] for terms in every) for name in TERMS}

    def by_pair(self) -> tuple[Terms, ...]:
        """The terms of the equation of each sender and recipient, over all their epochs."""
        by_pair: dict[tuple[str, str], Counter[str]] = {}
        for pair, emitted in self.emitted.items():
            if between_parties(pair):
                terms = by_pair.setdefault(pair[:2], Counter())
                found = self.numbers.get(pair, Numbers())
                terms[EMITTED] += (last := self._last(pair, emitted))
                terms[GONE] += _count(found.seen.missing(last)) - _count(self._known(pair).missing(last))
                terms.update(found.fates)
        return tuple(Terms(pair, {name: terms[name] for name in TERMS}) for pair, terms in sorted(by_pair.items()))

    def missing(self) -> Iterator[Difference]:
        """The numbers that were given out and of which nobody knows what became."""
        for pair, emitted in sorted(self.emitted.items()):
            if missing := self._known(pair).missing(self._last(pair, emitted)):
                what = "emitted is not the sum of its fates" if between_parties(pair) else "numbers audit never saw"
                yield Difference("II", what, f"{_named(pair)}, sequences {as_text(missing)}", pair[:2])

    def ended_elsewhere(self) -> Iterator[Difference]:
        """Epochs whose last number is not the one that is said by what came behind. To be asked once all was taken."""
        for pair, stated in sorted(self.ends.items()):
            last = max(self._known(pair).last, self._highest.get(pair, 0))
            for number in stated:
                if number != last:
                    where = f"{_named(pair)}, #{last} and by its successor #{number}"
                    yield Difference("II", "an epoch does not end where its successor says", where, pair[:2])

    def _known(self, pair: Pair) -> Spans:
        """The numbers that have a fate, or that their sender has given up."""
        return Spans([*self.numbers.get(pair, Numbers()).seen, *self.gone.get(pair, ())])

    def altered(self) -> Iterator[Difference]:
        """Books whose compacted rows were not what audit has read. To be asked once everything was taken."""
        for (book, pair), compacted in sorted(self.compacted.items(), key=lambda each: each[0]):
            added = self._added.get((book, pair), 0)
            if added is None:
                self.notes.append(f"{_named(pair)}: audit has two messages of one number that {book} compacted")
            elif added != compacted.digests:
                yield Difference("II", f"what {book} compacted is not what audit has read", _named(pair), pair[:2])

    def _add_up(self, audited: Sequence[Line], line: Line) -> None:
        digests = {each.digest for each in audited}
        for book in (INBOX, SETTLED):
            if self._is_compacted(book, line):
                before = self._added.get((book, line.pair), 0)
                known = before is not None and len(digests) < 2
                added = sum(int(digest[:15], 16) for digest in digests)
                self._added[book, line.pair] = before + added if known and before is not None else None

    def _is_compacted(self, book: str, line: Line) -> bool:
        compacted = self.compacted.get((book, line.pair))
        return compacted is not None and line.sequence in compacted.numbers

    def _last(self, pair: Pair, emitted: Emitted) -> int:
        found = self.numbers.get(pair)
        # An epoch ends where its sender may have forgotten what it gave out last: then the others' word counts.
        return max(emitted.last, found.seen.last) if emitted.closed and found is not None else emitted.last

    def _fate(self, by_book: Mapping[str, Sequence[Line]], line: Line) -> str | None:
        """What became of a number, None where nobody entitled to it says anything."""
        if not counted(line.type):
            return AUDITED if AUDITED in by_book else IN_FLIGHT if OUTBOX in by_book else None
        if inbox := by_book.get(INBOX):
            return inbox[0].outcome
        if self._is_compacted(INBOX, line):
            return ReceiptOutcome.APPLIED.value
        if OUTBOX in by_book:
            return IN_FLIGHT
        settled = by_book.get(SETTLED)
        return settled[0].outcome if settled and settled[0].outcome == _ITS_OWN_WORD else None

    def _compared(self, by_book: Mapping[str, Sequence[Line]], line: Line) -> Iterator[Difference]:
        closed = self.emitted[line.pair].closed if line.pair in self.emitted else False
        held = [each for book in (OUTBOX, SETTLED, INBOX) for each in by_book.get(book, ())]
        names = {(each.message_id, each.digest) for each in held}
        audited = by_book.get(AUDITED, ())
        if len(names) > 1 and not closed:
            yield _differs("sender and recipient have other messages under one number", line, audited)
        if not self._is_compacted(INBOX, line):
            yield from self._receipts(by_book, audited)
        if names or not (self._is_compacted(INBOX, line) or self._is_compacted(SETTLED, line)):
            yield from self._strange(line, names, audited)
        delivered = INBOX in by_book or SETTLED in by_book
        if delivered and not audited and line.sequence not in self.gone.get(line.pair, Spans()):
            yield _differs("delivered, not in audit's log", line, audited)
        known = OUTBOX in by_book or SETTLED in by_book or self._is_compacted(SETTLED, line)
        if INBOX in by_book and not known:
            if not closed:
                yield _differs("in an inbox, unknown to its sender", line, audited)
            elif len(self.notes) < FOUND_MAX:
                self.notes.append(f"{_where(line, audited)}: forgotten by its sender, in an epoch that has ended")

    def _receipts(self, by_book: Mapping[str, Sequence[Line]], audited: Sequence[Line]) -> Iterator[Difference]:
        for line in by_book.get(SETTLED, ()):
            if not counted(line.type) or line.outcome == _ITS_OWN_WORD:
                continue
            kept = [each for each in by_book.get(INBOX, ()) if each.message_id == line.message_id]
            if not kept:
                yield _differs("receipted, but in no inbox", line, audited)
            elif (kept[0].outcome, kept[0].digest) != (line.outcome, line.digest):
                what = f"receipted as {line.outcome}, kept as {kept[0].outcome}"
                yield _differs(what, line, audited)

    def _strange(self, line: Line, names: set[tuple[UUID, str]], audited: Sequence[Line]) -> Iterator[Difference]:
        """What audit has under a number that is not what its sender and recipient have."""
        emitted = self.emitted.get(line.pair)
        for each in audited:
            # What nobody was entitled to say is its sender's doing, and no book's but audit's.
            if (each.message_id, each.digest) in names or each.outcome == _NOT_ENTITLED:
                continue
            if names or len({other.digest for other in audited}) > 1:
                what = "audit has another message under this number"
            elif emitted is None or (each.sequence > emitted.last and not emitted.closed):
                what = "audit has a number that its sender never gave"
            else:
                what = "in audit's log, in no inbox and no outbox"
            if emitted is not None and emitted.closed:
                # A restored sender gave the number to another: its epoch has ended for that.
                self.notes.append(f"{_where(each, [each])}: {what}, in an epoch that has ended")
            else:
                yield _differs(what, each, [each])


def counted(type_text: str) -> bool:
    """Whether messages of this type are receipted and counted: those between two parties."""
    message = BY_TYPE.get(type_text)
    return message is not None and message.family not in STATED_BY_INSTANCES


def between_parties(pair: Pair) -> bool:
    """Parties have dots in their names, instances do not; receipts and facts are not counted."""
    return all("." in name for name in pair[:2])


def _count(spans: Sequence[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)


def _named(pair: Pair) -> str:
    return f"{pair[0]} → {pair[1]}, epoch {pair[2]}"


def _differs(what: str, line: Line, audited: Sequence[Line]) -> Difference:
    return Difference("II", what, _where(line, audited), line.pair[:2])


def _where(line: Line, audited: Sequence[Line]) -> str:
    place = audited[0].place if audited else "not in audit's log"
    return f"{place} {line.message_id} {line.sender} → {line.recipient} #{line.sequence}"
