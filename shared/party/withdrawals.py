"""Every withdrawal is answered and every keeping ends: what a recipient's service does where no person has.

    taken back   unanswered for so many hours: kept where a rule says so (`shared.exchange.keeping`), else erased
    kept until   the day is over: erased, and its origin told

The same messages as a person's, in a transaction that also moves the item. Any number of processes may look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from shared.contracts.answers import Erasure, WithdrawalAnswer
from shared.exchange.act import Act
from shared.exchange.acts import ERASE
from shared.exchange.keeping import reason_to_keep
from shared.exchange.states import row
from shared.party.by_rule import ByRule, ItemsOf, Ruling, look_for_ever
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
