"""An auditor with a scope sees pairs with a party in scope. All others look as if they did not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations
from uuid import UUID

import pytest

from services.audit import use_cases
from services.audit.domain.partitions import PartitionStatus
from services.audit.domain.shown import Access, Flow, FlowFilter, FlowPage, FlowSummary, Partition, ScopeSet, within
from shared.catalog import CATALOG
from shared.core.authority import AccessScope, Role
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.messaging.exceptions import OutcomeKind
from tests.services.audit.log import AUDITOR, PURPOSE, Log
from tests.support.builders import POLICE
from tests.support.exchange_world import HOTLINE


def look(*parties: str, instances: Sequence[str] = ()) -> Access:
    return Access(AUDITOR, Role.AUDITOR, True, PURPOSE, ScopeSet(frozenset(parties), frozenset(instances)))


async def shown(log: Log, referral_id: UUID, *parties: str) -> Flow | None:
    try:
        return await use_cases.show_flow(referral_id, look(*parties), entries=log.entries)
    except Refused as error:
        assert (error.code, error.status) == ("not_found", 404)
        return None


async def found(log: Log, *parties: str, party: str | None = None, reference: UUID | None = None) -> FlowPage:
    until = log.world.at + timedelta(days=1)
    sought = FlowFilter(party, until - timedelta(days=2), until, reference)
    items: list[FlowSummary] = []
    cursor = None
    while True:  # other modules submit at the same time, so the flow may be on any page
        page = await use_cases.find_flows(sought, look(*parties), entries=log.entries, cursor=cursor)
        items += page.items
        if (cursor := page.next) is None:
            return FlowPage(items=tuple(items), next=None)


async def test_of_a_mixed_flow_the_pairs_with_a_party_in_scope_are_seen(log: Log) -> None:
    """Recount: for every set of parties, the messages are filtered by hand and compared."""
    filed = log.world.prepared()
    records = await log.file(filed)
    for each in records:
        if (message := CATALOG.by_type.get(dict(each.headers)["ce_type"].decode())) is not None and message.edge:
            to = log.world.documents.directory.instance_of(dict(each.headers)["ce_recipient"].decode())
            assert to is not None
            await log.report(each, OutcomeKind.MOVED, by=to.id)
    everything = await use_cases.show_flow(
        filed.referral_id, Access(AUDITOR, Role.AUDITOR, True, PURPOSE), entries=log.entries
    )
    pairs = [(each.sender, each.recipient) for each in everything.messages if each.recipient and each.kind == "record"]
    parties = sorted({HOTLINE, *(str(party) for pair in pairs for party in pair)} - {"audit"})
    assert len(parties) >= 3
    for number in range(len(parties) + 1):
        for scope in combinations(parties, number):
            flow = await shown(log, filed.referral_id, *scope)
            expected = [pair for pair in pairs if set(scope) & set(pair)]
            seen = [] if flow is None else [each for each in flow.messages if each.kind == "record"]
            assert [(each.sender, each.recipient) for each in seen] == expected, scope
            reports = [] if flow is None else [each for each in flow.messages if each.kind == "outcomes"]
            assert len(reports) == len(expected)
            decisions = [] if flow is None else [each for each in flow.messages if each.kind == "decision"]
            assert bool(decisions) == (HOTLINE in scope)
            if flow is not None:
                assert [each.position for each in flow.messages] == list(range(1, len(flow.messages) + 1))
                hidden = set(parties) - set(scope) - {party for pair in expected for party in pair}
                assert not [name for name in hidden if name in flow.model_dump_json()]


async def test_a_flow_is_found_by_a_pair_in_scope_and_by_no_other(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    others = sorted({each.recipient for each in filed.emitted} - {POLICE})
    other = others[0]
    (mine,) = [each for each in (await found(log, POLICE)).items if each.referral_id == filed.referral_id]
    assert (mine.origin, mine.recipients) == (HOTLINE, (POLICE,))
    assert filed.referral_id in {each.referral_id for each in (await found(log, POLICE, party=HOTLINE)).items}
    # A referral sent to another recipient is a pair out of scope, so the search finds nothing.
    assert filed.referral_id not in {each.referral_id for each in (await found(log, POLICE, party=other)).items}
    assert filed.referral_id not in {each.referral_id for each in (await found(log, "nobody.example")).items}
    assert (await found(log, "nobody.example", reference=filed.referral_id)).items == ()
    assert (await found(log, POLICE, reference=filed.referral_id)).items == (mine,)
    theirs = next(each for each in filed.emitted if each.recipient == other)
    assert (await found(log, POLICE, reference=theirs.message_id)).items == ()
    assert (await found(log, other, reference=theirs.message_id)).items


async def test_a_page_of_entries_has_those_in_scope(log: Log) -> None:
    filed = log.world.prepared()
    records = await log.file(filed)
    for record in records:
        place = Partition(record.topic, record.partition, 0, record.topic_id)
        for scope in ((POLICE,), (HOTLINE,), ("nobody.example",)):
            page = await use_cases.show_entries(place, look(*scope), limit=500, entries=log.entries)
            for each in page.items:
                about = (each.detail or {}).get("origin"), (each.detail or {}).get("party")
                assert set(scope) & {each.sender, each.recipient, *about}
            assert scope != (HOTLINE,) or page.items


async def test_of_a_topic_out_of_scope_not_even_that_it_is_there_is_said(log: Log) -> None:
    records = await log.file(log.world.prepared())
    to_police = [each for each in records if each.topic.endswith("law_enforcement.hotline.v1")]
    topic, lane = to_police[0].topic, to_police[0].partition
    for places, there in (((), False), (("industry",), False), (("law_enforcement",), True), (("hotline",), True)):
        scope = ScopeSet(frozenset({"nobody.example"}), frozenset(), frozenset(places))
        seen = Access(AUDITOR, Role.AUDITOR, True, PURPOSE, scope)
        page = await use_cases.show_entries(Partition(topic, lane, 0, None), seen, limit=500, entries=log.entries)
        assert (bool(page.topic_ids), page.items) == (there, ())
    for strange in ("causeway.nothing.v1", "causeway.inbox.nothing.v1"):
        seen = look("nobody.example")
        page = await use_cases.show_entries(Partition(strange, 0, 0, None), seen, limit=500, entries=log.entries)
        assert (page.topic_ids, page.items) == ((), ())
    page = await use_cases.show_entries(Partition(topic, lane, 0, None), look(POLICE), limit=500, entries=log.entries)
    assert page.items
    assert page.topic_ids


async def test_what_a_colleague_has_looked_at_is_told_as_far_as_it_is_in_scope(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    everything, absent = Access(AUDITOR, Role.AUDITOR, True, PURPOSE), uuid7()
    for referral_id in (filed.referral_id, absent):
        await log.entries.note_reading(AUDITOR, PURPOSE, f"flow/{referral_id}")
        await log.entries.note_reading(AUDITOR, PURPOSE, f"find/{referral_id}")
    for named in (HOTLINE, POLICE, "anybody"):
        await log.entries.note_reading(AUDITOR, PURPOSE, f"find/{named}/2026-05-01/2026-05-31")
    await log.entries.note_reading(AUDITOR, PURPOSE, "entries/causeway.inbox.law_enforcement.hotline.v1/0/0")

    async def told(seen: Access) -> set[str]:
        looks = await use_cases.show_accesses(seen, cursor=None, limit=500, entries=log.entries)
        return {each.what for each in looks.items}

    period = "2026-05-01/2026-05-31"
    of_it = {f"flow/{filed.referral_id}", f"find/{filed.referral_id}"}
    named_here = of_it | {f"find/{HOTLINE}/{period}", f"find/{POLICE}/{period}"}
    assert await told(everything) >= named_here | {f"flow/{absent}"}
    for scope, expected in (
        ((POLICE,), of_it | {f"find/{POLICE}/{period}"}),
        ((HOTLINE,), of_it | {f"find/{HOTLINE}/{period}"}),
        (("nobody.example",), set()),
    ):
        found_there = await told(look(*scope))
        assert found_there & named_here == expected, scope
        assert f"find/anybody/{period}" in found_there
        assert not {each for each in found_there if str(absent) in each or each.startswith("entries/")}
    other_world = Access(AUDITOR, Role.AUDITOR, False, PURPOSE, look(POLICE).within)
    assert not await told(other_world) & of_it


async def test_topics_are_shown_where_all_their_pairs_are_in_scope(log: Log) -> None:
    await log.file(log.world.prepared())
    await log.partitions.note({("causeway.inbox.law_enforcement.hotline.v1", 0): PartitionStatus.READING})
    for instances, expected in (((), 0), (("hotline",), 1), (("industry",), 0)):
        seen = look(POLICE, instances=instances)
        states = await use_cases.show_topics(seen, entries=log.entries, partitions=log.partitions)
        assert len([each for each in states.items if each.topic.endswith("law_enforcement.hotline.v1")]) == expected


def test_parties_of_a_jurisdiction_are_those_below_it(log: Log) -> None:
    """Recounted from the document, using only the jurisdiction tree."""
    directory, on = log.world.documents.directory, log.world.at.date()
    parties = directory.document["parties"]
    for code in sorted({each for party in parties for each in party["jurisdictions"]} | {"BLOC-EU", "NL"}):
        seen = within(AUDITOR, AccessScope((code,)), directory, on=on)
        assert seen is not None
        below = {
            party["id"]
            for party in parties
            if any(code in directory.tree.ancestors(each, on) for each in party["jurisdictions"])
        }
        assert seen.parties == below
    assert within(AUDITOR, None, directory, on=on) is None
    nothing = within(AUDITOR, AccessScope(), directory, on=on)
    assert nothing == ScopeSet(frozenset(), frozenset())
    everybody = within(AUDITOR, AccessScope((), tuple(party["id"] for party in parties)), directory, on=on)
    assert everybody is not None
    assert AUDITOR in everybody.parties
    # Audit's topics carry the statements of every instance. A scope with the auditor's organisation shows none of them.
    assert "audit" not in everybody.instances | everybody.places
    assert everybody.instances == set(directory.kinds()) - {"audit"}
    named = within(AUDITOR, AccessScope((), (POLICE,)), directory, on=on)
    assert named is not None
    assert named.parties == {POLICE}


async def test_nothing_of_a_flow_out_of_scope_differs_from_one_that_is_not_there(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    answers = []
    for referral_id in (filed.referral_id, uuid7()):
        with pytest.raises(Refused) as refused:
            await use_cases.show_flow(referral_id, look("nobody.example"), entries=log.entries)
        answers.append((refused.value.code, refused.value.detail, refused.value.status, refused.value.field))
    assert answers[0] == answers[1]


async def test_the_same_access_again_in_an_hour_is_counted(log: Log) -> None:
    auditor, what = f"{uuid7().hex[-8:]}.example", f"flow/{uuid7()}"
    await asyncio.gather(*(log.entries.note_reading(auditor, PURPOSE, what, actor="0f" * 16) for _ in range(20)))
    seen = Access(auditor, Role.AUDITOR, True, PURPOSE)
    looks = await use_cases.show_accesses(seen, cursor=None, limit=500, entries=log.entries)
    counts = [each.count for each in looks.items if each.what == what]
    assert (len(counts) <= 2, sum(counts)) == (True, 20)
