"""Equation (II) by streams: each number of each stream is one message for all sides, and has one fate.

    numbered = applied + refused + moved + deferred + waiting + dead + in flight

The writer's stream states the last number and the chain there. The recipient's receive state states the last number
that it took and its chain. Audit's entries have the digest of each number: the chain over these digests must equal
both. The recipient keeps open exceptions; it reported refused and moved messages to audit. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.book import Difference, SumTerms
from shared.messaging.exceptions import OPEN, OutcomeKind
from shared.messaging.streams import Lane, begin_chain, extend_chain

NUMBERED, IN_FLIGHT = "numbered", "in_flight"
TERMS: Final = (NUMBERED, *(each.value for each in OutcomeKind), IN_FLIGHT)
_APPLIED: Final = OutcomeKind.APPLIED.value
#: Fates that the recipient reports to audit. No other database keeps them.
_REPORTED: Final = frozenset({OutcomeKind.REFUSED.value, OutcomeKind.MOVED.value})


class Stream(NamedTuple):
    """One stream: the writing instance, the addressee, the incarnation, and the lane as a number."""

    writer: str
    addressee: str
    incarnation: UUID
    lane: int

    def __str__(self) -> str:
        return f"{self.writer} → {self.addressee} {Lane(self.lane).name.lower()} {self.incarnation}"


class SentEnd(NamedTuple):
    """The writer's own account: the last number, the chain there, and the last acknowledged number."""

    number: int
    chain: bytes
    acked: int


class ReadEnd(NamedTuple):
    """The last number that a reader took, and the chain there.

    None: its writer states it, the reader is gone.
    """

    number: int
    chain: bytes | None


class HeldMessage(NamedTuple):
    """A message that the recipient keeps as an exception."""

    stream: Stream
    number: int
    message_id: UUID
    outcome: str


class AuditRow(NamedTuple):
    """A numbered message as audit has it. `outcome`: the last that the recipient reported, or None."""

    number: int
    digest: bytes
    chain: bytes
    message_id: UUID
    sender: str
    recipient: str
    place: str
    outcome: str | None
    type: str = ""
    subject: str = ""
    act: UUID | None = None


