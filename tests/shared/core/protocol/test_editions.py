"""Two editions of the guard: a record waits for or is deferred by an instance that lacks one.

Each record is judged by the edition that it names.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.catalog import CATALOG
from shared.core.evidence import Witness, check_evidence
from shared.core.guard.edition import EDITIONS
from shared.core.protocol.accept import RejectedRecord, accept
from shared.core.protocol.message import Record
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.read_capabilities import PeerReads, Reads, own_reads
from shared.core.protocol.record_table import Fate, row_for
from shared.core.vocabulary.answers import AnswerState
from tests.support.builders import POLICE
from tests.support.editions import LATER, reads, with_later
from tests.support.exchange_world import SUBMISSION, World, opened, submission, world

FIRST = EDITIONS[0]
FRAGMENT = "https://files.example/g/7f3a/41.html#page-2"
ITEM = SUBMISSION["items"][0] | {"locator": {"kind": "url", "value": FRAGMENT}}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Return a world in which all instances announced both editions. The later one judges new submissions."""
    with_later(monkeypatch, tmp_path)
    here = world()
    both = Reads.of(own_reads.__wrapped__(CATALOG))
    assert both.guards == {FIRST.name, LATER.name}
    here.reads = PeerReads(dict.fromkeys(here.keys, both))
    return here


def offered(here: World, **changes: object) -> Record:
    return here.records([here.offered(POLICE, **changes)])[0]


def code_of(here: World, record: Record) -> str:
    with pytest.raises(RejectedRecord) as turned:
        accept(record, here.reader("law_enforcement"))
    return turned.value.code


def test_nothing_is_written_for_who_has_not_announced_the_edition(here: World) -> None:
    here.reads = PeerReads()
    prepared = here.prepared()
    assert {each.edge.recipient for each in prepared.waiting} >= {POLICE}
    assert prepared.emitted == ()
    assert prepared.unrouted_reason == "recipient_cannot_read"


def test_an_edition_that_is_unknown_is_deferred_and_applied_once_it_is_there(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = offered(here)
    reads(monkeypatch, FIRST)
    with pytest.raises(RejectedRecord) as turned:
        accept(record, here.reader("law_enforcement"))
    assert turned.value.code == "guard_unknown"
    assert row_for(turned.value.code).fate is Fate.DEFER
    reads(monkeypatch, FIRST, LATER)
    assert accept(record, here.reader("law_enforcement")).sealed is not None


def test_a_record_is_judged_by_the_edition_that_it_names(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reads(monkeypatch, FIRST)
    here.reads = PeerReads()
    before = offered(here, items=[ITEM])
    reads(monkeypatch, FIRST, LATER)
    taken = accept(before, here.reader("law_enforcement"))
    assert FRAGMENT in taken.sealed.model_dump_json()  # type: ignore[union-attr]
    as_later = here.resigned(before, guard=f"{LATER.name} normal")
    assert code_of(here, as_later) == "guard_refused"


def test_what_is_issued_anew_is_spelt_as_its_messages_say(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = here.prepared()
    filed = submission(items=[ITEM])
    monkeypatch.setattr("tests.support.exchange_world.submission", lambda: filed)
    again = here.issued_anew(first, POLICE, EdgeAnswer(AnswerState.NONE))
    assert again.guard == f"{LATER.name} normal"
    (item,) = opened(here, again)["record"]["items"]
    assert item["locator"]["value"] == FRAGMENT.partition("#")[0]


def test_evidence_of_an_edition_that_nobody_reads_any_more_holds(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = offered(here)
    evidence = Witness("law_enforcement", here.keys["law_enforcement"].signing).state(record, party=POLICE, at=here.at)
    check_evidence(evidence, here.documents.directory)
    reads(monkeypatch, FIRST)
    check_evidence(evidence, here.documents.directory)
