"""What a recipient's service does with what its parties ask: it stands on their lists, and lapses in its time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from shared.contracts.questions import LapsedQuestion
from shared.exchange.acts import LAPSE
from shared.exchange.states import may_come_in, row
from shared.party.attention import Source
from shared.party.by_rule import ByRule, ItemsOf, Ruling, look_for_ever
from shared.party.questions.store import PostgresQuestions, raised_waits
from shared.party.recipient.domain import ItemKey, RecipientKind
from shared.runtime.instance.app import App
from shared.runtime.watch.logs import log


class Lapses:
    """What parties of one instance have asked and nobody has answered in its time."""

    def __init__(self, rule: ByRule) -> None:
        self._rule = rule
        self._act = row(rule.recipient.subject, LAPSE)
        self._open_in = sorted(may_come_in(self._act))

    async def run(self) -> None:
        """Look for ever."""
        await look_for_ever(self.look, lambda code: log("question_waits", code=code))

    async def look(self) -> int:
        """Say of a batch that it lapsed; how many questions that were. Raises `Unavailable`."""
        return await self._rule.batch(self._act.name, self._lapse_due)

    async def _lapse_due(self, ruling: Ruling) -> None:
        taking = ruling.taking
        due = await PostgresQuestions(ruling.session.driver).lapsed(
            self._rule.clock.now(),
            open_in=self._open_in,
            limit=taking.limit,
            but=taking.but,
        )
        taking.note([(subject, party) for party, subject, _ in due])
        for party, subject, number in due:
            await self._lapse(ruling, (subject, party), number)

    async def _lapse(self, ruling: Ruling, key: ItemKey, number: int) -> None:
        lapsed = LapsedQuestion(question=number)
        await ruling.act(self._act, [key], lambda _: lapsed)


def with_lapses(app: App, recipient: RecipientKind, items: ItemsOf) -> App:
    """The service with one part more, by which questions lapse."""
    lapses = Lapses(ByRule.at(app.machinery, recipient, items))
    return replace(app, parts=app.parts | {"lapses": lapses.run})


def own_questions(recipient: RecipientKind) -> Source:
    """What stands on the lists of those who have raised it."""
    subject = recipient.subject
    open_in = sorted(may_come_in(row(subject, LAPSE)))
    look = partial(raised_waits, subject=subject, open_in=open_in)
    return Source(subject.value, recipient.first, look)
