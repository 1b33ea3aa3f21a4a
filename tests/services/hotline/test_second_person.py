"""A referral above its budget is not sent until a second person of its origin releases it; that person may drop it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.envelope.base64url import to_base64url
from shared.core.errors import Refused
from shared.core.guard.edition import passed
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Draft, Received
from shared.features.filing.service import answers
from tests.services.doors import ACTOR, asking
from tests.services.hotline.origin import APPLYING, Origin, body_of
from tests.services.hotline.test_attention import about
from tests.services.hotline.test_duplicates import linked
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import SUBMISSION, opened, told_to_audit

R = Random(41)
SECOND = "0b" * 16


def over_budget(**changes: Any) -> dict[str, Any]:
    """Return a referral with one address that costs at least 350 bytes, all of them new."""
    location = f"https://images.example/gallery/{to_base64url(R.randbytes(350))}"
    first, *others = SUBMISSION["items"]
    items = [first | {"locator": {"kind": "url", "value": location}}, *others]
    return body_of(items=items) | changes


async def filed(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await client.post("/v1/referrals", json=body, headers=asking(HOTLINE, key=uuid7().hex))


async def count_tokens(origin: Origin, referral_id: str) -> int:
    return len(await origin.sql("SELECT FROM location_token WHERE referral_id = $1", UUID(referral_id)))


async def review(
    client: httpx.AsyncClient, referral_id: str, act: str, *, actor: str = SECOND, role: Role = Role.ANALYST
) -> httpx.Response:
    headers = asking(HOTLINE, role=role, key=uuid7().hex) | {"x-actor": actor}
    return await client.post(f"/v1/referrals/{referral_id}:{act}", headers=headers)


async def unreleased(client: httpx.AsyncClient, **changes: Any) -> str:
    answer = await filed(client, over_budget(**changes))
    assert (answer.status_code, answer.json()["state"]) == (202, "unreleased")
    return str(answer.json()["referral_id"])


def facts(origin: Origin, rows: Sequence[Draft], kind: str) -> list[dict[str, Any]]:
    return [dict(row.clear) for row in rows if row.message.name == kind]


def accepted(origin: Origin, row: Draft) -> Received:
    return accept(origin.world.records([row])[0], origin.world.reader(row.recipient_instance))


async def kept(origin: Origin, referral_id: str) -> tuple[int, bool]:
    """Return the bytes of the referral's content, and whether its key exists."""
    of = "SELECT octet_length(content), wrapped_key IS NOT NULL FROM referral WHERE referral_id = $1"
    (row,) = await origin.sql(of, UUID(referral_id))
    return tuple(row)


async def test_it_waits_sealed_and_nothing_of_it_leaves(origin: Origin, client: httpx.AsyncClient) -> None:
    body = over_budget()
    checked = await client.post("/v1/referrals:check", json=body, headers=asking(HOTLINE))
    (result,) = checked.json()["results"]
    assert (result["state"], result["work_reason"], len(result["recipients"])) == ("unreleased", "over_budget", 5)
    answer = (await filed(client, body)).json()
    assert (answer["state"], answer["work_reason"], answer["recipients"]) == ("unreleased", "over_budget", [])
    rows = await origin.waiting()
    (fact,) = [told_to_audit(origin.world, row) for row in rows]
    assert (fact["work_reason"], fact["edges"], fact["not_sent"]) == ("over_budget", [], [])
    assert UUID(answer["referral_id"]) in await origin.work("over_budget")
    (row,) = await about(origin, UUID(answer["referral_id"]))
    assert (row["reasons"], row["mend"]) == (["over_budget"], "release")
    assert await kept(origin, answer["referral_id"]) > (350, False)


async def test_a_second_person_lets_it_go_whole(origin: Origin, client: httpx.AsyncClient) -> None:
    body = over_budget()
    referral_id = (await filed(client, body)).json()["referral_id"]
    await origin.forget()
    answer = await review(client, referral_id, "release")
    assert (answer.status_code, answer.json()) == (202, {"referral_id": referral_id, "state": "routed"})
    rows = await origin.waiting()
    edges = [row for row in rows if row.message.edge]
    assert len(edges) == 5
    assert {row.guard for row in edges} == {passed(released=True)}
    names = {name for row in edges for name in opened(origin.world, row)["released_by"]}
    assert (len(names), names & {ACTOR, SECOND}) == (2 * len(edges), set()), "each recipient has names of its own"
    for row in edges:
        record: Any = accepted(origin, row).sealed
        assert [each.locator.value for each in record.items] in (
            [each["locator"]["value"] for each in body["items"]],
            [body["items"][0]["locator"]["value"]],
        )
    (told,) = [told_to_audit(origin.world, row) for row in rows if row.message.name == "referral_decided"]
    assert (len(told["edges"]), told.get("work_reason"), told["superseded"]) == (5, None, [])
    (reviewed,) = facts(origin, rows, "referral_reviewed")
    assert reviewed == {"origin": HOTLINE, "outcome": "released", "filed_by": ACTOR, "by": SECOND}
    assert UUID(referral_id) not in await origin.work("over_budget")
    shown = await origin.show(UUID(referral_id))
    assert (shown["state"], len(shown["edges"])) == ("routed", 5)


