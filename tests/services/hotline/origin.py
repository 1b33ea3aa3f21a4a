"""An origin over a real database: submit, withdraw, decide again, and inspect the outgoing messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from shared.catalog import CATALOG
from shared.core.authority import Role
from shared.core.canonical import digest
from shared.core.contracts import registry
from shared.core.contracts.base import Contract
from shared.core.contracts.referral import ReferralSubmission
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused
from shared.core.guard import edition
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.acceptance import Acceptor
from shared.core.protocol.message import Draft, Received
from shared.core.protocol.prepare import Documents
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.referral import WithdrawalReason
from shared.delivery.sending import Settlement, Unit
from shared.features.filing.api.act_handlers import OriginApi, referrals_router
from shared.features.filing.api.bodies import answer_filed
from shared.features.filing.api.checking import CheckOutcome, CheckRequest, check_posted
from shared.features.filing.effects import OriginHandler
from shared.features.filing.rules import Request, Submission
from shared.features.filing.service import referrals as use_cases
from shared.features.filing.service.alarms import Alarms
from shared.features.filing.service.intake import Intake
from shared.features.filing.service.redecide import CurrentDocuments
from shared.features.filing.service.referrals import Actor
from shared.features.filing.store.attention import ERASE_AGAIN, keep_alarm
from shared.features.filing.store.intake import PostgresFilings
from shared.features.offers.rules import AUTHORITY
from shared.instance.parties import FEATURES, answer_followers
from shared.platform.admission.budgets import BudgetLimits, Budgets
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.http.identity import Identity
from tests.services.deliveries import received
from tests.services.doors import ACTOR, asking, door, serving
from tests.services.outgoing import forget_sent, keep_sent, sent_by
from tests.support.builders import AT, HOTLINE, PROVIDER, settlement
from tests.support.exchange_world import SUBMISSION, World, submission
from tests.support.manual_clock import ManualClock

KEK = KeyEncryptionKey(bytes(range(32)))
APPLYING = RowScope([HOTLINE], Role.SERVICE, "apply")
_references = count(1)


@dataclass
class Origin:
    """The sample hotline. Its messages stay in its streams, where no relay reads them."""

    database: Database
    world: World

    def __post_init__(self) -> None:
        self.clock = ManualClock(AT)
        signing = self.world.keys["hotline"].signing
        self.acceptor = Acceptor("hotline", signing, edition(), merge_delay_s=86_400)
        self.budgets = Budgets(BudgetLimits(1_000, 10_000_000), self.clock)
        self.alarms = Alarms(
            partial(keep_alarm, self.database), clock=self.clock, name_of=lambda party: KEK.actor_id(party, b"")
        )
        self.intake = self.intake_of()
        on = serving(self.database, "hotline", kek=KEK, directory=self.world.documents.directory, owe=self.budgets.owe)
        self.api = OriginApi(
            serving=replace(on, directory=lambda: self._documents().directory, clock=self.clock),
            intake=self.intake,
            checking=self._checked,
            alarms=self.alarms,
            documents=self._documents,
            then=lambda at: self.world.documents_at(at),
            instance="hotline",
            features=FEATURES,
        )
        keep_sent(self.database, "hotline", signing=signing, clock=self.clock)
        self.bus = OriginHandler(
            self.database,
            law=self.law(),
            instance="hotline",
            kek=KEK,
            clock=self.clock,
            unreleased_days=7,
            catalog=CATALOG,
        )
        following = partial(answer_followers, instance="hotline", features=FEATURES)
        again = [each.sent_again for each in FEATURES if each.sent_again is not None]
        self.bus = replace(self.bus, followers=following, sent_again=again)

    def intake_of(self, **bounds: Any) -> Intake:
        """Return an intake of this origin with these bounds."""
        return Intake(
            PostgresFilings(self.database, KEK),
            answering=partial(answer_filed, acceptor=self.acceptor),
            authority=AUTHORITY,
            documents=lambda: self._documents(),
            instance="hotline",
            clock=self.clock,
            owe=self.budgets.owe,
            alarms=self.alarms,
            **bounds,
        )

    def door(self) -> httpx.AsyncClient:
        """Return a client of the hotline's own HTTP routes for its own referrals."""
        return door(referrals_router(self.api))

    async def file(self, *, traceparent: str | None = None, **changes: Any) -> UUID:
        """Submit a referral that reaches a hotline, three agencies and a provider."""
        (referral_id,) = await self.file_all([changes], traceparent=traceparent)
        return referral_id

    async def file_all(self, referrals: Sequence[Mapping[str, Any]], *, traceparent: str | None = None) -> list[UUID]:
        """Submit referrals with these changes in one request."""
        contents = [submission(external_ref=f"ref-{next(_references)}", **changes) for changes in referrals]
        async with self.intake.running():
            answer = await self.intake.submit(self.request(*contents, traceparent=traceparent, single=False))
        results = json.loads(answer.body)["results"]
        assert {each["status"] for each in results} == {202}
        return [UUID(each["referral_id"]) for each in results]

    def request(
        self, *contents: ReferralSubmission | Refused, traceparent: str | None = None, single: bool | None = None
    ) -> Request:
        """Return one request with these submissions, or refusals of them."""
        party, filed = self.intake.origin(HOTLINE), list[Submission]()
        for each in contents:
            posted = digest(repr(each).encode())
            filed.append(Submission(party, Role.MACHINE, each, traceparent, body_sha256=posted, actor=ACTOR))
        return Request(filed, uuid7().bytes * 2, bytes(32), len(filed) == 1 if single is None else single)

    async def withdraw(
        self, referral_id: UUID, reason: WithdrawalReason, *, party: str = HOTLINE, role: Role = Role.ANALYST
    ) -> None:
        async with self.database.transaction(RowScope([party], role, "withdraw")) as session:
            await use_cases.withdraw_referral(referral_id, reason, self.acting(session, party, role))

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        """Return the referral as its party sees it."""
        async with self.database.transaction(RowScope([HOTLINE], Role.ANALYST, "read")) as session:
            shown = await use_cases.show_referral(referral_id, self.acting(session))
        return shown.model_dump(mode="json", exclude_defaults=True)

    async def edge(self, referral_id: UUID, recipient: str = PROVIDER) -> dict[str, Any]:
        """Return the referral's edge to a recipient, as its party sees it."""
        edges: list[dict[str, Any]] = (await self.show(referral_id))["edges"]
        return next(each for each in edges if each["recipient"] == recipient)

    async def notice_id(self, referral_id: UUID) -> UUID:
        return UUID((await self.edge(referral_id))["notice_id"])

    async def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run a statement in a transaction of the instance, and return its rows."""
        async with self.database.transaction(APPLYING) as session:
            return await session.driver.fetch(statement, *arguments)

    async def erase(self, referral_id: UUID) -> None:
        """Erase the record of a referral."""
        await self.sql(ERASE_AGAIN, [referral_id], [HOTLINE])

    async def work(self, reason: str) -> list[UUID]:
        """Return the unrouted referrals with this reason, newest first."""
        async with self.database.transaction(RowScope([HOTLINE], Role.ANALYST, "read")) as session:
            page = await self.acting(session).referrals.work(HOTLINE, reason=reason, cursor=None, limit=9)
        return [item.referral_id for item in page.items]

    def law(self) -> CurrentDocuments:
        """Return the documents by which this origin decides. Earlier documents do not expire."""
        return CurrentDocuments(now=lambda: self._documents(), at=lambda _: self.world.documents)

    async def refused(self, rows: Sequence[Draft], code: str = "decision_time_off") -> None:
        """Report the edges as stale like `told_stale`, and process the due edges."""
        await self.told_stale(rows, code)
        await self.due()

    async def told_stale(self, rows: Sequence[Draft], code: str = "decision_time_off") -> None:
        """Let the recipients of the edges in `rows` refuse them as stale; forget these messages."""
        entries = [
            settlement(each.message_id, ReceiptOutcome.REFUSED, code, by=each.recipient_instance)
            for each in rows
            if each.message.edge
        ]
        await self.heard(*entries)
        forget_sent(self.database, [entry.message_id for entry in entries])

    async def heard(self, *settlements: Settlement) -> None:
        """Apply outcomes of the origin's own messages."""
        async with self.database.transaction(APPLYING) as session:
            await self.bus.settled(Unit(session), settlements)

    async def relayed(self, *, taken: bool = True) -> None:
        """Mark all messages as appended to Kafka and, if `taken`, as accepted by their recipients' instances."""
        async with self.database.transaction() as session:
            await session.driver.execute(
                "UPDATE stream SET sent = last, acked = CASE WHEN $1 THEN last ELSE acked END", taken
            )

    async def waiting_edges(self) -> list[Draft]:
        """Return the sent messages that carry an edge."""
        return [each for each in await self.waiting() if each.message.edge]

    async def due(self) -> int:
        """Process the edges that have waited long enough; return how many."""
        return await self.bus.due(APPLYING)

    async def waiting(self) -> list[Draft]:
        """Return the sent messages, without those that the test forgot."""
        return await sent_by(self.database)

    async def forget(self) -> None:
        """Forget the messages that were sent so far."""
        forget_sent(self.database)

    def acting(self, session: Session, party: str = HOTLINE, role: Role = Role.ANALYST, *, actor: str = ACTOR) -> Actor:
        """Return the acting user of this transaction."""
        return self.api.acting(Identity(party, role, "hotline", exercise=True, actor=actor), session)

    async def _checked(self, posted: CheckRequest) -> CheckOutcome:
        """Check a submission as the checking process does."""
        return check_posted(posted, self._documents())

    def _documents(self) -> Documents:
        return self.world.documents


