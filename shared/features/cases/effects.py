"""Kafka handler for referrals offered to agencies. Agencies submit none, so their messages carry no decisions.

If an origin amends a case that was passed on, the amendment is passed on in the transaction that applies it. A case
from another agency is refused if its origin has withdrawn it before. If the other agency's instance refuses a case, the
case returns to the first agency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from shared.core.acts.act import Track
from shared.core.contracts.registry import REFERRAL_OFFERED
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.message import Received
from shared.core.protocol.prepare import Documents
from shared.core.protocol.record_table import SUBJECT_WITHDRAWN
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.delivery.sending import Settlement, Unit
from shared.features.cases.rules import AGENCY, EDGE_EXISTS
from shared.features.cases.service import Refusals, come_back, pass_on_amended
from shared.features.cases.store.cases import PostgresCases
from shared.features.cases.store.passed_cases import taken_back_before
from shared.features.contacts.rules import check_contact
from shared.features.contacts.store import contacts_known
from shared.features.preservation.effects import PreservationHandler
from shared.features.preservation.store import PostgresPreservations
from shared.features.received.api import RecipientFeature
from shared.features.received.effects import RecipientHandler
from shared.features.received.rules import revision_of


class AgencyHandler(RecipientHandler):
    """The consumer's handler of agencies. `documents` returns the directory and policy in force."""

    def __init__(
        self,
        *,
        kek: KeyEncryptionKey,
        documents: Callable[[], Documents],
        now: Callable[[], datetime],
        features: Sequence[RecipientFeature],
    ) -> None:
        handler = PreservationHandler(Track.OFFER, PostgresPreservations, kek)
        acts, hear = tuple(act for each in features for act in each.feature.acts), [each.hear for each in features]
        recipient = replace(AGENCY, further=tuple(act for act in acts if act.subject is AGENCY.subject))
        super().__init__(recipient, items=PostgresCases, kek=kek, asked=handler, check=self._may_be_told, hear=hear)
        self._documents = documents
        self._now = now

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        gone = await taken_back_before(unit.connection.driver, messages)
        known = await contacts_known(unit.connection.driver, messages)
        left = [each for each in messages if each.message_id not in gone | known]
        refusals = dict.fromkeys(gone, SUBJECT_WITHDRAWN) | await super().apply(unit, left)
        amended = [each for each in messages if each.message_id not in refusals and _amends(each)]
        if amended:
            await pass_on_amended(amended, PostgresCases(unit.connection.driver, self._kek), self._documents)
        return refusals

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        await super().settled(unit, settlements)
        refused = {each.message_id: each.code or each.outcome.value for each in settlements if _is_refused(each)}
        if refused:
            cases = PostgresCases(unit.connection.driver, self._kek)
            stated = Refusals(refused, settlements[0].parties)
            await come_back(stated, cases, directory=self._documents().directory, at=self._now())

    def _may_be_told(self, message: Received) -> None:
        check_contact(message, lambda: self._documents().directory)


def _is_refused(settlement: Settlement) -> bool:
    """Return whether the other agency does not have the case. With `EDGE_EXISTS` it has the case on its own edge."""
    return settlement.outcome is ReceiptOutcome.REFUSED and settlement.code != EDGE_EXISTS


def _amends(message: Received) -> bool:
    return message.message is REFERRAL_OFFERED and revision_of(message) > 1
