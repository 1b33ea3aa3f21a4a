"""Withdrawals that no person answers, and records whose last day is over, by rule.

withdrawal   No answer within some hours: retain by rule (`shared.core.protocol.retention_grounds`), or erase.
retention    The last day is over: erase the record, and inform its origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from shared.core.acts.act import Act
from shared.core.acts.states import row
from shared.core.acts.table import ERASE
from shared.core.contracts.answers import Erasure, WithdrawalAnswer
from shared.core.protocol.retention_grounds import reason_to_keep
from shared.core.vocabulary.answers import WithdrawalFate
from shared.core.vocabulary.judgement import KEPT_DAYS, RetentionClass
from shared.features.received.effects import AutomatedAct, Automation, look_for_ever
from shared.features.received.rules import HeldItem, ItemKey
from shared.platform.observability.logs import log

#: The act of a person that the service does instead.
_ANSWER: Final = "acknowledge_withdrawal"
#: The name of this work in the retry backoff.
_ERASE_UNTOLD: Final = "erase_untold"


class Withdrawals:
    """The answers to withdrawals by rule, for the parties of one instance.

    People have `answer_h` hours to answer before the rule does.
    """

    def __init__(self, rule: Automation, *, answer_h: float) -> None:
        self._rule = rule
        self._answer_h = answer_h

    async def run(self) -> None:
        """Run forever."""
        await look_for_ever(self._rule.database.changes, self.look, lambda code: log("withdrawal_waits", code=code))

    async def look(self) -> int:
        """Answer one batch of due withdrawals and erase one batch of due records. Return the number of items.

        Raises `Unavailable`.
        """
        subject = self._rule.recipient.subject
        answer, erase, unheard = row(subject, _ANSWER), row(subject, ERASE), self._rule.unheard()
        try:
            answered = await self._rule.batch(answer.name, partial(self._answer, answer))
        finally:  # due erasures must not wait for failed answers, nor for the end of a suspension
            erased = await self._rule.batch(erase.name, partial(self._erase, erase))
            if unheard:
                erased += await self._rule.batch(_ERASE_UNTOLD, self._erase_untold, unheard)
        return answered + erased

    async def _answer(self, act: Act, ruling: AutomatedAct) -> None:
        due = await ruling.items.taken_back(self._answer_h * 3600, ruling.taking.limit, but=ruling.taking.but)
        ruling.taking.note(list(due))
        await ruling.act(act, list(due), lambda item: self._build_answer(item, due[item.subject_id, item.party]))

    async def _erase(self, act: Act, ruling: AutomatedAct) -> None:
        await ruling.act(act, await self._over(ruling), lambda _: Erasure(fate=WithdrawalFate.ERASED))

    async def _erase_untold(self, ruling: AutomatedAct) -> None:
        """Erase records of suspended parties on their day, too. `_erase` sends the message after the suspension."""
        await ruling.erase(await self._over(ruling, there=True))

    async def _over(self, ruling: AutomatedAct, *, there: bool = False) -> Sequence[ItemKey]:
        before, taking = self._rule.clock.now().date(), ruling.taking
        due = await ruling.items.kept_until(before, taking.limit, but=taking.but, there=there)
        taking.note(due)
        return due

    def _build_answer(self, item: HeldItem, classes: Sequence[str]) -> WithdrawalAnswer:
        """Return the answer to a withdrawal. Of several retention classes the longest counts.

        A record that is erased already is reported as erased.
        """
        if item.gone:
            return WithdrawalAnswer(fate=WithdrawalFate.ERASED)
        known = [each for each in RetentionClass if each.value in classes]
        retention = max(known, key=lambda each: KEPT_DAYS[each], default=None)
        kept = reason_to_keep(self._rule.recipient.subject, item.said, retention=retention, at=self._rule.clock.now())
        return WithdrawalAnswer(fate=WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT, kept=kept)
