"""What an agency's instance says that it holds of an origin's edges."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from deploy.operator.recovery import RefusedAct, refused_acts
from services.law_enforcement.bus import AgencyDoor
from shared.contracts.answers import Acceptance
from shared.contracts.delivery import HeldEdge
from shared.exchange.message import Received
from shared.kernel.authority import Role
from shared.kernel.canonical import digest
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import RowScope
from shared.runtime.post import admitted, outbox
from shared.runtime.post.judge import verified
from shared.runtime.post.ports import Settlement
from shared.vocabulary.answers import ReceiptOutcome
from tests.services.deliveries import AGENCY, AT, OTHER_AGENCY, offered, withdrawn
from tests.services.law_enforcement.agency import KEK, Agencies

NONE = UUID(int=0)
_BOTH_HAVE_PASSED = """
INSERT INTO mark (by, sender, recipient, epoch, passed)
SELECT DISTINCT by, sender, recipient, epoch, '{[1,)}'::int8multirange FROM outbox, unnest(ARRAY[lane, 'audit']) AS by
WHERE message_id = ANY($1::uuid[])
"""
SCOPE = RowScope((AGENCY, OTHER_AGENCY), Role.SERVICE, "apply")


async def applied(agencies: Agencies, *messages: Received, instance: str) -> list[UUID]:
    """Apply messages as the consumer does, from one instance; the edges that they carry."""
    told = [replace(each, sender_instance=instance, digest=digest(each.message_id.bytes)) for each in messages]
    async with agencies.database.transaction(SCOPE) as session:
        await admitted.admit(session.driver, [verified(each).arrival for each in told])
    assert await agencies.receive(*told) == [None] * len(told)
    return [each.clear.edge_id for each in told if each.edge is not None]  # type: ignore[attr-defined]


async def held(agencies: Agencies, of: str, *, above: UUID = NONE, limit: int = 9) -> list[HeldEdge]:
    async with agencies.database.transaction(SCOPE) as session:
        unit: Any = SimpleNamespace(connection=session)
        return await AgencyDoor(kek=KEK, documents=agencies.documents, now=lambda: AT).held(
            unit, of, above=above, limit=limit
        )


async def test_each_edge_is_said_with_its_acts_and_whether_it_was_taken_back(agencies: Agencies) -> None:
    ids = [uuid7() for _ in range(3)]
    edges = await applied(agencies, *(offered(each) for each in ids), instance="hotline_x")
    await agencies.act("accept", Acceptance(), ids[0])
    await applied(agencies, withdrawn(ids[1]), instance="hotline_x")
    found = {each.edge_id: (each.revision, each.track, each.withdrawn) for each in await held(agencies, "hotline_x")}
    assert found == {edges[0]: (1, 1, False), edges[1]: (1, 0, True), edges[2]: (1, 0, False)}
    assert await held(agencies, "hotline_y") == [], "another instance's are not its to know"


async def test_edges_come_by_their_ids_and_go_on_behind_the_last(agencies: Agencies) -> None:
    edges = sorted(await applied(agencies, *(offered(uuid7()) for _ in range(5)), instance="hotline_z"))
    first = await held(agencies, "hotline_z", limit=3)
    rest = await held(agencies, "hotline_z", above=first[-1].edge_id, limit=3)
    assert [each.edge_id for each in first + rest] == edges


async def test_an_act_that_its_origin_has_refused_is_named_to_who_recovers(agencies: Agencies) -> None:
    """As one that was done after a restore under a number that the origin has seen: nothing else would tell of it."""
    refused, taken = uuid7(), uuid7()
    await applied(agencies, offered(refused), offered(taken), instance="hotline_r")
    for subject in (refused, taken):
        await agencies.act("accept", Acceptance(), subject)
    async with agencies.database.transaction(SCOPE) as session:
        await session.driver.execute("UPDATE life SET began_at = now()")
        rows = await session.driver.fetch(
            "SELECT message_id, digest, lane, subject FROM outbox WHERE subject = ANY($1)", [str(refused), str(taken)]
        )
        said = {str(refused): (ReceiptOutcome.REFUSED, "answer_repeated"), str(taken): (ReceiptOutcome.APPLIED, None)}
        entries = [Settlement(r["message_id"], r["digest"], *said[r["subject"]], uuid7(), r["lane"]) for r in rows]
        assert len((await outbox.settle(session.driver, entries)).taken) == 2
    named = [RefusedAct(AGENCY, str(refused), "answer_repeated")]
    for passed in (False, True):
        async with agencies.database.transaction(SCOPE) as session:
            if passed:
                await session.driver.execute(_BOTH_HAVE_PASSED, ids := [each.message_id for each in entries])
                await outbox.leave(session.driver, ids)
            assert [each for each in await refused_acts(session.driver) if each.subject in said] == named
    assert not await agencies.database.fetch("SELECT FROM outbox WHERE message_id = ANY($1)", ids)
