"""The subjects of two instances over real databases: each states exactly what the other expects, after any history."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from shared.core.contracts.registry import CASE_ACCEPTED, REFERRAL_OFFERED
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft
from shared.delivery.sending import send
from shared.delivery.subjects import ROWS_MAX, PartySubjects
from shared.delivery.tracks import TrackSide
from shared.messaging.exceptions import OutcomeKind, RefusalCode
from shared.messaging.ports import DayDigest, OperatorKind, OperatorLine, OwnTrack, Side, SubjectHolding
from shared.messaging.reactions import Actions
from shared.messaging.resync import HoldingsPart, SideDay, compare_part
from shared.messaging.tracks import track_of
from shared.platform.database.journal import ErasureNote
from shared.platform.database.transactions import gather
from tests.shared.delivery.sites import NotedTracks, send_from
from tests.shared.delivery.test_inbound import again, answer, hold_ended, taken_back
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.consuming import Applied, Site
from tests.support.exchange_world import World

AGENCIES = "law_enforcement"


async def exchange(hotline: Site, agencies: Site) -> None:
    """Deliver all sent messages of both sides, until none is in transit."""
    while True:
        there, back = await hotline.relay(AGENCIES), await agencies.relay("hotline")
        if not there and not back:
            return
        await agencies.take(there)
        await hotline.take(back)


def accepted(offer: Draft) -> Draft:
    return answer(CASE_ACCEPTED, UUID(offer.subject), 1)


def track(offer: Draft) -> UUID:
    found = track_of(offer.message, offer.sender, offer.recipient, subject=UUID(offer.subject))
    assert found is not None
    return found


async def digests(site: Site, name: str, side: Side, peer: str) -> list[DayDigest]:
    async with site.database.transaction() as session:
        found: list[DayDigest] = await getattr(site.subjects(session), name)(side, peer)
        return found


async def assert_alike(hotline: Site, agencies: Site) -> None:
    """Check that each side states exactly the digests that the other side expects."""
    for owner, other in ((hotline, agencies), (agencies, hotline)):
        for side in Side:
            expected = await digests(owner, "list_own_days", side, other.instance)
            assert await digests(other, "list_held_days", side, owner.instance) == expected, (owner.instance, side)


async def own(site: Site, side: Side, peer: str, offer: Draft) -> OwnTrack:
    async with site.database.transaction() as session:
        return (await site.subjects(session).load_own(side, peer, subjects=[track(offer)]))[track(offer)]


async def test_after_any_history_both_sides_are_alike(hotline: Site, agencies: Site, here: World) -> None:
    plain, answered, back, gone = (here.offered(POLICE) for _ in range(4))
    await send_from(hotline, plain, answered, back, gone)
    await assert_differ(hotline, agencies)
    await exchange(hotline, agencies)
    await assert_alike(hotline, agencies)
    await send_from(agencies, accepted(answered), accepted(back))
    await exchange(hotline, agencies)
    await assert_alike(hotline, agencies)
    await send_from(hotline, taken_back(back), taken_back(gone))
    await exchange(hotline, agencies)
    await assert_alike(hotline, agencies)
    async with agencies.database.transaction() as session:
        gather(session.driver, [ErasureNote(UUID(each.subject), POLICE) for each in (back, gone)])
    await assert_alike(hotline, agencies)
    assert sum(each.holding_count for each in await digests(hotline, "list_own_days", Side.HELD, AGENCIES)) == 4


async def assert_differ(hotline: Site, agencies: Site) -> None:
    with pytest.raises(AssertionError):
        await assert_alike(hotline, agencies)


async def test_what_the_peer_refuses_is_not_expected_there(hotline: Site, agencies: Site, here: World) -> None:
    handler = cast(Applied, agencies.handler)
    handler.codes = {REFERRAL_OFFERED.type: "edge_exists"}
    offer = here.offered(POLICE)
    await send_from(hotline, offer)
    await exchange(hotline, agencies)
    (settlement,) = cast(Applied, hotline.handler).settlements
    assert (settlement.message_id, settlement.code, settlement.by) == (offer.message_id, "edge_exists", AGENCIES)
    assert not (await own(hotline, Side.HELD, AGENCIES, offer)).was_sent
    await assert_alike(hotline, agencies)


async def test_an_answer_that_is_refused_is_not_expected_there(hotline: Site, agencies: Site, here: World) -> None:
    cast(Applied, hotline.handler).codes = {CASE_ACCEPTED.type: "act_not_now"}
    offer = here.offered(POLICE)
    await send_from(hotline, offer)
    await exchange(hotline, agencies)
    await send_from(agencies, accepted(offer))
    await exchange(hotline, agencies)
    assert (await own(agencies, Side.ANSWERED, "hotline", offer)).acts == ()
    await assert_alike(hotline, agencies)


async def test_a_referral_that_is_refused_as_stale_is_heard_with_its_code_and_decided_again(
    hotline: Site, agencies: Site, here: World
) -> None:
    offer = here.offered(POLICE)
    await send_from(hotline, offer)
    written = await hotline.relay(AGENCIES)
    await agencies.take(written, at=here.at - timedelta(hours=2))
    await exchange(hotline, agencies)
    (settlement,) = cast(Applied, hotline.handler).settlements
    assert settlement.code == "decision_time_off"


async def test_a_withdrawal_there_that_is_unknown_here_goes_to_the_work_list(
    hotline: Site, agencies: Site, here: World
) -> None:
    """The origin was restored to a time before its withdrawal. The peer refuses the edge when it is sent again."""
    offer = here.offered(POLICE)
    await send_from(hotline, offer, taken_back(offer))
    await exchange(hotline, agencies)
    async with hotline.database.transaction() as session:
        await session.driver.execute("UPDATE track SET is_withdrawn = false")
        send(session.driver, [again(offer)])
    await exchange(hotline, agencies)
    features = cast(NotedTracks, hotline.features)
    assert ("taken_back_there", ((UUID(offer.subject), POLICE),), AGENCIES) in features.calls
    assert (await own(hotline, Side.HELD, AGENCIES, offer)).is_withdrawn
    assert cast(Applied, hotline.handler).settlements[-1].code == "subject_withdrawn"


async def test_a_state_that_is_lacking_there_is_marked_and_a_withdrawal_is_told_again(
    hotline: Site, agencies: Site, here: World
) -> None:
    kept, back = here.offered(POLICE), here.offered(POLICE)
    await send_from(hotline, kept, back, taken_back(back))
    async with hotline.database.transaction() as session:
        subjects = hotline.subjects(session)
        await subjects.send_state(track(kept))
        await subjects.send_state(track(back))
        await subjects.send_withdrawal(track(back), AGENCIES)
        await subjects.send_state(uuid7())
    features = cast(NotedTracks, hotline.features)
    assert features.calls == [
        ("mark_missing", ((UUID(kept.subject), POLICE),), AGENCIES),
        *[("mark_untold", ((UUID(back.subject), POLICE),), AGENCIES)] * 2,
    ]


async def test_a_state_is_not_issued_where_its_party_is_not_placed(hotline: Site, here: World) -> None:
    offer = here.offered(POLICE)
    await send_from(hotline, offer)
    async with hotline.database.transaction() as session:
        features = NotedTracks()
        subjects = PartySubjects(session, "hotline", features, is_placed=lambda *_: False, now=hotline.clock.now())
        await subjects.send_state(track(offer))
        found = await subjects.load_own(Side.HELD, AGENCIES, subjects=[track(offer)])
    assert features.calls == []
    assert not found[track(offer)].is_placed


async def test_answers_that_are_lacking_there_are_on_the_operators_list(
    hotline: Site, agencies: Site, here: World
) -> None:
    offer = here.offered(POLICE)
    answer = accepted(offer)
    await send_from(agencies, answer)
    async with agencies.database.transaction() as session:
        await agencies.subjects(session).send_answers(track(offer), "hotline")
    async with agencies.scopes.read() as tx:
        (line,) = await tx.list_operator_lines()
    assert (line.kind, line.peer, line.subject, line.act) == (
        OperatorKind.ACT,
        "hotline",
        track(offer),
        UUID(str(answer.clear["act"])),
    )


async def test_a_peer_that_was_restored_to_before_a_withdrawal_is_told_it_again_and_nothing_is_listed(
    hotline: Site, agencies: Site, here: World
) -> None:
    offer = here.offered(POLICE)
    await send_from(hotline, offer)
    await exchange(hotline, agencies)
    await send_from(hotline, taken_back(offer))
    await hotline.relay(AGENCIES)  # taken, and lost with the peer's database
    day = next(iter(await digests(hotline, "list_own_days", Side.HELD, AGENCIES))).day
    async with agencies.database.transaction() as session:
        rows = await agencies.subjects(session).list_held(Side.HELD, "hotline", days=[day])
    async with hotline.database.transaction() as session:
        own = await hotline.subjects(session).list_own(Side.HELD, AGENCIES, days=[day])
    actions = Actions(AGENCIES)
    compare_part(actions, HoldingsPart(SideDay(Side.HELD, day), tuple(rows)), own)
    assert (list(actions.withdrawals), list(actions.lines)) == ([track(offer)], [])


async def test_days_are_those_of_ids_and_are_closed_after_ten_years(hotline: Site, here: World) -> None:
    now = hotline.clock.now()
    async with hotline.database.transaction() as session:
        subjects = hotline.subjects(session)
        for days, is_closed in ((0, False), (3653, False), (3654, True)):
            subject = id_of_time(now - timedelta(days=days))
            assert subjects.day_of(subject) == (now - timedelta(days=days)).date()
            assert subjects.is_day_closed(subject) is is_closed
        assert subjects.day_of(UUID(int=2**128 - 1)).year == 9999


async def test_any_day_that_a_peer_names_has_bounds(hotline: Site, agencies: Site, here: World) -> None:
    await send_from(hotline, here.offered(POLICE))
    await exchange(hotline, agencies)
    (open_day,) = await digests(hotline, "list_own_days", Side.HELD, AGENCIES)
    async with hotline.database.transaction() as session:
        subjects = hotline.subjects(session)
        days = [date.min, date(1969, 12, 31), date.max]
        assert await subjects.list_own(Side.HELD, AGENCIES, days=days) == []
        assert await subjects.list_held(Side.HELD, AGENCIES, days=days) == []
        assert len(await subjects.list_own(Side.HELD, AGENCIES, days=[*days, open_day.day])) == 1


def id_of_time(instant: datetime) -> UUID:
    return UUID(int=int(instant.astimezone(UTC).timestamp() * 1000) << 80)


async def test_an_erasure_ends_the_exceptions_of_its_subject(hotline: Site, agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    cast(Applied, agencies.handler).cursed = {offer.message_id}
    await send_from(hotline, offer)
    await exchange(hotline, agencies)
    (kept,) = await agencies.exceptions()
    assert kept.outcome.kind is OutcomeKind.DEAD
    async with agencies.database.transaction() as session:
        await session.driver.execute(
            "INSERT INTO track (peer, side, track, subject, owner, recipient, track_acts, track_edges) "
            "VALUES ('hotline', $1, $2, $3, $4, $5, '{}', '{}')",
            TrackSide.HELD, track(offer), UUID(offer.subject), HOTLINE, POLICE,
        )  # fmt: skip
        gather(session.driver, [ErasureNote(UUID(offer.subject), POLICE)])
    assert await agencies.exceptions() == []
    await exchange(hotline, agencies)
    assert cast(Applied, hotline.handler).settlements[-1].code == RefusalCode.ERASED


async def test_many_tracks_are_stated_in_pages_without_statistics_of_the_table(hotline: Site) -> None:
    count = 2 * ROWS_MAX + 7
    now = hotline.clock.now()
    low = id_of_time(now - timedelta(days=2)).int
    subjects = [UUID(int=low + number * (1 << 72)) for number in range(count)]
    async with hotline.database.transaction() as session:
        await session.driver.execute(
            "INSERT INTO track (peer, side, track, subject, owner, recipient, track_acts, track_edges)"
            " SELECT 'industry', side, subject, subject, 'a', 'b', ARRAY[subject], '{}'"
            " FROM unnest($1::uuid[]) AS subject, unnest(ARRAY[0, 2]) AS side",
            subjects,
        )
        of = hotline.subjects(session)
        held = await of.list_held_days(Side.HELD, "industry")
        assert sum(each.holding_count for each in held) == count
        assert await of.list_own_days(Side.HELD, "industry") == held


async def test_an_act_that_no_state_tells_again_is_listed_and_the_edge_is_not_issued_for_it(
    hotline: Site, here: World
) -> None:
    offer = here.offered(POLICE)
    await send_from(hotline, offer, hold_ended(offer))
    told = await own(hotline, Side.HELD, AGENCIES, offer)
    edge, act = told.acts
    day = SideDay(Side.HELD, AT.date())
    for held, lines, states in (
        ((edge, act), [], []),
        ((edge,), [OperatorLine(OperatorKind.ACT, AGENCIES, told.subject, act)], []),
        ((act,), [], [told.subject]),
    ):
        actions = Actions(AGENCIES)
        compare_part(actions, HoldingsPart(day, (SubjectHolding(told.subject, 1, told.content, held),)), [told])
        assert (list(actions.lines), list(actions.states)) == (lines, states)
