"""Sample parties against recipients' services in memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID, uuid5

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deploy.sandbox
from client.api import CausewayClient
from deploy.sandbox.party_agents import (
    SHARES,
    BehaviourDraw,
    Duties,
    PartyAgent,
    RunStatistics,
    agency_acts,
    hotline_acts,
    provider_acts,
    work_of,
)
from shared.core.contracts.answers import AssessedItems, OfferFindings, OutcomeReportedClear
from shared.core.contracts.fields import CaseReference
from shared.core.errors import Unavailable
from shared.core.vocabulary.answers import CaseDeclineReason, CaseOutcome, CloseReason, NoticeAction, NoticeRejection
from shared.core.vocabulary.routing import PartyKind
from tests.client.fake_recipients import FakeRecipients, Item
from tests.client.fake_service import BASE_URL, KEY
from tests.support.manual_clock import ManualClock

SPACE = UUID("019ab0e5-1111-7111-8111-111111111111")
OTHERS = ("provider-002.example", "provider-003.example")
#: The vocabularies whose values the sandbox draws.
DRAWN: dict[str, type[StrEnum]] = {
    "decline": CaseDeclineReason,
    "first": CaseOutcome,
    "last": CaseOutcome,
    "close": CloseReason,
    "actions": NoticeAction,
    "reject": NoticeRejection,
}


def ids(count: int, start: int = 0) -> list[UUID]:
    return [uuid5(SPACE, str(number)) for number in range(start, start + count)]


CLOCK = ManualClock(datetime(2026, 4, 1, tzinfo=UTC))
WORK: dict[str, Duties] = {
    "hotline": work_of(PartyKind.HOTLINE, "hotline-nl.example", seed="1", clock=CLOCK),
    "agency": work_of(PartyKind.LAW_ENFORCEMENT, "police-nl.example", seed="1", clock=CLOCK),
    "provider": work_of(PartyKind.INDUSTRY, "provider-001.example", seed="1", clock=CLOCK, others=OTHERS),
}
#: The state in which an item is new to a recipient.
NEW = {kind: work.new for kind, work in WORK.items()}


def desk(kind: str, http: httpx.AsyncClient, tally: RunStatistics | None = None) -> PartyAgent:
    client = CausewayClient(BASE_URL, KEY, http=http, attempts_max=1)
    return PartyAgent(client, kind, WORK[kind], tally=tally or RunStatistics())


def offered(count: int, state: str = "offered") -> FakeRecipients:
    return FakeRecipients({KEY: [Item(one, state) for one in ids(count)]})


# -- behaviour ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SHARES))
def test_every_table_of_shares_adds_up_to_100_and_has_words_of_its_vocabulary(name: str) -> None:
    assert sum(SHARES[name].values()) == 100
    words = {word for choice in SHARES[name] for word in choice.split(" + ")} - {"none"}
    assert name not in DRAWN or words <= {*DRAWN[name]}


def test_the_readme_states_the_shares_that_the_code_draws_from() -> None:
    text = Path(deploy.sandbox.__file__).with_name("README.md").read_text()
    stated = {cell: int(share) for cell, share in re.findall(r"^\| `([^`]+)` +\| +(\d+) % +\|", text, re.MULTILINE)}
    told = {name: name for name in ("agency", "provider", "hotline", "findings", "actions")}
    told |= {"first": "first outcome", "last": "last outcome"}
    assert stated == {f"{told[name]}: {each}": share for name in told for each, share in SHARES[name].items()}


@settings(deadline=None)
@given(st.text(), st.uuids())
def test_the_same_seed_party_and_id_always_act_alike_and_within_the_contracts(seed: str, subject: UUID) -> None:
    acts = agency_acts(BehaviourDraw(seed, "police-nl.example", subject))
    assert acts == agency_acts(BehaviourDraw(seed, "police-nl.example", subject))
    reports = [act.said for act in acts if act.act == "outcome"]
    assert len(reports) <= 2
    assert not reports or acts[0].act == "accept"
    act = {"referral_id": subject, "revision": 1, "act": subject, "number": 2}
    for report in reports:
        OutcomeReportedClear.model_validate(act | report)
    assert not {CaseOutcome.CLOSED, CaseOutcome.CONVICTION} & {report["outcome"] for report in reports[:1]}
    pattern = CaseReference.__metadata__[0].pattern  # type: ignore[attr-defined]
    assert all(re.fullmatch(pattern, act.said["case_reference"]) for act in acts if act.act == "accept")


@given(st.text(), st.uuids())
def test_a_hotline_never_stays_silent_and_keeps_to_the_rules_of_assessments(seed: str, subject: UUID) -> None:
    first, *others = hotline_acts(BehaviourDraw(seed, "hotline-nl.example", subject))
    assert first.act in ("accept", "decline")
    for assessed in others:
        findings = OfferFindings.model_validate(assessed.said)
        said = [each.model_dump(exclude_none=True) | {"n": 1} for each in findings.assessed]
        AssessedItems.model_validate({"assessed": said})


def test_answers_come_in_the_stated_shares() -> None:
    count = 10_000
    drawn = Counter(BehaviourDraw("1", "police-nl.example", one).one_of("agency") for one in ids(count))
    assert all(abs(drawn[name] / count - share / 100) < 0.02 for name, share in SHARES["agency"].items())


def test_a_provider_points_to_another_and_never_to_itself_or_to_nobody_known() -> None:
    def pointed(others: Sequence[str]) -> set[str | None]:
        acts = [act for one in ids(500) for act in provider_acts(BehaviourDraw("1", "p", one), others, CLOCK.now())]
        return {act.said["disowned"][0].get("suggested") for act in acts if act.act == "not_ours"}

    assert pointed(OTHERS) == set(OTHERS)
    assert pointed(()) == {None}


# -- desks --------------------------------------------------------------------------------------------------


async def test_an_agency_leaves_every_case_in_the_state_its_behaviour_leads_to() -> None:
    service = offered(200)
    async with service.http() as http:
        await desk("agency", http).look(thoroughly=False)
    expected: Counter[str] = Counter()
    for one in ids(200):
        acts = agency_acts(BehaviourDraw("1", "police-nl.example", one))
        expected[{0: "offered", 2: "ongoing", 3: "closed"}.get(len(acts)) or acts[0].act] += 1
    found = service.states(KEY)
    assert found == Counter({{"accept": "accepted", "decline": "declined"}.get(k, k): v for k, v in expected.items()})
    assert set(found) == {"offered", "accepted", "declined", "ongoing", "closed"}


async def test_a_provider_answers_notices_and_says_when_its_actions_took_effect() -> None:
    service = offered(200, "issued")
    async with service.http() as http:
        await desk("provider", http).look(thoroughly=False)
    assert set(service.states(KEY)) == {"issued", "acknowledged", "actioned", "rejected", "not_ours"}
    effective = {
        item["effective_at"]
        for act, _, body in service.acts
        if act == "answer"
        for item in body["items"]
        if "action" in item
    }
    assert effective == {"2026-04-01T00:00:00.000Z"}


async def test_a_thousand_are_answered_in_as_few_requests_as_their_acts_take() -> None:
    service = offered(1000)
    service.page_size = 1000
    async with service.http() as http:
        await desk("agency", http).look(thoroughly=False)
    assert sum(service.batches) == len(service.acts) > 1000
    assert len(service.batches) == -(-len(service.acts) // 100)


@pytest.mark.parametrize("kind", list(WORK))
@pytest.mark.parametrize("kept", [None, "case_is_kept", "notice_is_kept"])
async def test_everybody_acknowledges_withdrawals_and_keeps_what_has_to_be_kept(kind: str, kept: str | None) -> None:
    service = offered(5, "withdrawn")
    service.kept = {one: kept for one in ids(2) if kept}
    tally = RunStatistics()
    async with service.http() as http:
        await desk(kind, http, tally).look(thoroughly=False)
    assert service.states(KEY) == {"withdrawal_acknowledged": 5}
    fates = Counter(said["fate"] for _, _, said in service.acts)
    assert fates == Counter({"erased": 3, "kept": 2} if kept else {"erased": 5})
    assert tally.counts()["problems"] == {}


@pytest.mark.parametrize("exercise", [False, True])
@pytest.mark.parametrize("kind", list(WORK))
async def test_a_sample_party_never_answers_what_is_no_exercise(kind: str, exercise: bool) -> None:
    service = FakeRecipients({KEY: [Item(one, NEW[kind], exercise) for one in ids(50)]})
    async with service.http() as http:
        await desk(kind, http).look(thoroughly=True)
    # Control: the same check with exercises must see acts.
    assert bool(service.acts) is exercise


async def test_silence_is_kept_and_costs_one_page_a_look() -> None:
    service = offered(200)
    async with service.http() as http:
        one = desk("agency", http)
        await one.look(thoroughly=True)
        acts, silent = len(service.acts), service.states(KEY)["offered"]
        service.looks.clear()
        service.batches.clear()
        await one.look(thoroughly=False)
    assert silent > 0
    assert (len(service.acts), service.batches) == (acts, [])
    assert service.looks == {"withdrawn": 1, "offered": 1}


async def test_what_arrives_behind_known_items_is_found_by_a_thorough_look() -> None:
    service = offered(100)
    service.page_size = 5
    async with service.http() as http:
        one = desk("agency", http)
        await one.look(thoroughly=True)
        late = [Item(each, "offered") for each in ids(20, start=1000)]
        service.items[KEY][:0] = late
        before = len(service.acts)
        await one.look(thoroughly=False)
        assert len(service.acts) == before
        await one.look(thoroughly=True)
    assert {item.state for item in late} != {"offered"}


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        ("agency", "accept"),
        ("agency", "outcome"),
        ("provider", "acknowledge"),
        ("provider", "answer"),
        ("hotline", "assess"),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
async def test_an_act_that_is_cut_off_is_done_later_by_the_same_run_or_the_next(
    kind: str, act: str, restarted: bool
) -> None:
    whole, cut = (offered(100, NEW[kind]) for _ in range(2))
    failures = iter([False] * 3 + [True] + [False] * 1000)

    def fault(name: str) -> None:
        if name == act and next(failures):
            raise httpx.ReadError("cut")

    cut.fault = fault
    async with whole.http() as http:
        await desk(kind, http).look(thoroughly=True)
    async with cut.http() as http:
        one = desk(kind, http)
        with pytest.raises(Unavailable):
            await one.look(thoroughly=True)
        one = desk(kind, http) if restarted else one
        await one.look(thoroughly=False)
        await one.look(thoroughly=True)
    assert {item.id: item.state for item in cut.items[KEY]} == {item.id: item.state for item in whole.items[KEY]}


async def test_an_act_that_comes_too_late_is_counted_and_does_not_stop_the_others() -> None:
    service = offered(100)

    def withdrawn_meanwhile(act: str) -> None:
        if act == "decline":
            for item in service.items[KEY]:
                item.state = "withdrawn" if item.state == "offered" else item.state

    service.fault = withdrawn_meanwhile
    tally = RunStatistics()
    async with service.http() as http:
        await desk("agency", http, tally).look(thoroughly=True)
    assert tally.counts()["problems"] == {"state_forbids": service.states(KEY)["withdrawn"] - silent_before(service)}


def silent_before(service: FakeRecipients) -> int:
    """Return how many of the withdrawn items the agency would have left unanswered anyway."""
    withdrawn = [item.id for item in service.items[KEY] if item.state == "withdrawn"]
    return sum(not agency_acts(BehaviourDraw("1", "police-nl.example", one)) for one in withdrawn)


async def test_a_desk_looks_for_what_others_did_that_concerns_its_work_and_misses_nothing_before() -> None:
    service = offered(0)
    service.tell("case.offer")
    async with service.http() as http:
        one = desk("agency", http)
        assert await one.wait_for_event(20)
        heard = []
        for event in ("case.accept", "offer.offer", "case.offer", "case.withdraw"):
            service.tell(event)
            heard.append(await one.wait_for_event(20))
        assert heard == [False, False, True, True]
        assert not await one.wait_for_event(1)
        one.begin_anew()
        assert await one.wait_for_event(20)
