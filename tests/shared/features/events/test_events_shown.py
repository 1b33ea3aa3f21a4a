"""Every possible event can be shown in its party's feed. One that could not would block all later ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.catalog import CATALOG
from shared.core.acts.states import PAUSED_EVENT, TEST_EVENT, event_type
from shared.core.ids import uuid4
from shared.core.protocol.timers import TimerNotice
from shared.features.events.api import ShownEvent
from shared.platform.database.feed import FeedEvent
from tests.shared.core.routing.test_clocks import AT


def stored() -> Iterator[tuple[str, str | None]]:
    """Yield each type that an event can have, with each possible state after its act."""
    for act in CATALOG.acts:
        for state in (*sorted({move.to for move in act.moves}), None):
            yield event_type(act.subject, act.name), state
    for name in (*TimerNotice, PAUSED_EVENT, TEST_EVENT):
        yield str(name), None


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in stored()}))
def test_an_event_of_each_type_is_shown(kind: str) -> None:
    for state in {state for name, state in stored() if name == kind}:
        event = FeedEvent(number=1, type=kind, subject=uuid4(), at=AT, state=state, by=None)
        shown = ShownEvent(**{name: value for name, value in event._asdict().items() if value is not None})
        assert (shown.type, shown.state) == (kind, state)