@dataclass(slots=True)
class SealedStream:
    """The part of a stream that was compared without a difference: up to this number, with the chain there.

    `fates`: by (sender, recipient, fate).
    """

    number: int
    chain: bytes
    fates: Counter[tuple[str, str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class Sides:
    """The statements of the writers, the recipients and audit on all streams.

    `held` and `told_open` are by writer, addressee and message id: exceptions at the recipient, and the writer's view
    of them. `read`: the last number that audit took. `reported`: pairs whose recipient's outcomes audit has read
    completely; `heard`: pairs whose recipient's outcomes their writer has read completely.
    """

    sent: dict[Stream, SentEnd] = field(default_factory=dict)
    taken: dict[Stream, ReadEnd] = field(default_factory=dict)
    read: dict[Stream, ReadEnd] = field(default_factory=dict)
    held: dict[tuple[str, str, UUID], HeldMessage] = field(default_factory=dict)
    told_open: dict[tuple[str, str, UUID], str] = field(default_factory=dict)
    reported: set[tuple[str, str]] = field(default_factory=set)
    heard: set[tuple[str, str]] = field(default_factory=set)

    def last(self, stream: Stream) -> int:
        """Return the last number of the stream: for a former incarnation, the last that its recipient took."""
        if stream in self.sent:
            return self.sent[stream].number
        taken = self.taken.get(stream)
        return taken.number if taken else 0


class StreamCheck:
    """The comparison of one stream with audit's entries above the sealed number, fed in order."""

    def __init__(
        self,
        stream: Stream,
        sides: Sides,
        *,
        sealed: SealedStream | None,
        before: SealedStream | None = None,
        young: UUID,
    ) -> None:
        """Start at the seal. `before`: an earlier seal that must still hold if everything is read again.

        `young`: messages with this id or a higher one are not sealed yet.
        """
        begun = sealed or SealedStream(0, begin_chain(stream.incarnation))
        self.stream = stream
        #: The part to skip later if nothing differs; it grows up to the first message that is not settled.
        self.seal = SealedStream(begun.number, begun.chain, Counter(begun.fates))
        self.fates = Counter(begun.fates)
        self._is_sealing = True
        #: The lowest id of a message without a final fate.
        self.oldest: UUID | None = None
        #: The applied messages whose effects are compared next.
        self.applied: list[AuditRow] = []
        self._sides = sides
        self._before = before
        self._young = young
        self._number, self._chain = begun.number, begun.chain
        self._sent, self._taken = sides.sent.get(stream), sides.taken.get(stream)
        self._through = self._taken.number if self._taken else 0
        self._is_reported = (stream.writer, stream.addressee) in sides.reported

    @property
    def in_flight(self) -> int:
        """Return the count of numbers that the recipient has not taken."""
        return max(0, self._sides.last(self.stream) - self._through)

    def add(self, entry: AuditRow) -> Iterator[Difference]:
        """Compare the next entry."""
        where = f"{entry.place} {entry.message_id} {self.stream} #{entry.number}"
        parties = (entry.sender, entry.recipient)
        if entry.number <= self._number:
            yield Difference("II", "audit has two entries under one number", where, parties)
            return
        chain = extend_chain(self._chain, (entry.digest,))
        if entry.number > self._number + 1:
            yield self._missing(entry.number - 1)
        elif chain != entry.chain:
            yield Difference("II", "audit's entry is not on the chain of its stream", where, parties)
        self._number, self._chain = entry.number, entry.chain
        if self._is_invented(entry.number):
            yield Difference("II", "audit has a number that its writer never gave", where, parties)
        yield from self._settle(entry, where)
        yield from self.compare_ends()

    def take_applied(self) -> list[AuditRow]:
        """Return the applied messages whose effects were not compared yet."""
        taken, self.applied = self.applied, []
        return taken

    def end(self) -> Iterator[Difference]:
        """Yield the taken numbers at the end that audit's log does not have."""
        read = self._sides.read.get(self.stream)
        taken = max(self._through, read.number if read else 0)
        if taken > self._number:
            yield self._missing(taken)

    def _missing(self, last: int) -> Difference:
        where = _span(self.stream, self._number + 1, last)
        return Difference("II", "delivered, not in audit's log", where, self._instances())

    def _is_invented(self, number: int) -> bool:
        if self._sent is not None:
            return number > self._sent.number
        # The writer makes no statements on a former incarnation any more.
        return self._taken is None and self.stream not in self._sides.read

    def _settle(self, entry: AuditRow, where: str) -> Iterator[Difference]:
        """Count the fate of an entry; compare it with the exceptions of the recipient."""
        if entry.number > self._through and self._sent is None:
            return  # a former incarnation: the message was carried into a later one
        held = self._sides.held.get((self.stream.writer, self.stream.addressee, entry.message_id))
        is_here = held is not None and held.stream == self.stream
        parties = (entry.sender, entry.recipient)
        if held is not None and is_here and held.number != entry.number:
            yield Difference("II", "the recipient has this message under another number", where, parties)
        fate = self._fate(entry, held if is_here else None)
        self.fates[entry.sender, entry.recipient, fate] += 1
        if self._is_reported and fate != IN_FLIGHT and (is_here or held is None):
            theirs, reported = held.outcome if held else None, entry.outcome if entry.outcome in OPEN else None
            if theirs != reported:
                what = f"reported as {entry.outcome or _APPLIED}, held by its recipient as {theirs or 'nothing'}"
                yield Difference("II", what, where, parties)
        if fate == _APPLIED and self._is_reported:
            self.applied.append(entry)
        if fate in OPEN or fate == IN_FLIGHT or not self._is_reported:
            self.oldest = min(self.oldest or entry.message_id, entry.message_id)
        is_acked = self._sent is None or entry.number <= self._sent.acked
        is_old = entry.message_id < self._young
        self._is_sealing = self._is_sealing and self.oldest is None and is_acked and is_old
        if self._is_sealing:
            self.seal.number, self.seal.chain = self._number, self._chain
            self.seal.fates[entry.sender, entry.recipient, fate] += 1

    def _fate(self, entry: AuditRow, held: HeldMessage | None) -> str:
        if entry.number > self._through:
            return IN_FLIGHT
        if held is not None:
            return held.outcome
        return entry.outcome if entry.outcome in _REPORTED else _APPLIED

    def compare_ends(self) -> Iterator[Difference]:
        """Compare this chain with each side whose last number is the same."""
        where = f"{self.stream} #{self._number}"
        for side, what in ((self._sent, "the writer sent"), (self._taken, "the recipient took")):
            is_here = side is not None and side.number == self._number
            if side is not None and is_here and side.chain not in (None, self._chain):
                yield Difference("II", f"{what} other messages than audit has", where, self._instances())
        before = self._before
        is_before = before is not None and before.number == self._number
        if before is not None and is_before and (before.chain, before.fates) != (self._chain, self.fates):
            yield Difference("II", "a stream is not as it was sealed", where, self._instances())

    def _instances(self) -> tuple[str, ...]:
        return self.stream.writer, self.stream.addressee


@dataclass(slots=True)
class Streams:
    """The counts of all streams."""

    sides: Sides
    checks: list[StreamCheck] = field(default_factory=list)

    def every(self, audited: Sequence[Stream]) -> list[Stream]:
        """Return the streams that any side has, audit's entries included."""
        return sorted({*self.sides.sent, *self.sides.taken, *self.sides.read, *audited})

    def open_differently(self) -> Iterator[Difference]:
        """Compare the exceptions of recipients with the writers' view of them, unless an outcome is in transit."""
        held, expected = self.sides.held, self.sides.told_open
        for key in sorted(held.keys() | expected.keys(), key=str):
            theirs, ours = held[key].outcome if key in held else None, expected.get(key)
            writer, addressee, message_id = key
            if theirs != ours and (writer, addressee) in self.sides.heard:
                what = f"open for its writer as {ours or 'nothing'}, held by its recipient as {theirs or 'nothing'}"
                yield Difference("II", what, f"{message_id} {writer} → {addressee}", (writer, addressee))

    def taken_beyond(self) -> Iterator[Difference]:
        """Yield recipients and writers whose taken or acknowledged number exceeds the numbers that exist."""
        for stream, sent in sorted(self.sides.sent.items()):
            taken = self.sides.taken.get(stream, ReadEnd(0, b""))
            instances = stream.writer, stream.addressee
            if taken.number > sent.number:
                where = _span(stream, sent.number + 1, taken.number)
                yield Difference("II", "taken by its recipient, unknown to its writer", where, instances)
            if sent.acked > taken.number:
                where = _span(stream, taken.number + 1, sent.acked)
                yield Difference("II", "acknowledged, and not taken by its recipient", where, instances)

    def totals(self) -> dict[str, int]:
        """Return the terms of the equation over all streams."""
        terms = Counter[str]()
        for check in self.checks:
            terms[NUMBERED] += self.sides.last(check.stream)
            terms[IN_FLIGHT] += check.in_flight
            for (_, _, fate), count in check.fates.items():
                if fate != IN_FLIGHT:
                    terms[fate] += count
        return {name: terms[name] for name in TERMS}

    def by_pair(self) -> tuple[SumTerms, ...]:
        """Return the terms by sender and recipient, of messages between parties that audit has read."""
        by_pair: dict[tuple[str, str], Counter[str]] = {}
        for check in self.checks:
            for (sender, recipient, fate), count in check.fates.items():
                if is_party(sender) and is_party(recipient):
                    terms = by_pair.setdefault((sender, recipient), Counter())
                    terms[NUMBERED] += count
                    terms[fate] += count
        return tuple(SumTerms(pair, {name: terms[name] for name in TERMS}) for pair, terms in sorted(by_pair.items()))

    def oldest_unsettled(self) -> UUID | None:
        """Return the lowest id of a message without a final fate."""
        return min((check.oldest for check in self.checks if check.oldest is not None), default=None)

    def seals(self) -> Mapping[Stream, SealedStream]:
        """Return the parts that need not be read again if nothing differs."""
        return {check.stream: check.seal for check in self.checks if check.seal.number}


def _span(stream: Stream, first: int, last: int) -> str:
    """Format the numbers of a stream for a difference."""
    return f"{stream} #{first}" if first == last else f"{stream} #{first}-{last}"


def is_party(name: str) -> bool:
    """Return whether this is the id of a party: unlike an instance's id, it contains a dot."""
    return "." in name
