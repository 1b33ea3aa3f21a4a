"""Repeats are linked after the answer, and the answer does not reveal whether a place was known."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from shared.core.ids import uuid7
from shared.core.protocol import locations
from shared.features.filing.store.intake import FilingBatch, PostgresFiling
from shared.features.filing.store.locations import Locations
from shared.platform.database.failure_isolation import Isolation
from shared.platform.observability.retry_backoff import RetryBackoff
from tests.services.doors import asking, until_idle
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import HOTLINE
from tests.support.exchange_world import SUBMISSION
from tests.support.location_forms import knowing

REPEATS, PLACES = 500, 50


def spellings(path: str) -> list[str]:
    """Return ten common spellings of one address."""
    host = "images.example"
    return [
        f"https://{host}/{path}",
        f"http://{host}/{path}",
        f"https://{host.upper()}/{path}",
        f"https://{host}:443/{path}",
        f"http://{host}:80/{path}",
        f"https://{host}/{path}/",
        f"https://{host}/./{path}",
        f"https://{host}/x/../{path}",
        f"https://{host}/%{ord(path[0]):02x}{path[1:]}",
        f"HTTPS://{host.title()}/{path}".replace("HTTPS", "https"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/x", "https://b.example/x"),
        ("https://a.example/x", "https://a.example/X"),
        ("https://a.example/x?i=1", "https://a.example/x?i=2"),
        ("https://a.example/x", "https://www.a.example/x"),
        ("https://a.example:8443/x", "https://a.example/x"),
        ("https://a.example/x%2Fy", "https://a.example/x/y"),
        ("rtsp://a.example/x", "https://a.example/x"),
    ],
)
def test_what_may_be_two_places_is(one: str, other: str) -> None:
    assert locations.compared_1(one, "url") != locations.compared_1(other, "url")


def test_a_location_has_another_token_at_another_party_and_by_another_version() -> None:
    tokens = {KEK.location_token(*each, "x") for each in (("a", 1), ("b", 1), ("a", 2))}
    assert len(tokens) == 3


@pytest.fixture(autouse=True)
async def empty(origin: Origin) -> None:
    await origin.forget()


def linking(origin: Origin) -> Locations:
    return Locations(origin.database, KEK, lambda: [HOTLINE], apart=Isolation(RetryBackoff(), origin.clock))


async def linked(origin: Origin) -> None:
    await until_idle(linking(origin))


def at(location: str, **changes: Any) -> dict[str, Any]:
    [item, *_] = SUBMISSION["items"]
    return {"items": [item | {"locator": {"kind": "url", "value": location}}]} | changes


async def related(origin: Origin, referral_id: UUID) -> set[str]:
    return {each["referral_id"] for each in (await origin.show(referral_id)).get("relations", [])}


async def test_repeats_are_linked_on_both_sides_and_others_are_not(origin: Origin) -> None:
    first = await origin.file(**at(spellings("g17")[0]))
    again = await origin.file(**at(spellings("g17")[6]))
    other = await origin.file(**at(spellings("g18")[0]))
    assert await related(origin, again) == set()
    await linked(origin)
    assert await related(origin, first) == {str(again)}
    assert await related(origin, again) == {str(first)}
    assert await related(origin, other) == set()


async def test_what_was_filed_for_a_referral_that_was_handed_over_names_it(origin: Origin) -> None:
    handed_over = uuid7()
    said = {"correlations": [{"system": "causeway", "ref": str(handed_over)}, {"system": "iwf", "ref": str(uuid7())}]}
    referral_id = await origin.file(**at(spellings("handed-over")[0]), **said)
    await linked(origin)
    relation = {"referral_id": str(handed_over), "kind": "derived_from"}
    assert (await origin.show(referral_id))["relations"] == [relation]


async def test_repeats_are_linked_across_a_change_of_the_forms_version(origin: Origin) -> None:
    first = await origin.file(**at(spellings("v1")[0]))
    await linked(origin)
    again = await origin.file(**at(spellings("V1")[0]))
    with knowing(1, 2):
        await linked(origin)
    assert await related(origin, again) == {str(first)}


async def test_planted_repeats_are_found(origin: Origin, record_property: Callable[[str, object], None]) -> None:
    """500 repeats of 50 places, each in one of ten spellings, shuffled among 50 single places."""
    drawn = random.Random(56)
    planted = [(f"p{n % PLACES}", n // PLACES % 10) for n in range(REPEATS + PLACES)] + [
        (f"alone{n}", 0) for n in range(PLACES)
    ]
    drawn.shuffle(planted)
    places: dict[str, list[UUID]] = {}
    for some in (planted[start : start + 20] for start in range(0, len(planted), 20)):
        filed = await origin.file_all([at(spellings(path)[spelling]) for path, spelling in some])
        for (path, _), referral_id in zip(some, filed, strict=True):
            places.setdefault(path, []).append(referral_id)
    await linked(origin)
    found, false = 0, 0
    for first, *repeats in map(sorted, places.values()):
        known = await related(origin, first)
        found += len(known & {str(each) for each in repeats})
        false += len(known - {str(each) for each in repeats})
    record_property("repeats_linked", found)
    assert found >= REPEATS * 0.99
    assert false == 0


# -- no oracle -----------------------------------------------------------------------------------------------------


async def statements_while_filing(origin: Origin, monkeypatch: pytest.MonkeyPatch, file: Callable[[], Any]) -> int:
    """Return how many token statements ran during a submission."""
    made = 0
    token = type(KEK).location_token

    def counted(*arguments: Any) -> bytes:
        nonlocal made
        made += 1
        return token(*arguments)

    monkeypatch.setattr(type(KEK), "location_token", counted)
    await file()
    return made


async def test_nothing_is_looked_up_before_the_answer(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await statements_while_filing(origin, monkeypatch, lambda: origin.file(**at(spellings("o")[0]))) == 0


async def test_an_intake_that_looks_first_would_be_noticed(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: tokens are made together with the referral."""
    file: Callable[..., Awaitable[Any]] = PostgresFiling.file

    async def looking(self: PostgresFiling, asked: Any, filing: FilingBatch) -> Any:
        for each in filing.prepared:
            self._kek.location_token(each.origin, 1, "looked up")
        return await file(self, asked, filing)

    monkeypatch.setattr(PostgresFiling, "file", looking)
    assert await statements_while_filing(origin, monkeypatch, lambda: origin.file(**at(spellings("o")[0]))) == 1


async def test_known_and_new_places_are_answered_alike(origin: Origin) -> None:
    """Pairs alternate: one place that is already linked, and one that is new."""
    await origin.file(**at(spellings("known")[0]))
    await linked(origin)
    shapes = []
    async with origin.door() as client, origin.intake.running():
        for n in range(20):
            for path in ("known", f"new{n:02d}"):
                reference = {"external_ref": f"pair-{path}-{n:04d}"}
                body = SUBMISSION | at(f"https://images.example/{path}") | reference
                answer = await client.post("/v1/referrals", json=body, headers=asking(HOTLINE, key=f"{path}-{n:04d}"))
                told = answer.json()
                names = sorted(name for name in answer.headers if name != "date")
                shapes.append((answer.status_code, sorted(told), names, len(told["recipients"])))
    assert shapes[0][0] == 202
    assert shapes[::2] == shapes[1::2]
