"""The rows of acts, and their consequences: every (state, act) as listed here, on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.catalog import CATALOG
from shared.core.acts import states
from shared.core.acts.act import ASKED_BY_AGENCIES, Act, AskState, Cause, Move, Offering, Subject, Track
from shared.core.acts.table import COME_BACK
from shared.core.authority import Authority, Role
from shared.core.contracts.answers import NoticeDisowning, NoticeStatements, OfferFindings, OutcomeReport, Reinstatement
from shared.core.contracts.base import Contract
from shared.core.contracts.preservation_api import ExtensionAnswering, PreservationAnswering
from shared.core.contracts.registry import BETWEEN_PARTIES, WITHDRAWAL_ACKNOWLEDGED, MessageType
from shared.core.errors import Refused
from shared.core.protocol.origin import ReferralState
from shared.core.vocabulary.answers import (
    AnswerState,
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    ItemsFold,
    OfferFold,
)
from shared.core.vocabulary.code import Code
from shared.core.vocabulary.preservation import PreservationAnswer
from tests.shared.core.protocol.acts_expected import ALLOWED, ANSWERED, DECIDED, FIRST, SHOWN
from tests.shared.core.protocol.tracks import Saying

#: An act on a subject, and its content.
Event = tuple[Act, Saying | None]
#: The codes that each content may have, or that the answers about its items fold to.
CODES: dict[type[Contract], type[Code]] = {
    OutcomeReport: CaseOutcome,
    **dict.fromkeys((NoticeStatements, NoticeDisowning, Reinstatement), ItemsFold),
    **dict.fromkeys((PreservationAnswering, ExtensionAnswering), PreservationAnswer),
    OfferFindings: OfferFold,
}


def events(subject: Subject) -> list[Event]:
    """Return every act on an existing subject: an outcome with each of its codes, an answer with each fold."""
    found: list[Event] = []
    for row in CATALOG.acts_on(subject):
        if row.takes in CODES:
            found += [(row, saying(code)) for code in CODES[row.takes]]
        elif row is COME_BACK:
            found += [(row, saying(AnswerState(move.to))) for move in row.moves]
        elif all(move.before for move in row.moves):
            found.append((row, None))
    return found


def saying(code: Code) -> Saying:
    return Saying.model_construct(code=code)


def named(event: Event) -> str:
    row, said = event
    return row.name if said is None else f"{row.name}:{said.code}"


@pytest.mark.parametrize("subject", Subject)
def test_a_subject_moves_exactly_as_the_table_says(subject: Subject) -> None:
    for state in states.states(subject):
        for event in events(subject):
            expected = ALLOWED[subject].get((state, named(event)))
            if expected is None:
                with pytest.raises(Refused, match="state_forbids"):
                    states.follow(event[0], state, event[1])
            else:
                assert states.follow(event[0], state, event[1]) == expected


@pytest.mark.parametrize("subject", Subject)
def test_every_pair_of_the_table_exists_and_every_state_has_its_word(subject: Subject) -> None:
    pairs = {(state, named(event)) for state in states.states(subject) for event in events(subject)}
    assert ALLOWED[subject].keys() <= pairs
    assert states.states(subject) == {state.value for state in SHOWN[subject]}


def test_each_move_uses_the_states_of_its_own_track() -> None:
    origins = {Track.OFFER: {*Offering, *ReferralState}, Track.ANSWER: set(AnswerState)}
    agencies = {Track.OFFER: set(AskState), Track.ANSWER: set(PreservationAnswer)}
    for row in CATALOG.acts:
        tracks = agencies if row.subject in ASKED_BY_AGENCIES else origins
        other = tracks[Track.ANSWER if row.track is Track.OFFER else Track.OFFER]
        assert {state for move in row.moves for state in (*move.before, move.to)} <= tracks[row.track], row
        assert row.needs <= other, row


def faults_of(rows: Sequence[Act]) -> list[str]:
    """Return the errors that change the meaning of a table of acts."""
    found = [f"{name} stands twice" for name, count in Counter((r.subject, r.name) for r in rows).items() if count > 1]
    told = Counter((row.subject, row.track, row.message, row.name == "amend") for row in rows if row.message)
    found += [f"{told_by} is told by two acts" for told_by, count in told.items() if count > 1]
    for row in rows:
        coded = [bool(move.codes) for move in row.moves if move.before]
        if coded != sorted(coded, reverse=True):
            found.append(f"{row.name}: a move for whatever is said hides one for a code")
        lists = {type(code) for move in row.moves for code in move.codes}
        said = row.takes is not None or row.cause is Cause.ACT
        if lists and (not said or len(lists) > 1):
            found.append(f"{row.name}: its codes are said in no one word")
    return found


def test_the_table_is_well_formed() -> None:
    assert faults_of(CATALOG.acts) == []


def test_a_table_that_is_not_is_found() -> None:
    outcome = states.row(Subject.CASE, "outcome")
    turned = outcome._replace(moves=tuple(reversed(outcome.moves)))
    assert len(faults_of([*CATALOG.acts, outcome])) == 2
    assert faults_of([turned]) == ["outcome: a move for whatever is said hides one for a code"]
    assert faults_of([outcome._replace(takes=None)]) == ["outcome: its codes are said in no one word"]


def test_a_code_is_never_taken_for_one_of_another_list() -> None:
    no_crime = Move(frozenset({"none"}), "declined", frozenset({CaseDeclineReason.NO_CRIME}))
    assert not states.says(no_crime, saying(CloseReason.NO_CRIME))


def done(subject: Subject, events: list[Event], step: Callable[..., str]) -> list[str]:
    """Return the names of those `events` that are not refused, applied in order to one subject."""
    state, taken = FIRST[subject], []
    for row, said in events:
        try:
            state = step(row, state, said)
        except Refused:
            continue
        code = None if said is None else said.code
        whole = isinstance(code, ItemsFold) and code not in (ItemsFold.IN_PART, ItemsFold.REAPPEARED)
        taken.append(f"whole {row.name}" if whole else row.name)
    return taken


def after_withdrawal(taken: list[str]) -> list[str]:
    """Return the acts after a withdrawal, without those about holds and other agencies, which stay allowed."""
    after = taken[taken.index("withdraw") + 1 :] if "withdraw" in taken else []
    return [name for name in after if name not in ANSWERED]


@settings(deadline=None)
@given(
    st.sampled_from(Subject).flatmap(lambda s: st.tuples(st.just(s), st.lists(st.sampled_from(events(s)), max_size=12)))
)
def test_what_was_withdrawn_is_never_acted_on_again(drawn: tuple[Subject, list[Event]]) -> None:
    answered = ["acknowledge_withdrawal", "erase"]
    assert after_withdrawal(done(*drawn, states.follow)) in ([], answered[:1], answered)


@settings(deadline=None)
@given(st.lists(st.sampled_from(events(Subject.NOTICE)), max_size=12))
def test_a_notice_is_answered_at_most_once_until_it_is_reinstated(drawn: list[Event]) -> None:
    taken = done(Subject.NOTICE, drawn, states.follow)
    assert sum(name.startswith("whole ") for name in taken) <= 1 + taken.count("reinstate")


def test_a_machine_that_lets_everything_happen_would_be_noticed() -> None:
    """Negative control of the two tests above."""
    whole = saying(ItemsFold.NOT_OURS)
    said = {"not_ours": whole, "withdraw": None, "answer": whole}
    drawn = [(states.row(Subject.NOTICE, name), each) for name, each in said.items()]
    taken = done(Subject.NOTICE, drawn, lambda _row, state, _said: state)
    assert taken == ["whole not_ours", "withdraw", "whole answer"]
    assert after_withdrawal(taken) == ["whole answer"]


@pytest.mark.parametrize("subject", Subject)
@pytest.mark.parametrize("role", Role)
def test_only_analysts_and_machines_act_and_only_where_the_table_lets_them(subject: Subject, role: Role) -> None:
    cells = {*Authority(states.permits(subject)).cells()}
    for row in CATALOG.personal(subject):
        permitted = {state for state in states.states(subject) if (subject, role, row.name, state) in cells}
        if row.name == "submit":
            expected = {*DECIDED, "unreleased"} if subject is Subject.REFERRAL else {FIRST[subject]}
        else:
            expected = {state for state, event in ALLOWED[subject] if event.partition(":")[0] == row.name}
        # A second reviewer is another person.
        acting = {Role.ANALYST} if row.cause is Cause.SECOND_PERSON else {Role.ANALYST, Role.MACHINE}
        assert permitted == (expected if role in acting else set()), row


def test_what_an_act_takes_is_what_its_message_carries() -> None:
    for row in CATALOG.acts:
        if row.takes is None or row.message is None:
            continue
        beside = {"preservations"}  # sent to other parties, in their own messages
        carried = beside | {
            *row.message.clear.model_fields,
            *(row.message.sealed.model_fields if row.message.sealed else ()),
        }
        assert row.takes.model_fields.keys() <= carried, row


# -- the origin's side ---------------------------------------------------------------------------------------------


def at_the_origin(message: MessageType, present: str, *, offered: Offering = Offering.OPEN) -> str | None:
    return states.answer_follows(CATALOG.acts_of(message), AnswerState(present), Contract(), offered=offered)


@pytest.mark.parametrize("subject", [Subject.NOTICE, Subject.CASE, Subject.OFFER])
def test_both_sides_agree_on_every_act_of_the_recipient(subject: Subject) -> None:
    """Wherever the recipient may act, the origin's copy of the answer moves to the same state."""
    for row in CATALOG.personal(subject):
        for standing in states.standings(subject):
            if standing.offered not in row.needs:
                continue
            if row.message is None:
                assert all(move.before == {move.to} for move in row.moves), "an unannounced act moves nothing"
                continue
            for move in row.moves:
                said = saying(next(iter(move.codes or {CaseOutcome.ARREST})))
                found = states.answer_follows(
                    CATALOG.acts_of(row.message), AnswerState(standing.answer), said, offered=Offering(standing.offered)
                )
                follows = [each.to for each in row.moves if each.codes == move.codes and standing.answer in each.before]
                assert [found] == (follows or [None]), (row, standing)


