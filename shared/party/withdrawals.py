"""What a recipient's service does where no person has: withdrawals are answered, keepings end, questions lapse.

    taken back   unanswered for so many hours: kept where a rule says so (`shared.exchange.keeping`), else erased
    kept until   the day is over: erased, and its origin told
    asked        nobody has answered in its time: it lapses

The same messages as a person's, in a transaction that also moves the item. Any number of processes may look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from shared.contracts.answers import WithdrawalAnswer
from shared.contracts.erasures import Erasure
from shared.contracts.questions import LapsedQuestion
from shared.exchange.act import Act
from shared.exchange.keeping import reason_to_keep
from shared.exchange.rows.erasures import ERASE
from shared.exchange.rows.questions import LAPSE
from shared.exchange.states import may_come_in, row
from shared.party.attention import Source
from shared.party.by_rule import ByRule, ItemsOf, Ruling, look_for_ever
from shared.party.questions.store import PostgresQuestions, raised_waits
from shared.party.recipient.domain import Item, ItemKey, RecipientKind
from shared.runtime.instance.app import App
from shared.runtime.watch.logs import log
from shared.vocabulary.answers import WithdrawalFate
from shared.vocabulary.judgement import KEPT_DAYS, RetentionClass

#: The act of a person that the service does instead.
_ANSWER: Final = "acknowledge_withdrawal"
#: What it is called where one of them is set aside.
_ERASE_UNTOLD: Final = "erase_untold"


class Withdrawals:
    """What is owed to withdrawals at one instance, by the parties that it serves. `answer_h`: how long people have."""

    def __init__(self, rule: ByRule, *, answer_h: float) -> None:
        self._rule = rule
        self._answer_h = answer_h

    async def run(self) -> None:
        """Look for ever."""
        await look_for_ever(self.look, lambda code: log("withdrawal_waits", code=code))

    async def look(self) -> int:
        """Answer and erase what is due, a batch of each; how many items that were. Raises `Unavailable`."""
        subject = self._rule.recipient.subject
        answer, erase, unheard = row(subject, _ANSWER), row(subject, ERASE), self._rule.unheard()
        try:
            answered = await self._rule.batch(answer.name, partial(self._answer, answer))
        finally:  # what is to be erased waits for no answer, nor for somebody to hear of it
            erased = await self._rule.batch(erase.name, partial(self._erase, erase))
            if unheard:
                erased += await self._rule.batch(_ERASE_UNTOLD, self._erase_untold, unheard)
        return answered + erased

    async def _answer(self, act: Act, ruling: Ruling) -> None:
        due = await ruling.items.taken_back(self._answer_h * 3600, ruling.taking.limit, but=ruling.taking.but)
        ruling.taking.note(list(due))
        await ruling.act(act, list(due), lambda item: self._said(item, due[item.subject_id, item.party]))

    async def _erase(self, act: Act, ruling: Ruling) -> None:
        await ruling.act(act, await self._over(ruling), lambda _: Erasure(fate=WithdrawalFate.ERASED))

    async def _erase_untold(self, ruling: Ruling) -> None:
        """The day is kept of who is suspended, too; it is said once they are served again, by `_erase`."""
        await ruling.erase(await self._over(ruling, there=True))

    async def _over(self, ruling: Ruling, *, there: bool = False) -> Sequence[ItemKey]:
        before, taking = self._rule.clock.now().date(), ruling.taking
        due = await ruling.items.kept_until(before, taking.limit, but=taking.but, there=there)
        taking.note(due)
        return due

    def _said(self, item: Item, classes: Sequence[str]) -> WithdrawalAnswer:
        """Of several classes the one that lasts longest; of what is gone already, that it is."""
        if item.gone:
            return WithdrawalAnswer(fate=WithdrawalFate.ERASED)
        known = [each for each in RetentionClass if each.value in classes]
        retention = max(known, key=lambda each: KEPT_DAYS[each], default=None)
        kept = reason_to_keep(self._rule.recipient.subject, item.said, retention=retention, at=self._rule.clock.now())
        return WithdrawalAnswer(fate=WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT, kept=kept)


def with_withdrawals(app: App, recipient: RecipientKind, items: ItemsOf) -> App:
    """The service with one part more, which answers withdrawals and ends what was kept."""
    rule = ByRule.at(app.machinery, recipient, items)
    withdrawals = Withdrawals(rule, answer_h=app.machinery.settings.withdrawal_answer_h)
    return replace(app, parts=app.parts | {"withdrawals": withdrawals.run})


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
