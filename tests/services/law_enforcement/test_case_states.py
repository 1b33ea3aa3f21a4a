"""The state machine of cases, and who may move them: every pair, as written out here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.law_enforcement.domain import (
    AUTHORITY,
    CaseAct,
    CaseState,
    advance,
    check_close_reason,
    check_further_edge,
    require_role,
)
from shared.kernel.authority import Relation, Role
from shared.kernel.errors import Refused
from shared.vocabulary.answers import CaseOutcome, CloseReason

#: Every (state, act) that is allowed, and where it leads. An outcome is written act:outcome.
ALLOWED = {
    ("offered", "accept"): "accepted",
    ("offered", "decline"): "declined",
    ("offered", "withdraw"): "withdrawn",
    ("accepted", "report_outcome:conviction"): "closed",
    ("accepted", "report_outcome:arrest"): "ongoing",
    ("accepted", "report_outcome:ongoing_investigation"): "ongoing",
    ("accepted", "report_outcome:referred"): "ongoing",
    ("accepted", "report_outcome:closed"): "closed",
    ("accepted", "withdraw"): "withdrawn",
    ("declined", "withdraw"): "withdrawn",
    ("ongoing", "report_outcome:conviction"): "closed",
    ("ongoing", "report_outcome:arrest"): "ongoing",
    ("ongoing", "report_outcome:ongoing_investigation"): "ongoing",
    ("ongoing", "report_outcome:referred"): "ongoing",
    ("ongoing", "report_outcome:closed"): "closed",
    ("ongoing", "withdraw"): "withdrawn",
    ("closed", "withdraw"): "withdrawn",
    ("withdrawn", "acknowledge_withdrawal"): "withdrawal_acknowledged",
}
EVENTS = [
    *((act, None) for act in CaseAct if act is not CaseAct.REPORT_OUTCOME),
    *((CaseAct.REPORT_OUTCOME, outcome) for outcome in CaseOutcome),
]


def named(act: CaseAct, outcome: CaseOutcome | None) -> str:
    return act if outcome is None else f"{act}:{outcome}"


@settings(deadline=None)
@given(st.sampled_from(CaseState), st.sampled_from(EVENTS))
def test_a_case_moves_exactly_as_the_table_says(state: CaseState, event: tuple[CaseAct, CaseOutcome | None]) -> None:
    expected = ALLOWED.get((state, named(*event)))
    if expected is None:
        with pytest.raises(Refused, match="state_forbids"):
            advance(state, *event)
    else:
        assert advance(state, *event) == expected


def test_every_pair_of_the_table_exists() -> None:
    pairs = {(state, named(*event)) for state in CaseState for event in EVENTS}
    assert ALLOWED.keys() <= pairs


def states_after_withdrawal(
    events: list[tuple[CaseAct, CaseOutcome | None]], step: Callable[..., CaseState]
) -> set[CaseState]:
    """Where `events` lead a case once it has been withdrawn."""
    state, gone, after = CaseState.OFFERED, False, set()
    for event in events:
        try:
            state = step(state, *event)
        except Refused:
            continue
        gone = gone or event[0] is CaseAct.WITHDRAW
        after |= {state} if gone else set()
    return after


@settings(deadline=None)
@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_a_withdrawn_case_is_never_acted_on_again(events: list[tuple[CaseAct, CaseOutcome | None]]) -> None:
    after = states_after_withdrawal(events, advance)
    assert after <= {CaseState.WITHDRAWN, CaseState.WITHDRAWAL_ACKNOWLEDGED}


def test_a_machine_that_lets_everything_happen_would_be_noticed() -> None:
    """Negative control of the test above."""
    events = [(CaseAct.WITHDRAW, None), (CaseAct.ACCEPT, None)]
    after = states_after_withdrawal(
        events, lambda _state, act, _outcome: CaseState("accepted" if act == "accept" else "withdrawn")
    )
    assert not after <= {CaseState.WITHDRAWN, CaseState.WITHDRAWAL_ACKNOWLEDGED}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", CaseAct)
def test_only_analysts_and_machines_act_and_only_where_the_table_lets_them(act: CaseAct, role: Role) -> None:
    permitted = {state for state in CaseState if AUTHORITY.permits("case", role, Relation.OWN, action=act, state=state)}
    acts = role in (Role.ANALYST, Role.MACHINE) and act is not CaseAct.WITHDRAW
    assert permitted == ({state for state, event in ALLOWED if event.partition(":")[0] == act} if acts else set())


@pytest.mark.parametrize("role", Role)
def test_a_foreign_case_is_permitted_to_nobody(role: Role) -> None:
    actions = {action for _, _, action, _ in AUTHORITY.cells()}
    assert not any(
        AUTHORITY.permits("case", role, Relation.FOREIGN, action=action, state=state)
        for action in actions
        for state in CaseState
    )


def test_a_role_that_never_may_is_told_so() -> None:
    with pytest.raises(Refused) as refusal:
        require_role(Role.VIEWER, CaseAct.ACCEPT)
    assert (refusal.value.code, refusal.value.status) == ("forbidden", 403)


@settings(deadline=None)
@given(st.sampled_from(CaseOutcome), st.none() | st.sampled_from(CloseReason))
def test_a_reason_for_closing_goes_with_closed_alone(outcome: CaseOutcome, reason: CloseReason | None) -> None:
    if (reason is not None) == (outcome is CaseOutcome.CLOSED):
        check_close_reason(outcome, reason)
    else:
        with pytest.raises(Refused, match="close_reason_needs_closed"):
            check_close_reason(outcome, reason)


@pytest.mark.parametrize("state", CaseState)
def test_a_withdrawn_referral_is_not_offered_for_another_purpose(state: CaseState) -> None:
    withdrawn = state in (CaseState.WITHDRAWN, CaseState.WITHDRAWAL_ACKNOWLEDGED)
    if withdrawn:
        with pytest.raises(Refused, match="referral_withdrawn"):
            check_further_edge(state, frozenset({"investigation"}), "victim_identification")
    else:
        check_further_edge(state, frozenset({"investigation"}), "victim_identification")


def test_a_referral_is_offered_once_for_one_purpose() -> None:
    with pytest.raises(Refused, match="edge_exists"):
        check_further_edge(CaseState.OFFERED, frozenset({"investigation"}), "investigation")
