"""An edge that waits, or is issued again after a move, reveals nothing to other recipients of the same referral.

Two referrals differ in edges that wait because their recipient cannot read them, in edges whose recipient has moved,
and in all messages to other parties. All that a provider and its instance can obtain is equal, or drawn from the same
distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from shared.catalog import CATALOG
from shared.core.ids import uuid4
from shared.core.protocol import prepare as preparing
from shared.core.protocol.message import Draft, Record
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.outgoing_messages import (
    DeferredEdge,
    KnownEdge,
    MessageContext,
    MessageSet,
    StaleEdge,
    write_letters,
)
from shared.core.protocol.prepare import Filing, Prepared, prepare_again, prepare_batch
from shared.core.protocol.read_capabilities import PeerReads, Reads, own_reads
from shared.core.routing.directory_index import PartyEntry
from shared.core.routing.engine import RoutedEdge
from shared.core.vocabulary.answers import AnswerState
from tests.shared.core.protocol.test_non_interference import joined, obtained, pair
from tests.support.builders import HOTLINE
from tests.support.exchange_world import INSTANCES, World, submission, world

PAIRS = 500
#: Instances of other parties. Some cannot read the message version, and the parties of some may have moved.
OTHERS = ("hotline", "law_enforcement", "industry_two")
HOUR = timedelta(hours=1)
_NOTHING = EdgeAnswer(AnswerState.NONE)


@dataclass(frozen=True, slots=True)
class Others:
    """The instances that cannot read an edge yet, and those from which parties have moved."""

    blind: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()

    @classmethod
    def drawn(cls, random: Random) -> Others:
        blind, moved = (frozenset(random.sample(OTHERS, random.randint(0, 2))) for _ in range(2))
        return cls(blind, moved - blind)


#: The edges of a referral that are issued again.
Chosen = Callable[[str, Others], bool]


def _moved(instance: str, others: Others) -> bool:
    return instance in others.moved


@pytest.fixture(scope="module")
def there() -> World:
    return world(instances=(*INSTANCES, "industry_two"))


def origin_of(here: World) -> PartyEntry:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    return origin


def filed(here: World, referrals: Sequence[dict[str, Any]], others: Others) -> list[Prepared]:
    """Return the referrals, filed in one transaction while some instances cannot read the message version."""
    announced = Reads.of(own_reads(CATALOG))
    here.reads = PeerReads({name: replace(announced, engines=frozenset()) for name in others.blind})
    origin = origin_of(here)
    filings = [
        Filing(submission(**each | {"external_ref": f"ref-{number}"}), origin, body_sha256=f"{number:064x}")
        for number, each in enumerate(referrals)
    ]
    prepared = prepare_batch(filings, documents=here.documents, at=here.at)
    here.reads = PeerReads()
    assert all(isinstance(each, Prepared) for each in prepared)
    return [each for each in prepared if isinstance(each, Prepared)]


def again(here: World, referral: dict[str, Any], stale: Prepared, others: Others, *, chosen: Chosen) -> list[Draft]:
    """Return the messages of the next turn: waiting edges go out, and edges of moved parties are issued again."""
    law = here.documents.law
    only = {
        (each.edge.recipient, each.edge.terms.purpose): StaleEdge(each.edge_id, None, law, here.at, 0)
        for each in stale.waiting
    }
    for each in stale.emitted:
        if chosen(each.instance, others):
            known = KnownEdge(each.edge_id, each.notice_id, "before", _NOTHING)
            only[each.recipient, each.purpose] = StaleEdge(each.edge_id, each.message_id, law, here.at, 0, known)
    if not only:
        return []
    found = prepare_again(
        submission(**referral),
        referral_id=stale.referral_id,
        origin=origin_of(here),
        exercise=True,
        documents=here.documents,
        at=here.at,
        only=only,
        body_sha256=stale.body_sha256,
        traceparent=None,
    )
    assert not found.waiting
    return list(found.drafts)


def seen(there: World, referral: dict[str, Any], others: Others, *, chosen: Chosen = _moved) -> list[Any]:
    """Return all that `industry` can obtain of a referral, of its messages an hour later, and of the next referral."""
    here = there.anew()
    [first] = filed(here, [referral], others)
    found = [(here.at, *obtained(here, first.drafts))]
    here.at += HOUR
    found.append((here.at, *obtained(here, again(here, referral, first, others, chosen=chosen))))
    [behind] = filed(here, [referral], Others())
    return [*found, (here.at, *obtained(here, behind.drafts))]


def differing(there: World, pairs: int, *, chosen: Chosen = _moved) -> int:
    random = Random(20261126)
    found = waited = 0
    for _ in range(pairs):
        one, other = pair(random)
        around, elsewhere = Others.drawn(random), Others.drawn(random)
        waited += around != elsewhere
        first = seen(there, one, around, chosen=chosen)
        assert first, "no message went to the providers: the test shows nothing"
        found += first != seen(there, other, elsewhere, chosen=chosen)
    assert waited > pairs // 2, "too few referrals differ in their waiting edges"
    return found


def test_what_waits_or_has_moved_elsewhere_shows_nothing_to_a_provider_and_its_instance(there: World) -> None:
    assert differing(there, PAIRS) == 0


def test_a_referral_that_waits_whole_where_one_edge_waits_would_be_found(
    there: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: all edges wait as long as one recipient cannot read its own."""

    def held_back(writing: MessageContext, edges: Sequence[RoutedEdge]) -> MessageSet:
        letters = write_letters(writing, edges)
        if not letters.waiting:
            return letters
        return replace(letters, emitted=(), letters=(), waiting=tuple(DeferredEdge(edge, uuid4()) for edge in edges))

    monkeypatch.setattr(preparing, "write_letters", held_back)
    assert differing(there, 20) > 5


def test_a_move_that_issued_every_edge_of_the_referral_anew_would_be_found(there: World) -> None:
    """Control: the edges of parties that have not moved are issued again with the others."""
    assert differing(there, 20, chosen=lambda instance, others: bool(others.moved)) > 5


def test_neither_a_shared_transaction_nor_what_waits_or_moves_joins_a_notice_with_its_referral(there: World) -> None:
    """Five referrals per transaction: messages to one recipient share a wrap and a signature."""
    random, here, records = Random(8), there.anew(), list[tuple[int, Record]]()
    for number in range(0, 100, 5):
        referrals, others = [pair(random)[0] for _ in range(5)], Others.drawn(random)
        moving = replace(others, moved=others.moved | {"industry"})
        together = filed(here, referrals, others)
        owners = [number + place for place, each in enumerate(together) for _ in each.drafts]
        records += zip(owners, here.records([draft for each in together for draft in each.drafts]), strict=True)
        for place, (referral, each) in enumerate(zip(referrals, together, strict=True)):
            drafts = again(here, referral, each, moving, chosen=_moved)
            records += [(number + place, record) for record in here.records(drafts)]
    assert joined(records) == set()
    # Control: the shared values of one transaction's messages, if they depended on the referral.
    told = [(n, replace(each, headers=(*each.headers, ("ce_xfiled", f"{n:064x}".encode())))) for n, each in records]
    assert joined(told)
