"""The length of a reader's walk: the files that one referral enters, and which of them it enters first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.architecture.sizes import FILED, RECEIVED, page_bounds
from tests.services.databases import migrated, running_databases
from tests.services.walk import AGENCIES, ORIGIN, Walk, walk
from tests.support.footsteps import Footsteps, footsteps

#: Maps a leg of the walk to the bound on the files that it enters.
BOUNDED = {"filing": FILED, "receiving": RECEIVED}


@pytest.fixture(scope="module")
async def walked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    with running_databases(tmp_path_factory.mktemp("walk"), ORIGIN, AGENCIES) as endpoints:
        async with migrated(endpoints[ORIGIN], ORIGIN) as hotline, migrated(endpoints[AGENCIES], AGENCIES) as agencies:
            yield await walk(hotline, agencies)


def test_the_walk_is_a_whole_one(walked: Walk, record_property: Callable[[str, object], None]) -> None:
    """At its end the origin sees that the agency has received and accepted the referral."""
    for leg, steps in walked.legs.items():
        record_property(leg, steps.figures())
    assert walked.seen == ("applied", "accepted")
    assert all(steps.files for steps in walked.legs.values())


@pytest.mark.parametrize("leg", BOUNDED)
def test_a_referral_enters_no_more_files_than_the_bound(
    walked: Walk, leg: str, record_property: Callable[[str, object], None]
) -> None:
    entered = walked.legs[leg].outside_the_guard
    record_property(f"{leg}_files", len(entered))
    assert page_bounds()[BOUNDED[leg]].permits(BOUNDED[leg], len(entered)), "\n".join(entered)


@pytest.mark.parametrize(
    ("leg", "routes"),
    [("filing", "shared/features/filing/api/act_handlers.py"), ("answering", "shared/features/received/api.py")],
)
def test_behind_the_edge_a_request_comes_to_its_routes_first(walked: Walk, leg: str, routes: str) -> None:
    """Routes of acts are the same for all origins, and for all recipients."""
    assert walked.legs[leg].first_after_the_edge == routes


def test_every_leg_passes_where_it_must(walked: Walk) -> None:
    """The tracer must report these files. Otherwise a leg that seems to avoid them was not traced."""
    for leg, room in {
        "filing": "shared/core/protocol/prepare.py",
        "sending": "shared/messaging/relay.py",
        "receiving": "shared/features/cases/store/cases.py",
        "answering": "shared/features/cases/store/cases.py",
        "answered": "shared/features/filing/service/answers.py",
    }.items():
        assert room in walked.legs[leg].files


def test_footsteps_are_counted_in_the_order_of_the_first_entry() -> None:
    steps = Footsteps(["shared/platform/http/edge.py", "shared/core/ids.py", "shared/core/guard/leaves.py"])
    steps.steps += ["shared/core/protocol/prepare.py", "shared/core/ids.py"]
    assert steps.files == steps.steps[:4]
    assert steps.outside_the_guard == [steps.steps[0], "shared/core/ids.py", "shared/core/protocol/prepare.py"]
    assert steps.first_after_the_edge == "shared/core/guard/leaves.py"


def test_what_is_not_of_the_product_leaves_no_footsteps() -> None:
    with footsteps() as steps:
        BOUNDED.get("filing")
        asleep = [walk.__name__ for _ in range(3)]
    assert (len(asleep), steps.files, steps.calls) == (3, [], 0)
