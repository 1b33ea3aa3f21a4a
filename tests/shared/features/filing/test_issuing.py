"""How often all waiting edges are decided again: a peer that keeps changing its announcement has no influence on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.catalog import CATALOG
from shared.core.protocol.read_capabilities import PeerReads, Reads, own_reads
from shared.features.filing.effects import LOOKED_AFTER, READS_PAUSE, RedecideRun
from tests.support.builders import AT
from tests.support.exchange_world import move, world

OWN = Reads.of(own_reads(CATALOG))


def test_for_what_others_say_that_they_read_it_is_looked_at_once_in_a_while_and_for_documents_at_once() -> None:
    here = world()
    before = here.documents
    other = replace(before, reads=PeerReads({"industry": OWN}))
    looked = RedecideRun(before.law, before.reads, AT)
    after = [timedelta(0), READS_PAUSE - timedelta(seconds=1), READS_PAUSE, -READS_PAUSE]
    assert [looked.due(other, AT + each) for each in after] == [False, False, True, True]
    move(here)
    assert looked.due(here.documents, AT)


def test_by_the_same_it_is_looked_at_twice_for_what_was_decided_before_and_committed_after() -> None:
    before = world().documents
    once = RedecideRun.now(before, AT, None)
    assert [once.due(before, AT + each) for each in (timedelta(0), READS_PAUSE)] == [False, True]
    twice = RedecideRun.now(before, AT + READS_PAUSE, once)
    assert not twice.due(before, AT + 2 * READS_PAUSE)
    assert twice.due(before, AT + READS_PAUSE + LOOKED_AFTER), "somebody else may have been at it both times"
    other = replace(before, reads=PeerReads({"industry": OWN}))
    assert not RedecideRun.now(other, AT, twice).twice