def test_an_answer_that_crossed_a_withdrawal_is_kept() -> None:
    row = states.row(Subject.NOTICE, "not_ours")
    assert row.message is not None
    said = saying(ItemsFold.NOT_OURS)
    assert (
        states.answer_follows(CATALOG.acts_of(row.message), AnswerState.NONE, said, offered=Offering.WITHDRAWN)
        == "not_ours"
    )


def test_no_withdrawal_is_acknowledged_that_has_not_been() -> None:
    assert at_the_origin(WITHDRAWAL_ACKNOWLEDGED, "accepted") is None
    assert at_the_origin(WITHDRAWAL_ACKNOWLEDGED, "accepted", offered=Offering.WITHDRAWN) == "withdrawal_acknowledged"


def test_two_standings_that_look_alike_and_part_are_noticed() -> None:
    """Negative control: an act that a withdrawn notice permits only if it was rejected before."""
    hidden = Act(
        "reinstate",
        Subject.NOTICE,
        Track.ANSWER,
        Cause.PERSON,
        (Move(frozenset({"rejected"}), "actioned"),),
        frozenset({"withdrawn"}),
    )
    with pytest.raises(AssertionError, match="two futures"):
        states.follow(hidden, "withdrawn")


def test_every_message_between_parties_is_told_by_a_row() -> None:
    between = {message for message in CATALOG.messages if message.family in BETWEEN_PARTIES}
    assert {row.message for row in CATALOG.acts if row.message} == between
    assert {row.roles for row in CATALOG.acts if row.cause in (Cause.ACT, Cause.TIMER)} == {frozenset({Role.SERVICE})}
