"""What an origin does with a referral that it has filed, within a transaction: whichever door asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, assert_never
from uuid import UUID

from shared.contracts.answers import ItemChecks
from shared.contracts.base import Contract
from shared.contracts.holds import Confirming, Overriding
from shared.contracts.questions import Reply, Verdict
from shared.contracts.transfers import Transferring
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act, Subject
from shared.exchange.origin import ReferralState
from shared.exchange.prepare import Documents
from shared.exchange.states import row
from shared.kernel.authority import Authority
from shared.kernel.clock import Clock
from shared.party.origin.api.changes import Changed
from shared.party.origin.domain import AnsweredQuestion, CheckedReferral, ReviewedReferral, WithdrawnReferral
from shared.party.origin.store.amendments import PostgresAmendments
from shared.party.origin.store.checks import PostgresIssued
from shared.party.origin.store.holds import PostgresHolds
from shared.party.origin.store.referrals import PostgresReferrals
from shared.party.origin.store.reviews import PostgresReviews
from shared.party.origin.store.transfers import PostgresTransfers
from shared.party.origin.use_cases.alarms import Alarms, Kind
from shared.party.origin.use_cases.amend import Changing
from shared.party.origin.use_cases.checks import check_items
from shared.party.origin.use_cases.holds import Holding, Override
from shared.party.origin.use_cases.questions import answer_question
from shared.party.origin.use_cases.referrals import Acting, Withdrawal, withdraw_referral
from shared.party.origin.use_cases.reviews import DROP, RELEASE, Reviewing, drop_referral, release_referral
from shared.party.origin.use_cases.transfers import Letters, Transferer
from shared.party.questions.store import PostgresQuestions
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Session
from shared.runtime.http.identity import Identity

WITHDRAW: Final = row(Subject.REFERRAL, "withdraw")
#: What an act does within its transaction.
Doing = Callable[[Session], Awaitable[Contract]]
#: What is said in an act of an origin. Nothing: a second person lets it go, or drops it.
Words = Withdrawal | ItemChecks | Reply | Verdict | Overriding | Confirming | Transferring


@dataclass(frozen=True, slots=True, kw_only=True)
class Doings:
    """Makes them. `then` are the documents of a time, as known now; `owe` charges a party for work."""

    alarms: Alarms
    authority: Authority
    directory: Callable[[], DirectoryIndex]
    documents: Callable[[], Documents]
    kek: KeyEncryptionKey
    clock: Clock
    then: Callable[[datetime], Documents]
    instance: str
    owe: Callable[[str, int], None]

    def acting(self, identity: Identity, session: Session) -> Acting:
        """Who acts, on what, within a transaction."""
        return Acting(
            identity.party,
            identity.role,
            PostgresReferrals(session.driver, self.kek),
            authority=self.authority,
            directory=self.directory,
            at=self.clock.now(),
        )

    def doing(self, act: Act, referral_id: UUID, said: Contract | None, *, identity: Identity) -> Doing:
        """What does this act, with these words of it."""
        if act in (RELEASE, DROP):
            return self._reviewing(act, referral_id, identity)
        assert isinstance(said, Words)

        async def do(session: Session) -> Contract:
            return await self._said(referral_id, said, identity, session=session)

        return do

    def changing(self, wanted: Changed, identity: Identity) -> Doing:
        """What changes the content of a referral."""

        async def change(session: Session) -> Contract:
            changing = Changing(
                identity.party,
                identity.role,
                PostgresAmendments(session.driver, self.kek),
                PostgresHolds(session.driver),
                self.instance,
                authority=self.authority,
                documents=self.documents,
                then=self.then,
                at=self.clock.now(),
                day_filled=partial(self.alarms.alarm, identity.party, Kind.DAY_FILLED),
                owe=partial(self.owe, identity.party),
            )
            return await wanted(changing)

        return change

    async def _said(self, referral_id: UUID, said: Words, identity: Identity, *, session: Session) -> Contract:
        acting = self.acting(identity, session)
        match said:
            case Withdrawal():
                await withdraw_referral(referral_id, said.reason, acting)
                return WithdrawnReferral(referral_id=referral_id, state="withdrawn")
            case ItemChecks():
                state = await check_items(referral_id, said, acting, edges=PostgresIssued(session.driver))
                return CheckedReferral.model_validate({"referral_id": referral_id, "state": state})
            case Reply() | Verdict():
                state = await answer_question(referral_id, said, acting, store=PostgresQuestions(session.driver))
                return AnsweredQuestion.model_validate({"referral_id": referral_id, "state": state})
            case Overriding() | Confirming():
                holding = Holding(PostgresHolds(session.driver), self.documents, self.instance, acting.at)
                override = Override(identity.party, identity.role, identity.actor, self.authority, holding)
                if isinstance(said, Overriding):
                    return await override.propose(referral_id, said)
                return await override.confirm(referral_id, said)
            case Transferring():
                letters = Letters(self.directory(), self.instance, acting.at)
                store = PostgresTransfers(session.driver)
                transferer = Transferer(
                    identity.party, identity.role, self.authority, store, letters, owe=partial(self.owe, identity.party)
                )
                return await transferer.transfer(referral_id, said)
        assert_never(said)

    def _reviewing(self, act: Act, referral_id: UUID, identity: Identity) -> Doing:
        """What lets a referral go, or drops it, as a second person."""
        doing = {RELEASE: release_referral, DROP: drop_referral}[act]

        async def review(session: Session) -> ReviewedReferral:
            reviewing = Reviewing(
                identity.party,
                identity.role,
                identity.actor,
                PostgresReviews(session.driver, self.kek),
                authority=self.authority,
                documents=self.documents,
                at=self.clock.now(),
                day_filled=partial(self.alarms.alarm, identity.party, Kind.DAY_FILLED),
            )
            state = await doing(referral_id, reviewing)
            return ReviewedReferral(referral_id=referral_id, state=ReferralState(state))

        return review
