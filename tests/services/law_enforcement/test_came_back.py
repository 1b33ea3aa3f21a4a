"""A referred case that the other agency's instance refuses returns to the first agency, which reports and lists it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.core.contracts.answers import CaseAcceptance
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import CaseReferral
from shared.core.contracts.holds import CaseClaim
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Received
from shared.core.protocol.prepare import Documents
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.features.cases.store.passed_cases import cases_back
from shared.platform.database.transactions import Database
from tests.services.deliveries import withdrawn
from tests.services.doors import waiting
from tests.services.law_enforcement.agency import Agencies
from tests.services.outgoing import clear_parts, sent_by
from tests.support.builders import HOTLINE, POLICE, settlement
from tests.support.exchange_world import World, world

OTHER, THIRD = "police-de.example", "police-be.example"
AT_RISK = {"level": "p0_child_at_risk"}
NEWER = "policy_not_in_force"


class Case(Agencies):
    """A case of one agency of a world, and its service."""

    parties = (POLICE,)

    def __init__(self, database: Database, here: World, offer: Received) -> None:
        super().__init__(database)
        self.here, self.directory = here, here.documents.directory
        self.referral_id, self.first = UUID(offer.subject), offer

    def documents(self) -> Documents:
        return self.here.documents

    async def do(self, name: str, said: Contract | None) -> str:
        return await self.act(name, said, self.referral_id, at=self.here.at)

    async def refer(self, to: str = OTHER) -> str:
        return await self.do("refer", CaseReferral(agency=to, reason=CaseReferReason.SUSPECT_ELSEWHERE))

    async def gone(self) -> list[UUID]:
        """Return the messages that referred it, oldest first."""
        drafts = await sent_by(self.database)
        gone = [each for each in drafts if each.subject == str(self.referral_id) and each.recipient != HOTLINE]
        return [each.message_id for each in gone]

    async def reported(
        self, outcome: ReceiptOutcome, code: str | None = None, parties: Sequence[str] = (OTHER, THIRD)
    ) -> None:
        """Report an outcome of the newest referring message, by the instance of these parties."""
        await self.settled({-1: (outcome, code)}, parties)

    async def settled(
        self, receipts: Mapping[int, tuple[ReceiptOutcome, str | None]], parties: Sequence[str] = (OTHER, THIRD)
    ) -> None:
        """Report outcomes of several referring messages in one batch, by their positions."""
        gone = await self.gone()
        said = [settlement(gone[n], outcome, code=code, parties=parties) for n, (outcome, code) in receipts.items()]
        await self.receipted(*said)

    async def is_amended(self, revision: int = 2) -> None:
        """Receive an amendment by the origin, which is passed on to the other agency."""
        clear = self.first.clear.model_copy(update={"revision": revision})
        assert await self.receive(replace(self.first, clear=clear, message_id=uuid7())) == [None]
        assert len(await self.gone()) == revision

    async def shown(self) -> dict[str, Any]:
        return await self.show(self.referral_id)

    async def waits(self) -> list[tuple[tuple[str, ...], str | None, str | None, str]]:
        rows = await waiting(self.database, cases_back, POLICE, self.referral_id)
        return [(each.reasons, each.party, each.code, each.mend.value) for each in rows]

    async def claims(self) -> list[tuple[str, int]]:
        """Return the starts and ends of the clock by which an officer must claim it.

        Each has the number of returns before it.
        """
        async with self.cases("read") as cases:
            steps = await cases._driver.fetch(
                "SELECT step->>1 AS did, (step->3)::int AS number FROM deadline, jsonb_array_elements(steps) AS step "
                "WHERE subject = $1 AND step->>2 IN ('p0_offered', 'claim') ORDER BY number, did DESC",
                self.referral_id,
            )
        return [(did, of) for did, of in steps]

    async def told(self) -> list[dict[str, Any]]:
        """Return the statements to its origin that it has returned."""
        sent = await clear_parts(self.database, self.referral_id)
        return [clear for kind, _, to, _, clear in sent if (kind, to) == ("causeway.case_came_back.v1", HOTLINE)]


async def case(agencies: Agencies, **changes: Any) -> Case:
    """Receive an offered case."""
    here = world()
    message = accept(here.records([here.offered(POLICE, **changes)])[0], here.reader("law_enforcement"))
    it = Case(agencies.database, here, message)
    assert await it.receive(message) == [None]
    return it


async def test_it_stands_again_as_it_stood_with_the_code_and_its_origin_is_told(agencies: Agencies) -> None:
    it = await case(agencies)
    await it.do("accept", CaseAcceptance(case_reference=None))
    assert await it.refer() == "referred"
    edge = (await it.shown())["timeline"][-1]
    assert await it.waits() == [], "nothing was refused so far"
    await it.reported(ReceiptOutcome.REFUSED, NEWER)
    shown = await it.shown()
    assert (shown["state"], edge["state"]) == ("accepted", "referred")
    assert {name: shown["timeline"][-1][name] for name in ("number", "state", "agency", "code")} == {
        "number": 3,
        "state": "accepted",
        "agency": OTHER,
        "code": NEWER,
    }
    assert await it.waits() == [(("came_back",), OTHER, NEWER, "refer")]
    (told,) = await it.told()
    assert (told["agency"], told["code"], told["stands"], told["times"]) == (OTHER, NEWER, "accepted", 1)


async def test_it_stays_where_another_instance_refuses_it(agencies: Agencies) -> None:
    it = await case(agencies)
    await it.refer()
    for parties in ([THIRD, HOTLINE], []):
        await it.reported(ReceiptOutcome.REFUSED, NEWER, parties)
        assert ((await it.shown())["state"], await it.told(), await it.waits()) == ("referred", [], [])
    await it.reported(ReceiptOutcome.REFUSED, NEWER, [OTHER])
    assert (await it.shown())["state"] == "offered"


async def test_it_is_referred_elsewhere_in_one_step_and_needs_nobody_then(agencies: Agencies) -> None:
    it = await case(agencies)
    await it.refer()
    await it.reported(ReceiptOutcome.REFUSED, NEWER)
    assert (await it.shown())["state"] == "offered", "it had answered nothing before"
    assert await it.refer(THIRD) == "referred"
    assert await it.waits() == []
    await it.reported(ReceiptOutcome.REFUSED, NEWER)
    assert [(each["agency"], each["times"]) for each in await it.told()] == [(OTHER, 1), (THIRD, 2)]


async def test_where_a_child_is_at_risk_somebody_is_to_claim_it_again(agencies: Agencies) -> None:
    it = await case(agencies, priority=AT_RISK)
    assert await it.claims() == [("starts", 0)]
    await it.refer()
    await it.reported(ReceiptOutcome.REFUSED, NEWER)
    assert await it.claims() == [("starts", 0), ("does", 0), ("starts", 1)]
    await it.do("claim", CaseClaim())
    # Within the same ten seconds, this act must not be taken for the act of the referral.
    assert await it.claims() == [("starts", 0), ("does", 0), ("starts", 1), ("does", 1)]


@pytest.mark.parametrize(("changes", "is_p0"), [({}, False), ({"priority": AT_RISK}, True)])
async def test_a_case_with_a_child_at_risk_is_urgent(agencies: Agencies, changes: dict[str, Any], is_p0: bool) -> None:
    it = await case(agencies, **changes)
    await it.do("accept", CaseAcceptance())
    await it.refer()
    (gone,) = await it.gone()
    assert [each.is_p0 for each in await sent_by(agencies.database) if each.message_id == gone] == [is_p0]


async def test_what_somebody_has_claimed_or_taken_up_needs_no_claim_as_it_comes_back(agencies: Agencies) -> None:
    for act, said in (("claim", CaseClaim()), ("accept", CaseAcceptance(case_reference=None))):
        it = await case(agencies, priority=AT_RISK)
        await it.do(act, said)
        await it.refer()
        await it.reported(ReceiptOutcome.REFUSED, NEWER)
        assert ("starts", 1) not in await it.claims()


async def test_it_stays_where_the_other_has_it(agencies: Agencies) -> None:
    for outcome, code in (
        (ReceiptOutcome.APPLIED, None),
        (ReceiptOutcome.WAITING, "edge_awaited"),
        (ReceiptOutcome.REFUSED, "edge_exists"),
    ):
        it = await case(agencies)
        await it.refer()
        await it.reported(outcome, code)
        assert ((await it.shown())["state"], await it.told(), await it.waits()) == ("referred", [], [])


REFUSED, TAKEN = (ReceiptOutcome.REFUSED, NEWER), (ReceiptOutcome.APPLIED, None)


@pytest.mark.parametrize(
    "receipts",
    [[{0: REFUSED}, {1: TAKEN}], [{1: TAKEN}, {0: REFUSED}], [{0: REFUSED, 1: TAKEN}], [{0: TAKEN}, {1: REFUSED}]],
    ids=["first refused", "second taken", "at once", "second refused"],
)
async def test_an_amendment_makes_it_stay(
    agencies: Agencies, receipts: list[dict[int, tuple[ReceiptOutcome, str | None]]]
) -> None:
    """An accepted message made a case there, on the edge that its origin knows, whichever message it was."""
    it = await case(agencies)
    await it.refer()
    await it.is_amended()
    for each in receipts:
        await it.settled(each)
    assert ((await it.shown())["state"], await it.told(), await it.waits()) == ("referred", [], [])
    await it.is_amended(3)
    await it.settled({2: REFUSED})
    assert ((await it.shown())["state"], await it.told()) == ("referred", [])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["in order", "the other way"])
async def test_it_comes_back_once_each_that_went_was_refused(agencies: Agencies, order: list[int]) -> None:
    it = await case(agencies)
    await it.do("accept", CaseAcceptance(case_reference=None))
    await it.refer()
    await it.is_amended()
    for each in order:
        assert await it.told() == []
        await it.settled({each: (ReceiptOutcome.REFUSED, NEWER)})
    assert (await it.shown())["state"] == "accepted"
    (told,) = await it.told()
    assert (told["code"], told["stands"], told["times"]) == (NEWER, "accepted", 1)
    assert await it.refer(THIRD) == "referred"
    await it.reported(*REFUSED)
    assert [each["agency"] for each in await it.told()] == [OTHER, THIRD]


async def test_what_was_withdrawn_meanwhile_is_over(agencies: Agencies) -> None:
    it = await case(agencies)
    await it.refer()
    assert await it.receive(withdrawn(it.referral_id, to=POLICE, origin=HOTLINE)) == [None]
    await it.reported(ReceiptOutcome.REFUSED, NEWER)
    assert ((await it.shown())["state"], await it.told()) == ("withdrawn", [])
