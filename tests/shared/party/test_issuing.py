"""How often all that waits is decided again: a counterpart that changes its word without end does not say how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.exchange.reads import PeerReads, Reads, own_reads
from shared.party.origin.bus import READS_PAUSE, Looked
from tests.support.builders import AT
from tests.support.exchange_world import move, world

OWN = Reads.of(own_reads())


def test_for_what_others_say_that_they_read_it_is_looked_at_once_in_a_while_and_for_documents_at_once() -> None:
    here = world()
    before = here.documents
    other = replace(before, reads=PeerReads({"industry": OWN}))
    looked = Looked(before.law, before.reads, AT)
    after = [timedelta(0), READS_PAUSE - timedelta(seconds=1), READS_PAUSE, -READS_PAUSE]
    assert [looked.due(other, AT + each) for each in after] == [False, False, True, True]
    assert not looked.due(before, AT + 2 * READS_PAUSE)
    move(here)
    assert looked.due(here.documents, AT)
