"""Each class of requests, with one principal that asks for twenty times its budget.

What is done for it is at most its budget and one burst, and the rest is refused with the budget's name. Meanwhile
another key of its party is served once, by its own share, and another party every time. Only counters decide; the clock
of the budgets is the test's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from time import monotonic
from typing import Any, Final, NamedTuple

import httpx
import pytest

from shared.core.ids import uuid7
from shared.platform.admission.budgets import BUDGETS, BURST_S, Budgets
from shared.platform.database.transactions import Database
from shared.platform.observability.health import Check, ReadinessChecks
from tests.architecture.test_entrances import CLASSES
from tests.services.hostile.greedy import OTHER, TIMES, Ask, Caller, Service
from tests.support.running import PROVIDER

SECONDS: Final = 2
RATE: Final = 5
PADDED: Final = 4_000
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
#: The classes that are charged to no key or session.
UNCHARGED: Final = {
    "probe": Ask("GET", "/readyz", 200),
    "document": Ask("GET", "/openapi.json", 200),
    "sign_in": Ask("GET", "/console/sign-in/nobody.example", 404),
}
#: Classes and budgets: every budget of each class that has any.
CELLS: Final = [
    pytest.param(name, budget, id=f"{name}-{budget}") for name, each in CLASSES.items() for budget in each.budgets
]


async def callers(service: Service, name: str) -> list[Caller]:
    """Return a greedy principal, another one of the same party, and one of another party."""
    make = service.session if CLASSES[name].charged == "session" else service.key
    return [await make(party) for party in (PROVIDER, PROVIDER, OTHER)]


class Flood(NamedTuple):
    """What was done for a greedy principal and its sibling, the most that their budget allows, and one request's part.

    `refused` are the answers of the refusals, and `others` says whether each request of the others was served.
    """

    done: float
    most: float
    one: float
    refused: list[httpx.Response]
    others: list[bool]


async def flood(service: Service, name: str, budget: str) -> Flood:
    """Ask twenty times the budget for two seconds. Once the burst is used up, a sibling and another party ask, too."""
    greedy, sibling, other = await callers(service, name)
    ask, place, budgets = ASKS[name], BUDGETS.index(budget), service.budgets
    padded = PADDED if budget == "bytes" else 0
    budgets.begin()
    assert (await other.ask(ask, padded=padded)).status_code == ask.status
    one = budgets.taken[other.principal][place]
    budgets.begin(**{f"{budget}_per_s": RATE * one})
    statuses, refused, others = {ask.status, 429}, list[httpx.Response](), list[bool]()
    for second in range(SECONDS):
        answers = [await greedy.ask(ask, padded=padded) for _ in range(TIMES * RATE)]
        assert {each.status_code for each in answers} <= statuses
        refused += [each for each in answers if each.status_code == 429]
        beside = [other, sibling] if second == 0 else [other]
        others += [(await each.ask(ask)).status_code == ask.status for each in beside]
        budgets.clock.advance(1)
    done = sum(budgets.taken[each.principal][place] for each in (greedy, sibling))
    return Flood(done, RATE * one * (BURST_S + SECONDS - 1), one, refused, others)


@pytest.mark.parametrize(("name", "budget"), CELLS)
async def test_a_class_does_no_more_than_a_budget_and_one_burst(service: Service, name: str, budget: str) -> None:
    found = await flood(service, name, budget)
    # A request that is begun within the budget is done whole, and one of the sibling comes on top.
    assert found.most - found.one <= found.done <= found.most + 2 * found.one
    assert found.others == [True] * (SECONDS + 1)
    policies = {each.headers["RateLimit-Policy"].partition(";")[0] for each in found.refused}
    assert policies == {f'"{budget}"'}
    assert all(int(each.headers["Retry-After"]) > 0 for each in found.refused)


@pytest.mark.parametrize("budget", BUDGETS)
async def test_without_its_budget_all_is_done(service: Service, budget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: nothing is refused, and more than ten times the budget is done."""
    monkeypatch.setattr(Budgets, "_waits", lambda *_: [])
    found = await flood(service, "bulk", budget)
    assert found.done > 10 * found.most
    assert found.refused == []


def test_every_class_has_its_cells() -> None:
    assert {*ASKS, *UNCHARGED} == CLASSES.keys()
    assert {name for name, each in CLASSES.items() if not each.budgets} == UNCHARGED.keys()


class Transactions:
    """Counts the transactions that the test's own task begins."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.count, begin, mine = 0, Database.transaction, asyncio.current_task()

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += asyncio.current_task() is mine
            return begin(*args, **kwargs)

        patched.setattr(Database, "transaction", counted)


@pytest.mark.parametrize("name", UNCHARGED)
async def test_what_nobody_pays_for_does_no_work(service: Service, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred requests begin no transaction, or one for each that is served; the probes run once a second."""
    _, _, other = await callers(service, "read")
    service.budgets.begin()
    runs, run, begun = 0, ReadinessChecks._ask_all, Transactions(monkeypatch)

    async def counted(checks: ReadinessChecks) -> list[Check]:
        nonlocal runs
        runs += 1
        return await run(checks)

    monkeypatch.setattr(ReadinessChecks, "_ask_all", counted)
    began = monotonic()
    answers = [(await other.ask(UNCHARGED[name])).status_code for _ in range(TIMES * RATE * SECONDS)]
    assert set(answers) == {UNCHARGED[name].status}
    assert runs <= 2 + monotonic() - began
    assert begun.count == 0


async def test_unknown_keys_of_an_address_cost_no_transaction(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are charged to the address, which a known key at the same address is not. Another address has its own."""
    greedy, sibling, other = await callers(service, "read")
    greedy.word, other.word, other.address = "cw_test_" + "x" * 43, "cw_test_" + "y" * 43, "192.0.2.2"
    service.budgets.begin(requests_per_s=RATE)
    begun = Transactions(monkeypatch)
    answers = [await greedy.ask(ASKS["read"]) for _ in range(TIMES * RATE)]
    assert Counter(each.status_code for each in answers) == {401: RATE * BURST_S, 429: TIMES * RATE - RATE * BURST_S}
    assert answers[-1].headers["RateLimit-Policy"].startswith('"unknown_keys"')
    assert begun.count == 0
    assert (await sibling.ask(ASKS["read"])).status_code == 200
    assert (await other.ask(ASKS["read"])).status_code == 401
