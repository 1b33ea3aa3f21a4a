"""How far a reader walks: the files that one referral enters on its way, and which of them comes first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.journeys.walk import AGENCIES, ORIGIN, Walk, walk
from tests.services.databases import migrated, running_databases
from tests.support.footsteps import Footsteps, footsteps

#: Files entered outside the guard in the first release, from POST to 202 and from the record to the agency's row.
FIRST_RELEASE = {"filing": 31, "receiving": 34}
#: Numbers, signatures and places are given at the commit (0025): what the relay entered before, filing enters now, and
#: so does whoever answers.
AT_THE_COMMIT = {f"shared/runtime/post/{name}.py" for name in ("epochs", "numbering", "segments", "stamping")}
#: Files that promises have added since. Of the format: what audit is told sealed; on the way in also who may say what,
#: the attributes apart from the headers that write them, what is bound to an edge, one spelling of it, and whom the
#: instance serves. Of delivery (0025): cursors and numbers taken, what is known of a message before the service sees
#: it, and the answer apart from the judgement. And events, by which a party learns of it.
SINCE = {
    "filing": AT_THE_COMMIT
    | {
        "shared/envelope/attributes.py",
        "shared/envelope/batch.py",
        "shared/envelope/headers.py",
        "shared/envelope/keys.py",
        "shared/exchange/decided.py",
        # What the recipient reads (0088).
        "shared/exchange/reads.py",
        "shared/ledger/proof.py",
        "shared/ledger/tree.py",
        "shared/party/origin/api/checking.py",
        # What a party does that a person should see (0041).
        "shared/party/origin/use_cases/alarms.py",
        # A party's day, and a second person (0041).
        *(f"shared/party/origin/{name}.py" for name in ("domain", "store/days", "use_cases/day")),
        # What a key is the same for (0050); the answer of a filing, in a file of its own.
        "shared/runtime/http/sameness.py",
        "shared/party/origin/api/filed.py",
        # How a body is read, whatever is in it and whose turn it is (0031).
        "shared/party/posted.py",
        "shared/party/origin/use_cases/ways.py",
        "shared/runtime/post/outbox.py",
        # What falls due begins with its edge (0048).
        *(f"shared/{name}.py" for name in ("exchange/timers", "runtime/timers/steps")),
    },
    "receiving": AT_THE_COMMIT
    | {
        f"shared/runtime/post/{name}.py"
        for name in ("admitted", "answer", "cursors", "judge", "parking", "plan", "taken")
    }
    | {
        "shared/contracts/items.py",
        "shared/envelope/attributes.py",
        "shared/exchange/authority.py",
        "shared/exchange/bound.py",
        # What falls due, from the beginning of its edge (0048).
        *(f"shared/{name}.py" for name in ("exchange/clocks", "exchange/timers", "runtime/timers/steps")),
        "shared/exchange/decided.py",
        "shared/exchange/events.py",
        "shared/exchange/message.py",
        # By which edition and limits a record is judged, and which hashes travel (0041, 0042).
        *(f"shared/exchange/{name}.py" for name in ("guarded", "minimise", "released")),
        "shared/exchange/served.py",
        "shared/exchange/spelt.py",
        # What proves a message (0007), and the row that it brings, each in a file of its own.
        *(f"shared/party/recipient/store/{name}.py" for name in ("arriving", "packing")),
        # What an origin says of a hold (0053).
        "shared/party/recipient/store/holds.py",
        # What it answers to a question, and what it takes to pass a case on (0065, 0067).
        *(f"shared/party/recipient/store/{name}.py" for name in ("passing", "questions")),
        # Of which other agency it is told, and whether it may be (0055).
        "services/law_enforcement/bus.py",
        "shared/exchange/contacts.py",
        "shared/party/recipient/store/contacts.py",
        # Where its case lies (0053): by the token of its place.
        "shared/exchange/locations.py",
        "shared/party/preservation/store/locations.py",
        "shared/party/recipient/store/places.py",
        # What is asked of it beside what it was sent (0054).
        "shared/party/preservation/bus.py",
        "shared/runtime/database/feed.py",
    },
}


@pytest.fixture(scope="module")
async def walked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    with running_databases(tmp_path_factory.mktemp("walk"), ORIGIN, AGENCIES) as endpoints:
        async with migrated(endpoints[ORIGIN], ORIGIN) as hotline, migrated(endpoints[AGENCIES], AGENCIES) as agencies:
            yield await walk(hotline, agencies)


def test_the_walk_is_a_whole_one(walked: Walk, record_property: Callable[[str, object], None]) -> None:
    """It ends with what it is for: the origin sees that the agency has the referral and has accepted it."""
    for leg, steps in walked.legs.items():
        record_property(leg, steps.figures())
    assert walked.seen == ("applied", "accepted")
    assert all(steps.files for steps in walked.legs.values())


@pytest.mark.parametrize("leg", FIRST_RELEASE)
def test_a_referral_enters_no_more_files_than_the_first_release_and_each_promise_since(
    walked: Walk, leg: str, record_property: Callable[[str, object], None]
) -> None:
    steps = walked.legs[leg]
    entered = set(steps.outside_the_guard)
    record_property(f"{leg}_files", len(entered))
    assert SINCE[leg] <= entered
    assert len(entered - SINCE[leg]) <= FIRST_RELEASE[leg], "\n".join(steps.outside_the_guard)


@pytest.mark.parametrize(("leg", "service"), [("filing", ORIGIN), ("answering", AGENCIES)])
def test_behind_the_edge_a_request_comes_to_its_own_service_first(walked: Walk, leg: str, service: str) -> None:
    assert walked.legs[leg].first_after_the_edge == f"services/{service}/api.py"


def test_every_leg_passes_where_it_must(walked: Walk) -> None:
    """The tracer sees what is entered: a leg that seemed to avoid these would be one that it missed."""
    for leg, room in {
        "filing": "shared/exchange/prepare.py",
        "sending": "shared/runtime/post/segments.py",
        "receiving": "services/law_enforcement/store.py",
        "answering": "services/law_enforcement/store.py",
        "answered": "shared/party/origin/use_cases/answers.py",
    }.items():
        assert room in walked.legs[leg].files


def test_footsteps_are_counted_in_the_order_of_the_first_entry() -> None:
    steps = Footsteps(["shared/runtime/http/edge.py", "shared/kernel/ids.py", "shared/guard/leaves.py"])
    steps.steps += ["shared/exchange/prepare.py", "shared/kernel/ids.py"]
    assert steps.files == steps.steps[:4]
    assert steps.outside_the_guard == [steps.steps[0], "shared/kernel/ids.py", "shared/exchange/prepare.py"]
    assert steps.first_after_the_edge == "shared/guard/leaves.py"


def test_what_is_not_of_the_product_leaves_no_footsteps() -> None:
    with footsteps() as steps:
        FIRST_RELEASE.get("filing")
        asleep = [walk.__name__ for _ in range(3)]
    assert (len(asleep), steps.files, steps.calls) == (3, [], 0)
