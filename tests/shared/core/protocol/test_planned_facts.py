"""Facts for audit about a referral with planned notices name all sent edges, and no other may be missing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic_core import to_json

from shared.core.contracts.facts import ReferralDecidedClear
from shared.core.errors import Refused
from shared.core.protocol.decision_fact import judged_edges, read_decided
from shared.core.routing.engine import RoutingInput
from tests.shared.core.protocol.test_prepare import opened
from tests.support.builders import AT, PROVIDER
from tests.support.exchange_world import World, world
from tests.support.windowed import windowed


@pytest.fixture(scope="module")
def here() -> World:
    made = world()
    made.place(windowed(made.policy, 72, version=90), AT - timedelta(minutes=1))
    return made


def derived(here: World, *, without: str = "") -> set[str]:
    """Return the recipients that audit derives. `without` leaves out one that was sent something."""
    prepared = here.prepared()
    assert [each.edge.recipient for each in prepared.planned] == [PROVIDER]
    draft = prepared.drafts[-1]
    sealed = opened(here, draft)
    if without:
        [stated] = sealed["decisions"]
        place = stated["recipients"].index(without)
        stated["edges"] = [each for each in stated["edges"] if each[1] != place]
    [told] = ReferralDecidedClear.model_validate(draft.clear).decisions
    documents, [decided] = here.documents, read_decided(to_json(sealed), 1)
    assert not isinstance(decided, ValueError)
    at = decided.fact.decision.decided_at
    judged = judged_edges(told, decided, RoutingInput(documents.directory, documents.policy, True, at), told_at=at)
    return {recipient for recipient, _ in judged}


def test_a_planned_notice_is_derived_though_it_is_not_stated_yet(here: World) -> None:
    assert PROVIDER in derived(here)


def test_what_has_no_window_may_not_be_missing(here: World) -> None:
    others = derived(here) - {PROVIDER}
    for recipient in others:
        with pytest.raises(Refused, match="decision_not_derived"):
            derived(here, without=recipient)
