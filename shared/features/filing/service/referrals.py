"""Acts of a party on its referrals, the messages to their recipients, and the daily quota.

The daily quota bounds the bytes of all records that a party files between two midnights (UTC), hashes included. Records
of a child at risk (p0) may use half as much again. A record is debited in the transaction that makes it durable, so
that processes with one database share the quota.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.acts.states import follow, happened, row
from shared.core.authority import Authority, Role
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import NOTICE_WITHDRAWN, REFERRAL_WITHDRAWN, MessageType
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused, not_found
from shared.core.guard.budget import QuotaExceeded, day_of
from shared.core.guard.charge import BYTE
from shared.core.ids import uuid4
from shared.core.protocol.clocks import EdgeStep, taken_back
from shared.core.protocol.message import Addressing, Draft, compose
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.prepare import Documents, Prepared
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.referral import PriorityLevel, WithdrawalReason
from shared.core.vocabulary.routing import Disposition
from shared.delivery.gate import debit, room_of_day
from shared.features.filing.ports import Addressee, StoredReferral
from shared.features.filing.rules import Outcome, ShownReferral
from shared.features.filing.store.referrals import PostgresReferrals
from shared.features.record_access.store import PartyStore
from shared.platform.observability.logs import log

_WITHDRAW = row(Subject.REFERRAL, "withdraw")


class Withdrawal(Contract):
    """The reason why the origin withdraws the referral."""

    reason: WithdrawalReason


async def show_referral(referral_id: UUID, acting: Actor) -> ShownReferral:
    """Return one referral with its ticks. Raises `Refused("not_found")` for absent and foreign ids."""
    acting.require("read")
    shown = await acting.referrals.show(referral_id)
    if shown is None:
        raise not_found()
    return shown


async def withdraw_referral(referral_id: UUID, reason: WithdrawalReason, acting: Actor) -> None:
    """Mark the referral withdrawn, and send a withdrawal to each recipient at every instance that had it.

    A repetition, with any reason, changes nothing and sends nothing. Raises `Refused("not_found")` for absent and
    foreign referrals. Every recipient must acknowledge; until then, the edge shows that it has not. A recipient that
    has left the directory gets no message, and its edge continues to show that.
    """
    filed = await acting.filed(referral_id, "withdraw")
    if filed.state == ReferralState.WITHDRAWN:
        return
    following, referrals = follow(_WITHDRAW, filed.state), acting.referrals
    if not await referrals.withdraw(referral_id, reason, acting.at):
        return  # another transaction withdrew it while this one waited for the row
    await referrals.note([happened(_WITHDRAW, referral_id, party=acting.party, state=following)])
    addressees = await referrals.list_addressees(referral_id)
    sender = TombstoneSender(acting.party, reason, acting.directory(), acting.at)
    await referrals.mark_withdrawn(referral_id, await sender.send(referral_id, addressees, filed, store=referrals))
    if unreachable := [each for each in addressees if not sender.reaches(each)]:
        log("withdrawal_untold", count=len(unreachable))


#: A feature's step after an amendment has changed the edges of a referral.
EdgesChanged = Callable[[UUID, "Actor"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The actor of one transaction, with its time, permits, referrals and documents. `actor` is opaque.

    Other features open their stores on the connection of `referrals`. `then` returns the documents in force at a given
    time, as known now. `day_filled` raises the alarm that the party has used up its daily quota. `owe` charges the
    party for work. `edges_changed` are the steps of features after an amendment.
    """

    party: str
    role: Role
    actor: str
    referrals: PostgresReferrals
    kek: KeyEncryptionKey
    authority: Authority
    directory: Callable[[], DirectoryIndex]
    documents: Callable[[], Documents]
    then: Callable[[datetime], Documents]
    instance: str
    at: datetime
    day_filled: Callable[[], None]
    owe: Callable[[int], None]
    edges_changed: Sequence[EdgesChanged] = ()

    def require(self, action: str, state: str = Disposition.ROUTED) -> None:
        """Check the role before any look-up. Raises `Refused("forbidden")` for a role that never may.

        Every decided referral may be read and withdrawn, so the default state represents them all.
        """
        self.authority.require("referral", self.role, action=action, state=state)

    async def filed(self, referral_id: UUID, action: str) -> StoredReferral:
        """Return the referral to act on. Raises `Refused`: `forbidden`, `not_found` for absent and foreign ones."""
        self.require(action)
        found = await self.referrals.find(referral_id)
        if found is None:
            raise not_found()
        return found

    async def send(
        self, message: MessageType, clear: Contract, filed: StoredReferral, *, subject: UUID, to: str, place: str
    ) -> None:
        """Send a message to a recipient at the instance `place`, unless one of them has left the directory."""
        directory = self.directory()
        if directory.party(to) is None or directory.instance(place) is None:
            return
        addressing = Addressing(
            subject=subject,
            sender=self.party,
            recipient=to,
            directory=directory,
            exercise=filed.exercise,
            at=self.at,
            traceparent=filed.traceparent,
            place=place,
        )
        await self.referrals.send([compose(message, clear, addressing)])


@dataclass(frozen=True, slots=True)
class OriginSender:
    """The context for messages about the referrals of one instance, by the current directory."""

    directory: DirectoryIndex
    instance: str
    at: datetime

    def compose(
        self,
        message: MessageType,
        said: Contract,
        *,
        of: UUID,
        sender: str,
        to: str,
        exercise: bool,
        sealed: bytes | None = None,
    ) -> list[Draft]:
        """Compose one message; none if the recipient has left, or if another instance serves the origin now."""
        directory = self.directory
        if not directory.serves(self.instance, sender) or directory.instance_of(to) is None:
            return []
        addressing = Addressing(
            subject=of, sender=sender, recipient=to, directory=directory, exercise=exercise, at=self.at
        )
        return [compose(message, said, addressing, sealed=sealed)]


