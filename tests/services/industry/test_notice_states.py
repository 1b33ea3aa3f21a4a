"""The state machine of notices, and who may move them: every pair, as written out here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.industry.domain import AUTHORITY, NoticeAct, NoticeState, advance, require_role
from shared.exchange.acts import AnswerState
from shared.kernel.authority import Relation, Role
from shared.kernel.errors import Refused

#: Every (state, act) that is allowed, and where it leads.
ALLOWED = {
    ("issued", "acknowledge"): "acknowledged",
    ("issued", "action"): "actioned",
    ("issued", "reject"): "rejected",
    ("issued", "disown"): "not_ours",
    ("issued", "withdraw"): "withdrawn",
    ("acknowledged", "action"): "actioned",
    ("acknowledged", "reject"): "rejected",
    ("acknowledged", "disown"): "not_ours",
    ("acknowledged", "withdraw"): "withdrawn",
    ("actioned", "withdraw"): "withdrawn",
    ("rejected", "withdraw"): "withdrawn",
    ("not_ours", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
}


@settings(deadline=None)
@given(st.sampled_from(NoticeState), st.sampled_from(NoticeAct))
def test_a_notice_moves_exactly_as_the_table_says(state: NoticeState, act: NoticeAct) -> None:
    expected = ALLOWED.get((state, act))
    if expected is None:
        with pytest.raises(Refused, match="state_forbids"):
            advance(state, act)
    else:
        assert advance(state, act) == expected


def test_every_pair_of_the_table_exists() -> None:
    assert ALLOWED.keys() <= {(state, act) for state in NoticeState for act in NoticeAct}


ANSWERING = {NoticeAct.ACTION, NoticeAct.REJECT, NoticeAct.DISOWN}


def done(acts: list[NoticeAct], step: Callable[[NoticeState, NoticeAct], NoticeState]) -> list[NoticeAct]:
    """Those of `acts` that are not refused, one after the other on one notice."""
    state, taken = NoticeState.ISSUED, []
    for act in acts:
        try:
            state = step(state, act)
        except Refused:
            continue
        taken.append(act)
    return taken


def answers(taken: list[NoticeAct]) -> int:
    return sum(act in ANSWERING for act in taken)


def after_withdrawal(taken: list[NoticeAct]) -> list[NoticeAct]:
    return taken[taken.index(NoticeAct.WITHDRAW) + 1 :] if NoticeAct.WITHDRAW in taken else []


@settings(deadline=None)
@given(st.lists(st.sampled_from(NoticeAct), max_size=12))
def test_a_notice_is_answered_at_most_once(acts: list[NoticeAct]) -> None:
    assert answers(done(acts, advance)) <= 1


@settings(deadline=None)
@given(st.lists(st.sampled_from(NoticeAct), max_size=12))
def test_a_withdrawn_notice_is_never_acted_on_again(acts: list[NoticeAct]) -> None:
    assert after_withdrawal(done(acts, advance)) in ([], [NoticeAct.ACKNOWLEDGE_WITHDRAWAL])


def test_a_machine_that_lets_everything_happen_would_be_noticed() -> None:
    """Negative control of the two tests above."""
    taken = done([NoticeAct.REJECT, NoticeAct.WITHDRAW, NoticeAct.ACTION], lambda state, _: state)
    assert answers(taken) == 2
    assert after_withdrawal(taken) == [NoticeAct.ACTION]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", NoticeAct)
def test_only_analysts_and_machines_act_and_only_where_the_table_lets_them(act: NoticeAct, role: Role) -> None:
    permitted = {
        state for state in NoticeState if AUTHORITY.permits("notice", role, Relation.OWN, action=act, state=state)
    }
    acts = role in (Role.ANALYST, Role.MACHINE) and act is not NoticeAct.WITHDRAW
    assert permitted == ({state for state, event in ALLOWED if event == act} if acts else set())


@pytest.mark.parametrize("role", Role)
def test_a_foreign_notice_is_permitted_to_nobody(role: Role) -> None:
    actions = {action for _, _, action, _ in AUTHORITY.cells()}
    assert not any(
        AUTHORITY.permits("notice", role, Relation.FOREIGN, action=action, state=state)
        for action in actions
        for state in NoticeState
    )


def test_a_role_that_never_may_is_told_so() -> None:
    with pytest.raises(Refused) as refusal:
        require_role(Role.VIEWER, NoticeAct.ACTION)
    assert (refusal.value.code, refusal.value.status) == ("forbidden", 403)


def test_a_provider_is_an_origin_with_an_origins_rights() -> None:
    assert AUTHORITY.permits("referral", Role.MACHINE, Relation.OWN, action="submit", state="routed")


def test_the_notifier_has_a_word_for_every_answer() -> None:
    assert {"acknowledged", "actioned", "rejected", "not_ours", "withdrawal_acknowledged"} <= set(AnswerState)
