"""Automation: acts that a recipient's service does by rule if no person has acted, with the same messages.

    withdrawal   No answer within some hours: retain by rule (`shared.core.protocol.retention_grounds`), or erase.
    retention    The last day is over: erase the record, and inform its origin.
    question     No answer before the deadline: let it lapse.

Each act is one transaction with the change of the item. Any number of processes can run this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import asyncpg

from shared.core.acts.act import Act
from shared.core.acts.states import may_come_in, row
from shared.core.acts.table import ERASE, LAPSE
from shared.core.authority import Role
from shared.core.clock import Clock
from shared.core.contracts.answers import Erasure, WithdrawalAnswer
from shared.core.contracts.base import Contract
from shared.core.contracts.questions import LapsedQuestion
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Unavailable
from shared.core.protocol.retention_grounds import reason_to_keep
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import WithdrawalFate
from shared.core.vocabulary.judgement import KEPT_DAYS, RetentionClass
from shared.instance.app import App
from shared.party.attention import AttentionSource
from shared.party.failure_isolation import ClaimedBatch, Isolation
from shared.party.questions.store import PostgresQuestions, raised_waits
from shared.party.recipient.domain import HeldItem, ItemKey, RecipientKind
from shared.party.recipient.store.items import PostgresItems
from shared.party.recipient.use_cases import ItemActor, carry_out
from shared.platform.database.changes import Changes
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.observability.logs import log
from shared.platform.observability.retry_backoff import RetryBackoff

#: The most items in one transaction.
BATCH: Final = 50
LOOK_EVERY_S: Final = 5.0
#: The items of one kind within a transaction.
ItemsOf = Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems]


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """An instance that acts by rule for its parties. Any number of processes can do this at once."""

    recipient: RecipientKind
    database: Database
    items: ItemsOf
    kek: KeyEncryptionKey
    instance: str
    directory: Callable[[], DirectoryIndex]
    clock: Clock
    aside: RetryBackoff = field(default_factory=RetryBackoff)

    async def batch(
        self, work: str, do: Callable[[AutomatedAct], Awaitable[object]], parties: Sequence[str] | None = None
    ) -> int:
        """Process a batch of due items in one transaction; after a failure, each alone. Return their number.

        The batch covers `parties`; by default all parties that are not suspended. Raises `Unavailable`.
        """
        directory = self.directory()
        of = directory.heard_of(directory.parties_of(self.instance)) if parties is None else parties

        async def in_transaction(taking: ClaimedBatch) -> None:
            async with self.database.transaction(RowScope(of, Role.SERVICE, "apply")) as session:
                await do(AutomatedAct(self, session, self.items(session.driver, self.kek), directory, taking))

        return await Isolation(self.aside, self.clock).batch(work, BATCH, in_transaction)

    def unheard(self) -> Sequence[str]:
        """Return the suspended parties. Other instances refuse all messages from them."""
        directory = self.directory()
        return [each for each in directory.parties_of(self.instance) if directory.is_suspended(each)]


@dataclass(frozen=True, slots=True)
class AutomatedAct:
    """Acts by rule in one transaction, limited to the rows of its `taking`."""

    rule: Automation
    session: Session
    items: PostgresItems
    directory: DirectoryIndex
    taking: ClaimedBatch

    async def act(self, act: Act, due: Sequence[ItemKey], said: Callable[[HeldItem], Contract]) -> None:
        """Do the act on each due item, and inform its origin. Each key occurs once."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            item, at = found[key], self.rule.clock.now()
            actor = self.rule.kek.actor_id(item.party, b"")
            acting = ItemActor(item.party, Role.SERVICE, actor, self.items, self.directory, at)
            await carry_out(act, item, said=said(item), acting=acting)

    async def erase(self, due: Sequence[ItemKey]) -> None:
        """Erase the record of each due item without a message."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            await self.items.erase(found[key])


async def look_for_ever(changes: Changes, look: Callable[[], Awaitable[int]], waits: Callable[[str], None]) -> None:
    """Call `look` forever: again at once after work was done, else after a pause.

    `waits` is called with a code if the database or a document is unavailable.
    """
    while True:
        try:
            while await look():
                pass
        except Unavailable as error:
            waits(error.code)
        await changes.pause(LOOK_EVERY_S)


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
        await ruling.act(act, list(due), lambda item: self._said(item, due[item.subject_id, item.party]))

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

    def _said(self, item: HeldItem, classes: Sequence[str]) -> WithdrawalAnswer:
        """Return the answer to a withdrawal. Of several retention classes the longest counts.

        A record that is erased already is reported as erased.
        """
        if item.gone:
            return WithdrawalAnswer(fate=WithdrawalFate.ERASED)
        known = [each for each in RetentionClass if each.value in classes]
        retention = max(known, key=lambda each: KEPT_DAYS[each], default=None)
        kept = reason_to_keep(self._rule.recipient.subject, item.said, retention=retention, at=self._rule.clock.now())
        return WithdrawalAnswer(fate=WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT, kept=kept)


class QuestionExpiry:
    """The lapsing of overdue questions that parties of one instance have asked."""

    def __init__(self, rule: Automation) -> None:
        self._rule = rule
        self._act = row(rule.recipient.subject, LAPSE)
        self._open_in = sorted(may_come_in(self._act))

    async def run(self) -> None:
        """Run forever."""
        await look_for_ever(self._rule.database.changes, self.look, lambda code: log("question_waits", code=code))

    async def look(self) -> int:
        """Let a batch of overdue questions lapse and return their number. Raises `Unavailable`."""
        return await self._rule.batch(self._act.name, self._lapse_due)

    async def _lapse_due(self, ruling: AutomatedAct) -> None:
        taking = ruling.taking
        due = await PostgresQuestions(ruling.session.driver).lapsed(
            self._rule.clock.now(), open_in=self._open_in, limit=taking.limit, but=taking.but
        )
        taking.note([(subject, party) for party, subject, _ in due])
        for party, subject, number in due:
            await ruling.act(self._act, [(subject, party)], partial(_lapsed, number))


def _lapsed(number: int, _: HeldItem) -> LapsedQuestion:
    return LapsedQuestion(question=number)


def with_rules(app: App, recipient: RecipientKind, items: ItemsOf) -> App:
    """Return the service with two more parts: one for withdrawals and retention, one for overdue questions."""
    machinery = app.machinery
    rule = Automation(
        recipient=recipient,
        database=machinery.database,
        items=items,
        kek=machinery.keys.kek,
        instance=machinery.instance,
        directory=machinery.directory,
        clock=machinery.clock,
        aside=machinery.aside,
    )
    withdrawals = Withdrawals(rule, answer_h=machinery.settings.withdrawal_answer_h)
    return replace(app, parts=app.parts | {"withdrawals": withdrawals.run, "lapses": QuestionExpiry(rule).run})


def own_questions(recipient: RecipientKind) -> AttentionSource:
    """Build the attention source of the party's own questions and disputes."""
    subject = recipient.subject
    open_in = sorted(may_come_in(row(subject, LAPSE)))
    look = partial(raised_waits, subject=subject, open_in=open_in)
    return AttentionSource(subject.value, recipient.first, look)
