"""Sample parties against recipients' services in memory."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deploy.sandbox
from client.api import CausewayClient
from client.problem import ApiProblem
from deploy.sandbox import behaviour, rounds
from deploy.sandbox.behaviour import Accept, Draw, NotOurs, Report, agency_acts, provider_acts
from deploy.sandbox.desks import AgencyDesk, Desk, HotlineDesk, ProviderDesk
from deploy.sandbox.rounds import Rounds
from deploy.sandbox.tally import Tally
from shared.contracts.answers import OutcomeReportedClear
from shared.contracts.fields import CaseReference
from shared.kernel.clock import ManualClock
from shared.kernel.errors import Unavailable
from shared.vocabulary.answers import CaseOutcome
from tests.client.fake_recipients import FakeRecipients, Item
from tests.client.fake_service import BASE_URL, KEY

SPACE = UUID("019ab0e5-1111-7111-8111-111111111111")
OTHERS = ("provider-002.example", "provider-003.example")
TABLES: dict[str, Mapping[Any, int]] = {
    name: table for name, table in vars(behaviour).items() if name.isupper() and isinstance(table, dict)
}


def ids(count: int, start: int = 0) -> list[UUID]:
    return [uuid5(SPACE, str(number)) for number in range(start, start + count)]


def agency(service: FakeRecipients, http: httpx.AsyncClient, tally: Tally | None = None) -> AgencyDesk:
    client = CausewayClient(BASE_URL, KEY, http=http, attempts_max=1)
    return AgencyDesk(client, "police-nl.example", tally or Tally(), seed="1")


def provider(service: FakeRecipients, http: httpx.AsyncClient, tally: Tally | None = None) -> ProviderDesk:
    client = CausewayClient(BASE_URL, KEY, http=http, attempts_max=1)
    clock = ManualClock(datetime(2026, 4, 1, tzinfo=UTC))
    return ProviderDesk(client, "provider-001.example", tally or Tally(), seed="1", others=OTHERS, clock=clock)


def offered(count: int, state: str = "offered") -> FakeRecipients:
    return FakeRecipients({KEY: [Item(one, state) for one in ids(count)]})


# -- behaviour ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_of_shares_adds_up_to_100(name: str) -> None:
    assert sum(TABLES[name].values()) == 100


def test_the_readme_states_the_shares_that_the_code_draws_from() -> None:
    text = Path(deploy.sandbox.__file__).with_name("README.md").read_text()
    stated = {cell: int(share) for cell, share in re.findall(r"^\| `([^`]+)` +\| +(\d+) % +\|", text, re.MULTILINE)}
    drawn = {f"agency: {name}": share for name, share in behaviour.AGENCY.items()}
    drawn |= {f"provider: {name}": share for name, share in behaviour.PROVIDER.items()}
    drawn |= {f"first outcome: {name or 'none'}": share for name, share in behaviour.FIRST_OUTCOME.items()}
    drawn |= {f"last outcome: {name or 'none'}": share for name, share in behaviour.LAST_OUTCOME.items()}
    drawn |= {f"actions: {' + '.join(actions)}": share for actions, share in behaviour.ACTIONS.items()}
    assert stated == drawn


@settings(deadline=None)
@given(st.text(), st.uuids())
def test_the_same_seed_party_and_id_always_act_alike_and_within_the_contracts(seed: str, subject: UUID) -> None:
    acts = agency_acts(Draw(seed, "police-nl.example", subject))
    assert acts == agency_acts(Draw(seed, "police-nl.example", subject))
    reports = [act for act in acts if isinstance(act, Report)]
    assert len(reports) <= 2
    assert not reports or isinstance(acts[0], Accept)
    for report in reports:
        OutcomeReportedClear(
            referral_id=subject,
            revision=1,
            act=subject,
            number=2,
            outcome=report.outcome,
            close_reason=report.close_reason,
            child_identified=report.child_identified,
            child_safeguarded=report.child_safeguarded,
        )
    assert [report.outcome in (CaseOutcome.CLOSED, CaseOutcome.CONVICTION) for report in reports[:1]] in ([], [False])
    pattern = CaseReference.__metadata__[0].pattern  # type: ignore[attr-defined]
    assert all(re.fullmatch(pattern, act.case_reference) for act in acts if isinstance(act, Accept))


def test_answers_come_in_the_stated_shares() -> None:
    count = 10_000
    drawn = Counter(Draw("1", "police-nl.example", one).one_of("agency", behaviour.AGENCY) for one in ids(count))
    assert all(abs(drawn[name] / count - share / 100) < 0.02 for name, share in behaviour.AGENCY.items())


def test_another_seed_and_another_party_act_otherwise() -> None:
    def acts(seed: str, party: str) -> list[Any]:
        return [agency_acts(Draw(seed, party, one)) for one in ids(50)]

    usual = acts("1", "police-nl.example")
    assert usual != acts("2", "police-nl.example")
    assert usual != acts("1", "police-de.example")


def test_a_provider_points_to_another_and_never_to_itself_or_to_nobody_known() -> None:
    pointed = [
        act for one in ids(500) for act in provider_acts(Draw("1", "p", one), OTHERS) if isinstance(act, NotOurs)
    ]
    assert {act.suggested for act in pointed} == set(OTHERS)
    alone = [act for one in ids(500) for act in provider_acts(Draw("1", "p", one), ()) if isinstance(act, NotOurs)]
    assert {act.suggested for act in alone} == {None}


# -- desks --------------------------------------------------------------------------------------------------


async def test_an_agency_leaves_every_case_in_the_state_its_behaviour_leads_to() -> None:
    service = offered(200)
    async with service.http() as http:
        assert await agency(service, http).look(thoroughly=False)
    expected: Counter[str] = Counter()
    for one in ids(200):
        acts = agency_acts(Draw("1", "police-nl.example", one))
        expected[{0: "offered", 2: "ongoing", 3: "closed"}.get(len(acts)) or f"{type(acts[0]).__name__.lower()}"] += 1
    found = service.states(KEY)
    assert found == Counter({{"accept": "accepted", "decline": "declined"}.get(k, k): v for k, v in expected.items()})
    assert set(found) == {"offered", "accepted", "declined", "ongoing", "closed"}


async def test_a_provider_answers_notices_and_says_when_its_actions_took_effect() -> None:
    service = offered(200, "issued")
    async with service.http() as http:
        await provider(service, http).look(thoroughly=False)
    assert set(service.states(KEY)) == {"issued", "acknowledged", "actioned", "rejected", "not_ours"}
    effective = {
        item["effective_at"]
        for act, _, body in service.acts
        if act == "answer"
        for item in body["items"]
        if "action" in item
    }
    assert effective == {"2026-04-01T00:00:00.000Z"}


@pytest.mark.parametrize("kind", ["hotline", "agency", "provider"])
async def test_everybody_acknowledges_withdrawals(kind: str) -> None:
    service = offered(5, "withdrawn")
    async with service.http() as http:
        client = CausewayClient(BASE_URL, KEY, http=http)
        desks: dict[str, Desk] = {
            "hotline": HotlineDesk(client, "hotline-nl.example", Tally()),
            "agency": agency(service, http),
            "provider": provider(service, http),
        }
        assert await desks[kind].look(thoroughly=False)
    assert service.states(KEY) == {"withdrawal_acknowledged": 5}


async def test_a_case_withdrawn_after_it_was_taken_up_is_acknowledged() -> None:
    service = offered(20)
    async with service.http() as http:
        desk = agency(service, http)
        await desk.look(thoroughly=True)
        for item in service.items[KEY]:
            item.state = "withdrawn"
        await desk.look(thoroughly=False)
    assert service.states(KEY) == {"withdrawal_acknowledged": 20}


async def test_a_hotline_leaves_offers_to_people() -> None:
    service = offered(5)
    async with service.http() as http:
        await HotlineDesk(CausewayClient(BASE_URL, KEY, http=http), "hotline-nl.example", Tally()).look(thoroughly=True)
    assert service.states(KEY) == {"offered": 5}
    assert service.acts == []


@pytest.mark.parametrize("exercise", [False, True])
async def test_a_sample_party_never_answers_what_is_no_exercise(exercise: bool) -> None:
    service = FakeRecipients({KEY: [Item(one, "offered", exercise) for one in ids(50)]})
    async with service.http() as http:
        await agency(service, http).look(thoroughly=True)
    # The same check with exercises is the control: there, acts must be seen.
    assert bool(service.acts) is exercise


async def test_silence_is_kept_and_costs_one_page_a_look() -> None:
    service = offered(200)
    async with service.http() as http:
        desk = agency(service, http)
        await desk.look(thoroughly=True)
        acts, silent = len(service.acts), service.states(KEY)["offered"]
        service.looks.clear()
        assert not await desk.look(thoroughly=False)
    assert silent > 0
    assert len(service.acts) == acts
    assert service.looks == {"withdrawn": 1, "offered": 1}


async def test_what_arrives_behind_known_items_is_found_by_a_thorough_look() -> None:
    service = offered(100)
    service.page_size = 5
    async with service.http() as http:
        desk = agency(service, http)
        await desk.look(thoroughly=True)
        late = [Item(one, "offered") for one in ids(20, start=1000)]
        service.items[KEY][:0] = late
        before = len(service.acts)
        await desk.look(thoroughly=False)
        assert len(service.acts) == before
        await desk.look(thoroughly=True)
    assert {item.state for item in late} != {"offered"}


@pytest.mark.parametrize("act", ["accept", "outcome", "acknowledge", "answer"])
@pytest.mark.parametrize("restarted", [False, True])
async def test_an_act_that_is_cut_off_is_done_later_by_the_same_run_or_the_next(act: str, restarted: bool) -> None:
    notices = act in ("acknowledge", "answer")
    build = provider if notices else agency
    whole, cut = (offered(100, "issued" if notices else "offered") for _ in range(2))
    failures = iter([False] * 3 + [True] + [False] * 1000)

    def fault(name: str) -> None:
        if name == act and next(failures):
            raise httpx.ReadError("cut")

    cut.fault = fault
    async with whole.http() as http:
        await build(whole, http).look(thoroughly=True)
    async with cut.http() as http:
        desk: Desk = build(cut, http)
        with pytest.raises(Unavailable):
            await desk.look(thoroughly=True)
        desk = build(cut, http) if restarted else desk
        await desk.look(thoroughly=False)
        await desk.look(thoroughly=True)
    assert {item.id: item.state for item in cut.items[KEY]} == {item.id: item.state for item in whole.items[KEY]}


async def test_an_act_that_comes_too_late_is_counted_and_does_not_stop_the_others() -> None:
    service = offered(100)

    def withdrawn_meanwhile(act: str) -> None:
        if act == "decline":
            for item in service.items[KEY]:
                item.state = "withdrawn" if item.state == "offered" else item.state

    service.fault = withdrawn_meanwhile
    tally = Tally()
    async with service.http() as http:
        await agency(service, http, tally).look(thoroughly=True)
    assert tally.counts()["problems"] == {"state_forbids": service.states(KEY)["withdrawn"] - silent_before(service)}


def silent_before(service: FakeRecipients) -> int:
    """How many of the withdrawn were going to be met with silence anyway."""
    withdrawn = [item.id for item in service.items[KEY] if item.state == "withdrawn"]
    return sum(not agency_acts(Draw("1", "police-nl.example", one)) for one in withdrawn)


# -- rounds -------------------------------------------------------------------------------------------------


class Told(BaseException):
    """Ends the rounds in a test."""


class Scripted:
    """A desk whose looks end as scripted."""

    def __init__(self, *looks: bool | Exception) -> None:
        self._looks = list(looks)
        self.thorough: list[bool] = []

    async def look(self, *, thoroughly: bool) -> bool:
        if not self._looks:
            raise Told
        self.thorough.append(thoroughly)
        look = self._looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look


async def paused(desk: Scripted) -> tuple[list[float], Tally]:
    pauses: list[float] = []
    tally = Tally()

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    with pytest.raises(BaseExceptionGroup) as ended:
        await Rounds(tally, sleep=sleep).attend({"police-nl.example": desk})
    assert ended.group_contains(Told)
    return pauses[1:], tally


async def test_a_party_without_news_looks_in_ever_more_seldom_and_at_once_more_often_with_news() -> None:
    pauses, _ = await paused(Scripted(*[False] * 8, True, False))
    assert pauses[:8] == sorted(pauses[:8])
    assert pauses[7] == rounds.PAUSE_S_MAX
    assert pauses[8:] == [rounds.PAUSE_S_MIN, rounds.PAUSE_S_MIN * 1.5]


async def test_a_service_that_is_away_is_no_end_and_is_counted() -> None:
    failing = Scripted(Unavailable("server_unreachable"), ApiProblem("unauthenticated", status=401), True)
    _, tally = await paused(failing)
    assert tally.counts()["problems"] == {"server_unreachable": 1, "unauthenticated": 1}
    assert failing.thorough == [True, True, True]


async def test_every_tenth_look_is_thorough() -> None:
    desk = Scripted(*[False] * 21)
    await paused(desk)
    assert [number for number, thorough in enumerate(desk.thorough) if thorough] == [0, 10, 20]


async def test_no_more_than_sixteen_parties_look_at_once() -> None:
    present, most = 0, 0

    class Busy:
        async def look(self, *, thoroughly: bool) -> bool:
            nonlocal present, most
            present += 1
            most = max(most, present)
            for _ in range(5):
                await asyncio.sleep(0)
            present -= 1
            return True

    desks = {str(number): Busy() for number in range(60)}
    task = asyncio.ensure_future(Rounds(Tally(), sleep=lambda _: asyncio.sleep(0)).attend(desks))
    for _ in range(300):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert most == rounds.LOOKS_AT_ONCE_MAX
