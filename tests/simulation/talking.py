"""What instances and audit say of delivery itself in the simulation: the real `Talk`, with ids from its own chance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shared.contracts.base import Contract
from shared.contracts.delivery import MarksClear
from shared.contracts.registry import MARKS, MessageType
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft, Record
from shared.exchange.topics import AUDIT
from shared.kernel.clock import Clock
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.post.stamping import sign_unnumbered
from shared.runtime.post.talk import Stating
from tests.simulation.desks import AGENCIES, HOTLINE, SERVED_BY, Writer
from tests.support.memory_outbox import Numbered, taken_mark

if TYPE_CHECKING:
    from tests.simulation.broker import ChaoticLog

AUDIT_KEY = SigningKey(bytes(range(2, 34)))


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str


class _Places:
    """As much of a directory as talking takes."""

    def kinds(self) -> dict[str, str]:
        return {HOTLINE: "hotline", AGENCIES: "law_enforcement", AUDIT: "auditor"}

    def instance(self, name: str) -> _Entry | None:
        return _Entry(name) if name in self.kinds() else None

    def instance_of(self, party: str) -> _Entry | None:
        return _Entry(SERVED_BY[party]) if party in SERVED_BY else None


PLACES = cast(DirectoryIndex, _Places())


@dataclass(frozen=True, slots=True)
class Statements(Stating):
    """Writes what an instance states."""

    writer: Writer

    def drafts(self, message: MessageType, to: str, stated: Sequence[Contract]) -> list[Draft]:
        return [self.writer.statement(message, each, sender=self.instance, recipient=to) for each in stated]


def statements(instance: str, clock: Clock, writer: Writer) -> Statements:
    return Statements(instance, lambda: PLACES, clock, writer)


class Auditor:
    """Audit as the others know it: reads all that is appended, and says to each what of its numbers it has seen."""

    def __init__(self, log: ChaoticLog, writer: Writer) -> None:
        self._log = log
        self._writer = writer
        self._asked: dict[str, MarksClear] = {}

    def asked(self, by: str, body: bytes) -> None:
        """An instance has said marks to audit."""
        self._asked[by] = MarksClear.model_validate_json(json.dumps(json.loads(body)["clear"]))

    def say_marks(self, to: str) -> Record | None:
        """To one instance, when it has said what it gave."""
        if (told := self._asked.get(to)) is None:
            return None
        given: dict[Numbered, int] = {}
        for each in told.sent:
            given[each.sender, each.recipient, each.epoch] = each.last
        seen = {of: numbers for of, numbers in self._log.audited.items() if self._log.audited_from[of] == to}
        pairs = sorted(given.keys() | seen.keys(), key=str)
        taken = [taken_mark(of, seen.get(of, {}), upto=given.get(of, 0)) for of in pairs]
        marks = MarksClear(sent=(), taken=tuple(taken), asking=False, nonce=self._writer.new_id(), answers=told.nonce)
        draft = self._writer.statement(MARKS, marks, sender=AUDIT, recipient=to)
        return self._log.append(to, sign_unnumbered(draft, self._writer.new_id(), instance=AUDIT, key=AUDIT_KEY), AUDIT)