def said(
    name: str,
    subject: UUID,
    by: str,
    number: int = 1,
    *,
    sealed: Contract | None = None,
    instance: str | None = None,
    **words: Any,
) -> Received:
    """Return a party's message to the origin about a referral or notice. `words` are fields of the clear part."""
    message = getattr(registry, name.upper())
    about = {"notice_id": subject} if "notice_id" in message.clear.model_fields else {"referral_id": subject}
    revised = {"revision": 1} if "revision" in message.clear.model_fields else {}
    clear = message.clear.model_validate(about | revised | {"act": uuid4(), "number": number} | words)
    return received(message, clear, subject=subject, sender=by, recipient=HOTLINE, sealed=sealed, instance=instance)


def answered(notice_id: UUID, number: int, *items: dict[str, Any], **words: Any) -> Received:
    """Return the provider's answer about these items, each of the first round unless it says so."""
    stated = tuple({"n": 1, "round": 1} | each for each in items)
    return said("notice_answered", notice_id, PROVIDER, number, items=stated, **words)


def body_of(**changes: Any) -> dict[str, Any]:
    """Return the sample submission with a reference of its own."""
    return SUBMISSION | {"external_ref": f"ref-{uuid7().hex[:24]}"} | changes


async def act(
    client: httpx.AsyncClient,
    referral_id: UUID,
    name: str,
    posted: Any,
    *,
    party: str = HOTLINE,
    role: Role = Role.ANALYST,
) -> tuple[int, str]:
    """Return the status with the state after an act of the origin, or the code of its refusal."""
    headers = asking(party, role=role, key=uuid7().hex)
    answer = await client.post(f"/v1/referrals/{referral_id}:{name}", json=posted, headers=headers)
    return answer.status_code, answer.json()["state" if answer.is_success else "code"]


async def applied(origin: Origin, *messages: Received) -> list[str | None]:
    """Apply one batch of answers; return the code of each refused message, None for the others."""
    async with origin.database.transaction(APPLYING) as session:
        refusals = await origin.bus.answers(Unit(session)).apply(messages)
    return [refusals.get(message.message_id) for message in messages]
