"""A submitted batch stores all of each accepted referral, nothing of a refused one, and matching counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest

from shared.core.contracts.referral import ReferralSubmission
from shared.core.envelope.content_proof import unpack_proof
from shared.core.errors import Defect, Refused
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft
from shared.features.filing.rules import HttpReply
from shared.features.filing.service.intake import TOGETHER
from shared.features.filing.store.intake import PostgresFiling
from tests.services.hotline.origin import Origin
from tests.support.builders import HOTLINE
from tests.support.exchange_world import submission

#: Rows of edges that the database session has inserted and updated.
WRITTEN = """
SELECT pg_stat_get_xact_tuples_inserted('edge'::regclass), pg_stat_get_xact_tuples_updated('edge'::regclass)
"""
PLACED = "SELECT message_id, incarnation, lane, number FROM edge WHERE referral_id = $1"
COUNTS = "SELECT submitted, accepted, refused FROM intake_count WHERE party = $1"


@pytest.fixture(autouse=True)
async def empty(origin: Origin) -> None:
    await origin.forget()


def fresh() -> ReferralSubmission:
    return submission(external_ref=f"ref-{uuid7().hex[:24]}")


async def filed(origin: Origin, *contents: Any) -> tuple[HttpReply, list[dict[str, Any]]]:
    """Submit one list of submissions or refusals; return the answer and its results."""
    request = origin.request(*contents, single=False)
    async with origin.intake.running():
        answer = await origin.intake.submit(request)
        assert await origin.intake.submit(request) == answer, "the stored answer is not the one that was given"
    return answer, json.loads(answer.body)["results"]


async def rows(origin: Origin, table: str) -> int:
    ((count,),) = await origin.sql(f"SELECT count(*) FROM {table}")
    return int(count)


async def everything(origin: Origin) -> dict[str, int]:
    stored = {table: await rows(origin, table) for table in ("referral", "edge")}
    return stored | {"messages": len(await origin.waiting())}


async def counts(origin: Origin) -> dict[str, int]:
    rows = await origin.database.fetch(COUNTS, HOTLINE)
    return dict(rows[0]) if rows else {"submitted": 0, "accepted": 0, "refused": 0}


async def test_a_reference_that_is_taken_leaves_nothing_but_a_fact_and_a_count(origin: Origin) -> None:
    taken = f"ref-{uuid7().hex[:24]}"
    _, (first,) = await filed(origin, submission(external_ref=taken))
    stood, counted = await everything(origin), await counts(origin)
    edges = len(first["recipients"])
    broken = Refused("schema_invalid", field="/items")
    answer, (good, again, refused) = await filed(origin, fresh(), submission(external_ref=taken), broken)
    assert answer.status == 200
    assert (good["status"], again["status"], refused["status"]) == (202, 409, 422)
    assert again["problem"]["referral"] == f"/v1/referrals/{first['referral_id']}"
    # One of the three is stored: a row of each kind, an edge and a message per recipient. Each of the three has a fact.
    more = {"referral": 1, "edge": edges, "messages": edges + 3}
    assert await everything(origin) == {name: stood[name] + count for name, count in more.items()}
    more = {"submitted": 3, "accepted": 1, "refused": 2}
    assert await counts(origin) == {name: counted[name] + count for name, count in more.items()}


async def test_a_list_of_one_taken_reference_is_tried_twice(origin: Origin) -> None:
    """The first try learns which references are taken, so the number of transactions does not grow with the list."""
    await filed(origin, taken := fresh())
    with patch.object(PostgresFiling, "file", autospec=True, side_effect=PostgresFiling.file) as file:
        _, results = await filed(origin, *[taken] * 20)
    # The count includes the repeated request.
    assert ({each["status"] for each in results}, file.await_count) == ({409}, 3)


async def test_a_list_of_refusals_alone_is_counted_and_stored(origin: Origin) -> None:
    before, counted = await everything(origin), await counts(origin)
    _, results = await filed(origin, Refused("schema_invalid"), Refused("schema_invalid"))
    assert [each["status"] for each in results] == [422, 422]
    assert await everything(origin) == before | {"messages": before["messages"] + 2}
    assert await counts(origin) == counted | {"submitted": counted["submitted"] + 2, "refused": counted["refused"] + 2}


async def wraps(origin: Origin) -> dict[str, list[int]]:
    """Return by peer the number of wrapped keys in each segment of the messages that the test has sent."""
    sent = [each.message_id.bytes for each in await origin.waiting()]
    found: dict[str, list[int]] = {}
    for row in await origin.database.fetch("SELECT peer, message_ids, proof FROM segment"):
        if any(each in row["message_ids"] for each in sent):
            groups = unpack_proof(row["proof"]).groups
            found.setdefault(row["peer"], []).append(len({each.wrap for each in groups if each.wrap}))
    return found


async def test_one_transaction_has_one_wrap_for_each_instance_however_many_it_prepares(origin: Origin) -> None:
    await filed(origin, *(fresh() for _ in range(TOGETHER + 1)))
    found = await wraps(origin)
    assert len(found) == 4
    assert {count for each in found.values() for count in each} == {1}


async def test_of_few_referrals_no_two_recipients_share_a_wrap(origin: Origin) -> None:
    await filed(origin, fresh())
    agencies = {each.recipient for each in await origin.waiting() if each.recipient_instance == "law_enforcement"}
    assert await wraps(origin) == {"audit": [1], "hotline": [1], "industry": [1], "law_enforcement": [len(agencies)]}


async def test_a_sent_edge_is_written_once_with_its_place(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    last_step, written = origin.database.last_step, list[tuple[int, int]]()
    assert last_step is not None

    async def counted(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
        before = await driver.fetchrow(WRITTEN)
        await last_step(driver, gathered)
        after = await driver.fetchrow(WRITTEN)
        written.append((after[0] - before[0], after[1] - before[1]))

    monkeypatch.setattr(origin.database, "last_step", counted)
    _, (result,) = await filed(origin, fresh())
    assert written == [(len(result["recipients"]), 0)]
    edges = await origin.sql(PLACED, UUID(result["referral_id"]))
    assert sorted(map(tuple, edges)) == sorted(await sent_places(origin))


async def sent_places(origin: Origin) -> list[tuple[UUID, UUID, int, int]]:
    """Return the id and the stored place of each edge message that the test has sent."""
    sent = {each.message_id for each in await origin.waiting() if each.message.edge}
    found = []
    for row in await origin.database.fetch("SELECT incarnation, lane, first, message_ids FROM segment"):
        ids = [UUID(bytes=row["message_ids"][at : at + 16]) for at in range(0, len(row["message_ids"]), 16)]
        found += [(one, row["incarnation"], row["lane"], n) for n, one in enumerate(ids, row["first"]) if one in sent]
    return found


async def test_an_edge_without_its_message_fails_the_filing(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def send_nothing(filing: PostgresFiling, drafts: Sequence[Draft]) -> None: ...

    monkeypatch.setattr(PostgresFiling, "send", send_nothing)
    before = await everything(origin)
    with pytest.raises(Defect, match="gathered_unknown"):
        await filed(origin, fresh())
    assert await everything(origin) == before
