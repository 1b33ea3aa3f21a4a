"""Every endless loop names the test in which one of its subjects has a defect, or the reason for having none.

One failing subject must neither stop the others nor be retried without a pause.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.source import ROOT, Module, modules, parse

_APART: Final = "tests/services/hotline/test_apart.py::test_one_with_a_defect_stops_no_other_and_is_tried_again"
_DEAD: Final = "tests/shared/delivery/test_inbound.py::test_a_message_that_breaks_the_features_is_dead_alone"
_RELAY: Final = "tests/shared/delivery/test_loops.py::test_a_defect_in_one_stream_stops_no_other"
#: Loop → the test that provokes a defect in it, or the reason why it can stop no other subject.
LOOPS: Final = {
    "services/audit/bus.py:AuditConsumer.run": "enters the one that follows",
    "services/audit/bus.py:AuditConsumer._follow": (
        "tests/services/audit/test_flows.py::test_whatever_a_fact_says_it_is_kept_and_so_are_those_beside_it"
    ),
    "services/audit/bus.py:AckWriter.run": (
        "tests/services/audit/test_acknowledgements.py::test_a_writer_that_cannot_be_told_keeps_no_other_waiting"
    ),
    "shared/features/received/effects.py:look_for_ever": (
        "tests/services/industry/test_withdrawals.py::test_one_that_fails_is_set_aside_and_keeps_nobody_waiting"
    ),
    "shared/features/filing/effects.py:OriginHandler.follow_moves": _APART,
    "shared/features/filing/effects.py:OriginHandler.issue_waiting": _APART,
    "shared/features/filing/effects.py:OriginHandler.run": _APART,
    "shared/features/filing/store/locations.py:Locations.run": _APART,
    "shared/features/holds/effects.py:OriginTimers.run": _APART,
    "shared/features/filing/service/alarms.py:Alarms.run": (
        "tests/shared/features/filing/test_alarms.py::test_one_that_cannot_be_kept_stops_no_other"
    ),
    "shared/features/filing/service/intake.py:Intake._run": (
        "tests/services/hotline/test_apart.py::test_a_request_that_breaks_its_batch_breaks_no_other"
    ),
    "shared/platform/courier/courier.py:WebhookDispatcher.run": (
        "tests/services/law_enforcement/test_webhooks.py::test_an_address_with_a_defect_stops_no_other"
    ),
    "shared/platform/admission/key_table.py:KeyTable._follow": (
        "tests/shared/platform/admission/test_key_table.py::test_following_begins_again_after_any_failure"
    ),
    "shared/platform/database/lease.py:ProcessLease.keep": "one row, of the process itself",
    "shared/delivery/loops.py:StreamRelay.run": _RELAY,
    "shared/delivery/reading.py:InboxReader.run": _DEAD,
    "shared/delivery/reading.py:InboxReader._commit": "waits for the database alone",
    "shared/delivery/reading.py:InboxReader._look": "asks the broker for all topics at once",
    "shared/delivery/reading.py:InboxReader._try_held": "asks each full stream for room, and reads no other",
    "shared/delivery/session_check.py:SessionCheck.run": "compares all streams of one database session",
    "shared/delivery/subjects.py:PartySubjects._list_open": "reads rows page by page, and ends with the last",
    "shared/delivery/upkeep_loop.py:UpkeepLoop.run": (
        "tests/shared/delivery/test_upkeep_loop.py::test_a_step_that_fails_stops_no_other"
    ),
    "shared/platform/database/feed.py:FeedListener.run": "hears that there is something, and reads nothing",
    "shared/platform/database/transactions.py:wait_for_database": "asks whether the database answers",
    "shared/instance/streams.py:keep_journalling": (
        "tests/services/law_enforcement/test_endings.py::test_a_journal_that_cannot_be_written_is_tried_again"
    ),
    "shared/instance/readiness.py:DocumentMonitor.run": (
        "tests/shared/instance/test_law_watch.py::test_a_look_that_fails_is_not_the_last"
    ),
    "shared/instance/streams.py:until": "asks whether there are documents",
    "shared/instance/streams.py:_kept_running": (
        "tests/shared/instance/test_parts.py::test_a_part_that_ends_is_started_again_and_the_others_go_on"
    ),
    "shared/instance/readiness.py:PeerVersions.run": (
        "tests/services/hotline/test_peers.py::"
        "test_what_one_has_announced_and_cannot_be_read_any_more_hides_nobody_elses"
    ),
    "shared/platform/kafka/topic_metadata.py:ends_of": "asks the broker where topics begin and end",
    "shared/platform/kafka/documents.py:DocumentFeed.run": (
        "tests/shared/platform/kafka/test_documents.py::"
        "test_a_document_that_others_approved_is_passed_over_and_the_next_is_taken"
    ),
    "shared/platform/kafka/reader.py:LogReader.follow": "hands records on as they are",
    "shared/platform/timers/timers.py:Timers.run": (
        "tests/shared/platform/timers/test_timers.py::test_one_whose_timers_cannot_be_kept_stops_no_other"
    ),
    "shared/platform/observability/health.py:LoopWatch.run": "notes the time, and reads nothing of any subject",
}


def endless(module: Module) -> Iterator[str]:
    """Return the functions of a module with a loop that waits and has no end, each with its class."""
    yield from dict.fromkeys(f"{module.path}:{name}" for name in _endless(module.tree, ()))


def _endless(node: ast.AST, within: tuple[str, ...]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        inside = (*within, child.name) if named else within  # type: ignore[attr-defined]
        if _has_no_end(child) and any(isinstance(each, ast.Await | ast.AsyncWith) for each in ast.walk(child)):
            yield ".".join(within)
        yield from _endless(child, inside)


def _has_no_end(node: ast.AST) -> bool:
    if isinstance(node, ast.While):
        return isinstance(node.test, ast.Constant)
    return isinstance(node, ast.For) and ast.unparse(node.iter) == "count()"


def test_every_loop_without_an_end_is_listed() -> None:
    found = {each for module in modules("services", "shared") for each in endless(module)}
    assert (sorted(found - {*LOOPS}), sorted({*LOOPS} - found)) == ([], [])


@pytest.mark.parametrize("named", sorted({each for each in LOOPS.values() if "::" in each}))
def test_the_test_that_provokes_a_defect_is_there(named: str) -> None:
    path, _, test = named.partition("::")
    assert test
    assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_a_new_loop_would_be_found() -> None:
    planted = """
class Watch:
    async def run(self):
        while True:
            await self.look()

async def look_for_ever(look):
    for turn in count():
        async with apart():
            await look()

async def once(look):
    for turn in range(9):
        await look()
"""
    assert [*endless(parse(planted))] == ["planted.py:Watch.run", "planted.py:look_for_ever"]