@pytest.mark.parametrize("act", ["release", "drop"])
async def test_without_the_look_at_who_filed_it_one_person_would_do(
    origin: Origin, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Negative control of the test below, without the check of the submitter."""
    monkeypatch.setattr(answers, "require_another", lambda *_: None)
    referral_id = await unreleased(client)
    assert (await review(client, referral_id, act, actor=ACTOR)).status_code == 202


@pytest.mark.parametrize("act", ["release", "drop"])
async def test_whoever_filed_it_is_no_second_person(origin: Origin, client: httpx.AsyncClient, act: str) -> None:
    referral_id = await unreleased(client)
    await origin.forget()
    answer = await review(client, referral_id, act, actor=ACTOR)
    assert (answer.status_code, answer.json()["code"]) == (403, "second_person_needed")
    assert await origin.waiting() == []
    machine = await review(client, referral_id, act, role=Role.MACHINE)
    assert (machine.status_code, machine.json()["code"]) == (403, "forbidden"), "a machine is no person"
    headers = asking("hotline-nl.example", key=uuid7().hex) | {"x-actor": SECOND}
    for each in (referral_id, uuid7()):
        foreign = await client.post(f"/v1/referrals/{each}:{act}", headers=headers)
        assert foreign.status_code == 404, "a foreign one is answered like an absent one"
    assert (await review(client, referral_id, act)).status_code == 202


async def test_what_is_dropped_is_erased_and_audit_is_told(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await unreleased(client)
    await linked(origin)
    assert await count_tokens(origin, referral_id) > 0
    await origin.forget()
    answer = await review(client, referral_id, "drop")
    assert (answer.status_code, answer.json()["state"]) == (202, "dropped")
    assert await kept(origin, referral_id) == (0, False)
    assert await count_tokens(origin, referral_id) == 0
    (row,) = await origin.waiting()
    assert row.clear["outcome"] == "dropped"
    assert UUID(referral_id) not in await origin.work("over_budget")
    for act in ("release", "drop"):
        again = await review(client, referral_id, act)
        assert (again.status_code, again.json()["code"]) == (409, "state_forbids")


async def test_what_nobody_looks_at_is_erased_and_told_to_audit(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await unreleased(client)
    await linked(origin)
    await origin.forget()
    origin.clock.advance(timedelta(days=6, hours=23).total_seconds())
    await origin.bus.expire(APPLYING)
    assert await origin.waiting() == []
    origin.clock.advance(timedelta(hours=2).total_seconds())
    assert await origin.bus.expire(APPLYING) >= 1
    assert await kept(origin, referral_id) == (0, False)
    assert await count_tokens(origin, referral_id) == 0
    told = facts(origin, await origin.waiting(), "referral_reviewed")
    assert {"origin": HOTLINE, "outcome": "expired", "filed_by": ACTOR} in told
    assert (await origin.show(UUID(referral_id)))["state"] == "dropped"


@pytest.mark.parametrize(
    ("location", "code"),
    [(R.randbytes(700), "guard_over_ceiling"), (b"\x89PNG\r\n\x1a\n" + R.randbytes(340), "guard_over_budget")],
    ids=["over the ceiling", "a file"],
)
async def test_what_no_second_person_may_let_go_is_refused_and_never_written(
    origin: Origin, client: httpx.AsyncClient, location: bytes, code: str
) -> None:
    body = body_of(items=[{"locator": {"kind": "url", "value": f"https://images.example/{to_base64url(location)}"}}])
    answer = await filed(client, body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert to_base64url(location) not in answer.text
    assert await origin.sql("SELECT FROM referral WHERE external_ref = $1", body["external_ref"]) == []


async def test_decided_again_it_says_still_that_it_was_released(origin: Origin, client: httpx.AsyncClient) -> None:
    await review(client, await unreleased(client), "release")
    rows = [row for row in await origin.waiting_edges() if row.recipient == POLICE]
    await origin.refused(rows)
    (row,) = [row for row in await origin.waiting_edges() if row.recipient == POLICE]
    assert row.guard == passed(released=True)
    assert accepted(origin, row).recipient == POLICE


async def test_its_headers_say_two_or_no_recipient_takes_it(origin: Origin, client: httpx.AsyncClient) -> None:
    """Control: without the header, or with one person in both roles, the same record is refused."""
    await review(client, await unreleased(client), "release")
    row = next(row for row in await origin.waiting_edges() if row.recipient == POLICE)
    (record,) = origin.world.records([row])
    reader = origin.world.reader(row.recipient_instance)
    assert accept(record, reader)
    with pytest.raises(Refused) as caught:
        accept(origin.world.resigned(record, guard=passed()), reader)
    assert (caught.value.code, caught.value.detail) == ("guard_refused", "released_by_two")
    (usual,) = [each for each in origin.world.prepared().drafts if each.recipient == POLICE]
    (unnamed,) = origin.world.records([replace(usual, guard=passed(released=True))])
    with pytest.raises(Refused) as caught:
        accept(unnamed, reader)
    assert (caught.value.code, caught.value.detail) == ("guard_refused", "released_by_two")
