"""Contact suggestions to agencies.

Contact is suggested in a separate step, after the answers and links that it depends on. Each of those records its
referral in its own transaction, so that the last one finds all others there. A suggestion neither goes to an agency
that has not opted in nor names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.core.acts.states import Event
from shared.core.protocol.message import Draft
from shared.core.routing.directory_index import DirectoryIndex
from shared.features.contacts.contract import CONTACT_SUGGESTED, Contact, ContactSuggestedClear
from shared.features.contacts.store import CaseMatch, PostgresContacts
from shared.features.filing.ports import AnswerFollower, AppliedAnswers
from shared.features.filing.service.redecide import DecidedAgain
from shared.features.filing.service.referrals import OriginSender
from shared.features.filing.store.edges import PostgresEdges
from shared.platform.database.failure_isolation import ClaimedBatch


@dataclass(frozen=True, slots=True)
class ContactQueue(AnswerFollower):
    """The queue of referrals about which agencies may get contact suggestions."""

    contacts: PostgresContacts

    async def apply(self, answers: AppliedAnswers) -> Sequence[Event]:
        """Queue the referrals that agencies have accepted. They may share a case or location with others."""
        await self.contacts.note_accepted(answers.results)
        return ()


async def suggest_again(edges: PostgresEdges, again: Sequence[DecidedAgain], _: OriginSender) -> Sequence[DecidedAgain]:
    """Queue the referrals whose edges are sent again: their agencies get their suggestions again."""
    anew = [(each.referral_id, one.recipient) for _, each in again for one in each.emitted if one.notice_id is None]
    await PostgresContacts(edges.driver).meet_again(anew)
    return again


async def suggest_contacts(
    contacts: PostgresContacts, taking: ClaimedBatch, directory: DirectoryIndex, *, instance: str, at: datetime
) -> None:
    """Send the contact suggestions of one batch. `instance` serves the origins."""
    due = await contacts.due(taking)
    among = [each for each in directory.contactable if _can_be_told(each, directory, at)]
    if due and among:
        met = await contacts.met(due, among)
        await contacts.send([each for one in met for each in _suggested(one, OriginSender(directory, instance, at))])


def _can_be_told(agency: str, directory: DirectoryIndex, at: datetime) -> bool:
    """Return whether an agency has a sealing key now. Without this check, one agency would delay all others."""
    instance = directory.instance_of(agency)
    return instance is not None and directory.sealing_key(instance.id, at) is not None


def _suggested(met: CaseMatch, letters: OriginSender) -> Sequence[Draft]:
    """Compose one suggestion; none if another instance serves the origin now."""
    clear = ContactSuggestedClear(referral_id=met.referral_id, revision=met.revision)
    told = {"agency": met.other_agency, "ground": met.reason, "their_referral_id": met.other_referral_id}
    return letters.compose(
        CONTACT_SUGGESTED,
        clear,
        of=met.referral_id,
        sender=met.party,
        to=met.agency,
        exercise=met.exercise,
        sealed=Contact.model_validate(told).model_dump_json().encode(),
    )