@dataclass(frozen=True, slots=True)
class TombstoneSender:
    """The context for withdrawals of a party: their reason, the directory and the time."""

    party: str
    reason: WithdrawalReason
    directory: DirectoryIndex
    at: datetime

    async def send(
        self, referral_id: UUID, addressees: Sequence[Addressee], filed: StoredReferral, *, store: PartyStore
    ) -> list[tuple[UUID, Addressee]]:
        """Send a withdrawal to each reachable recipient, and end all deadlines. Return each current holder's message.

        An instance that a recipient has left need not acknowledge. A recipient that has left the directory gets no
        message.
        """
        steps = [
            EdgeStep.by(self.party, each.notice_id or referral_id, each.recipient, step=step)
            for each in addressees
            for step in taken_back(self.at)
        ]
        await store.clock((), steps)
        sent = [(self.compose(referral_id, each, filed), each) for each in addressees if self.reaches(each)]
        await store.send([draft for draft, _ in sent])
        return [(draft.message_id, each) for draft, each in sent if each.is_current]

    def compose(self, referral_id: UUID, to: Addressee, filed: StoredReferral) -> Draft:
        """Compose the withdrawal for a recipient at one instance. A provider learns only the notice's id."""
        named = {"notice_id": str(to.notice_id)} if to.notice_id else {"referral_id": str(referral_id), "revision": 1}
        addressing = Addressing(
            subject=to.notice_id or referral_id,
            origin=referral_id,
            sender=self.party,
            recipient=to.recipient,
            directory=self.directory,
            exercise=filed.exercise,
            at=self.at,
            traceparent=filed.traceparent,
            place=to.instance,
        )
        message = NOTICE_WITHDRAWN if to.notice_id else REFERRAL_WITHDRAWN
        return compose(message, named | {"act": str(uuid4()), "reason": self.reason.value}, addressing)

    def reaches(self, addressee: Addressee) -> bool:
        """Return whether the directory still has the recipient and its instance."""
        directory = self.directory
        return directory.party(addressee.recipient) is not None and directory.instance(addressee.instance) is not None


class Debit(NamedTuple):
    """The debit of one record that the party files, or that a second person releases, in sixteenths of a bit."""

    party: str
    spent: int
    is_p0: bool

    @classmethod
    def of(cls, filed: Prepared) -> Debit:
        """Return the debit of a filing. A filing that waits for a second person is debited at its release."""
        return cls(filed.origin, filed.spent.whole, filed.facts["priority"] == PriorityLevel.P0_CHILD_AT_RISK)

    def room(self, directory: DirectoryIndex, *, released: bool = False) -> int:
        """Return the limit of the day after this record: see `room_of_day`."""
        return room_of_day(directory.quota(self.party) * BYTE, is_p0=self.is_p0, released=released)


async def debit_one(spent: int, acting: Actor, *, is_p0: bool, released: bool = False) -> None:
    """Debit a cost in sixteenths of a bit. Raises `QuotaExceeded` if the day has no room, as `Debit.room` says."""
    driver, each, day = acting.referrals.driver, Debit(acting.party, spent, is_p0), day_of(acting.at)
    after, directory = await debit(driver, day, {each.party: each.spent}), acting.documents().directory
    if after[each.party] <= each.room(directory):
        return
    acting.day_filled()
    if after[each.party] > each.room(directory, released=released):
        await debit(driver, day, {each.party: -each.spent})
        raise QuotaExceeded(acting.at)


def fitting(debits: Sequence[Debit], spent: Mapping[str, int], directory: DirectoryIndex) -> list[bool]:
    """Return whether each record fits into its party's quota after the earlier ones. `spent` includes all of them.

    Those of p0 come first.
    """
    before = {party: spent[party] - own for party, own in sum_by_party(debits).items()}
    fits = [False] * len(debits)
    for place, each in sorted(enumerate(debits), key=lambda placed: not placed[1].is_p0):
        after = before[each.party] + each.spent
        if after <= each.room(directory):
            fits[place], before[each.party] = True, after
    return fits


def rooms_of(debits: Sequence[Debit], directory: DirectoryIndex) -> dict[str, int]:
    """Return what each party may have used after these debits: its quota, or that of p0 if all are of p0."""
    last = {each.party: each for each in sorted(debits, key=lambda each: not each.is_p0)}
    return {party: each.room(directory) for party, each in last.items()}


def sum_by_party(debits: Sequence[Debit]) -> Mapping[str, int]:
    """Add up the debits of each party."""
    spent = Counter[str]()
    for each in debits:
        spent[each.party] += each.spent
    return spent


def claiming(outcomes: Mapping[int, Sequence[Outcome]]) -> list[int]:
    """Return the requests whose keys are claimed. A request that only the daily quota stopped may be repeated."""
    return [index for index, each in outcomes.items() if not _may_come_again(each)]


def _may_come_again(outcomes: Sequence[Outcome]) -> bool:
    """Return whether a request filed nothing and the daily quota was one of the reasons."""
    return all(isinstance(each, Refused) for each in outcomes) and any(
        isinstance(each, QuotaExceeded) for each in outcomes
    )
