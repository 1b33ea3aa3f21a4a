"""An origin with a referral that no party is competent for, and the hotlines that may claim it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.routing import Mandate
from tests.services.doors import asking
from tests.services.hotline.origin import Origin, applied, said
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import World

#: Places that no hotline serves, and the hotlines with the mandate for their regions' orphans.
ORPHANED = {"NO": "hotline-nl.example", "SG": "hotline-ph.example"}
WORKERS = 4
EUROPE, ASIA = ORPHANED.values()


def items(*places: str) -> list[dict[str, Any]]:
    """Return one item hosted in each of the places."""
    return [
        {
            "locator": {"kind": "url", "value": f"https://images.example/orphan/{n}"},
            "hosting": [{"jurisdiction": place, "method": "stated"}],
            "assessments": [{"scheme": "interpol_baseline", "value": "baseline", "status": "final"}],
        }
        for n, place in enumerate(places, 1)
    ]


async def orphan(origin: Origin, *places: str) -> UUID:
    """Submit a referral that hotlines receive only by their mandate for orphans."""
    return await origin.file(items=items(*places or ORPHANED))


def mandated(world: World, count: int) -> Sequence[str]:
    """Put a directory in force in which this many hotlines have the mandate for Europe's orphans."""
    (nl,) = (party for party in world.document.parties if party.id == EUROPE)
    names = [EUROPE, *(f"hotline-orphan-{n}.example" for n in range(1, count))]
    grants = tuple(each for each in nl.mandates if each.mandate is Mandate.ORPHAN)
    more = tuple(nl.model_copy(update={"id": name, "mandates": grants, "jurisdictions": ()}) for name in names[1:])
    world.place(world.document.model_copy(update={"version": 7, "parties": (*world.document.parties, *more)}), AT)
    return names


async def transfer(
    origin: Origin, referral_id: UUID, *, party: str = HOTLINE, role: Role = Role.ANALYST, **said: Any
) -> tuple[int, Any]:
    """Transfer a referral; return the status and body of the HTTP answer."""
    async with origin.door() as client:
        answer = await client.post(
            f"/v1/referrals/{referral_id}:transfer",
            json={"reason": "no_mandate"} | said,
            headers=asking(party, role=role, key=uuid7().hex),
        )
    return answer.status_code, answer.json()


def claim(referral_id: UUID, by: str, number: int = 1) -> Received:
    """Return a hotline's claim."""
    return said("offer_claimed", referral_id, by, number)


async def claim_at_once(origin: Origin, referral_id: UUID, racers: Sequence[str]) -> list[str | None]:
    """Apply all claims, each in its own transaction, as many at a time as there are connections."""

    async def work(some: Sequence[str]) -> list[str | None]:
        return [code for racer in some for code in await applied(origin, claim(referral_id, racer))]

    found = await asyncio.gather(*(work(racers[start::WORKERS]) for start in range(WORKERS)))
    return [code for each in found for code in each]


async def told(origin: Origin, name: str) -> list[str]:
    """Return the recipients of the messages of this name."""
    return sorted(each.recipient for each in await origin.waiting() if each.message.name == name)
