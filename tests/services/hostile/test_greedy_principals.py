"""Each entrance and each bounded pool, with one principal that asks for twenty times its budget.

What is done for it is at most its budget and one burst, and the rest is refused with the budget's name. Meanwhile
another key of its party is served once, by its own share, and another party every time. Only counters decide; the clock
of the budgets is the test's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest

from shared.core.ids import uuid7
from shared.platform.admission.budgets import BURST_S
from tests.architecture.test_entrances import CLASSES, POOLS
from tests.services.hostile.greedy import Ask, Caller, Service, greedy_service
from tests.support.running import PROVIDER, Exchange
from tests.support.stack import servers

TIMES: Final = 20
SECONDS: Final = 2
RATE: Final = 5
OTHER: Final = "provider-013.example"
UNKNOWN: Final = [str(uuid7()) for _ in range(20)]
NOTICES: Final = {"answers": [{"notice_id": each, "act": "acknowledge"} for each in UNKNOWN]}

#: How a principal asks, for each class that is charged to a key or session.
ASKS: Final = {
    "read": Ask("GET", "/v1/notices?limit=1", 200),
    "page": Ask("GET", "/console/settings", 200),
    "export": Ask("GET", "/v1/statistics/dsa-notices?since=2026-01-01&until=2026-01-31", 200),
    "long_poll": Ask("GET", "/v1/events?limit=1", 200),
    "act": Ask("POST", f"/v1/notices/{UNKNOWN[0]}:acknowledge", 404, body={}),
    "form": Ask("POST", "/console/settings", 303, form={}),
    "change": Ask("POST", "/v1/referrals/{id}:amend", 202, body={}),
    "change_form": Ask("POST", "/console/referrals/{id}/amend", 303, form={}),
    "bulk": Ask("POST", "/v1/notices:batch", 200, body=NOTICES),
    "bulk_form": Ask("POST", "/console/notices/bulk/confirmed", 200, form={"act": "acknowledge", "id": UNKNOWN}),
    "file": Ask("POST", "/v1/referrals", 202, body={}),
    "check": Ask("POST", "/v1/referrals:check", 200, body={}),
}
#: Classes and budgets: every budget of each class that has any.
CELLS: Final = [pytest.param(name, budget, id=f"{name}-{budget}") for name, each in CLASSES.items() for budget in each.budgets]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with servers(tmp_path_factory.mktemp("greedy")) as stack:
        yield Exchange(stack)


@pytest.fixture(scope="module")
async def service(installed: Exchange) -> AsyncIterator[Service]:
    async with greedy_service(installed) as running:
        yield running


async def callers(service: Service, name: str) -> list[Caller]:
    """Return a greedy principal, another one of the same party, and one of another party."""
    make = service.session if CLASSES[name].charged == "session" else service.key
    return [await make(party) for party in (PROVIDER, PROVIDER, OTHER)]


@pytest.mark.parametrize(("name", "budget"), CELLS)
async def test_a_class(service: Service, name: str, budget: str) -> None:
    print([p for p, k in service.exchange.parties.items() if k.url == service.url][:5])
    greedy, sibling, other = await callers(service, name)
    for each in (greedy, sibling, other):
        answer = await each.ask(ASKS[name])
        print(answer.status_code, answer.text[:300], service.budgets.taken.get(each.principal))
