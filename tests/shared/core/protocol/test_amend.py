"""Amendments change a referral's edges until each recipient has the content that a fresh submission would have sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import pytest

from shared.core.contracts.referral import ReferralRecord
from shared.core.errors import Refused
from shared.core.protocol.amend import (
    AmendmentInput,
    AmendmentResult,
    CurrentEdge,
    Revision,
    prepare_amended,
    renumbered,
)
from shared.core.protocol.message import Draft
from shared.core.protocol.minimise import whole_record
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.outgoing_messages import AddressedEdge, KnownEdge
from shared.core.protocol.prepare import Filing, Prepared, as_filed
from shared.core.routing.directory_index import PartyEntry
from shared.core.vocabulary.answers import AnswerState
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import SUBMISSION, World, opened, submission, told_to_audit

OTHER_PROVIDER = "provider-012.example"
R = Random(52)
_NOTHING = EdgeAnswer(AnswerState.NONE)


@dataclass
class Held:
    """The recipients' copies of one referral, by (recipient, purpose), after amendments."""

    here: World
    first: Prepared
    body: dict[str, Any]
    edges: dict[tuple[str, str], AddressedEdge] = field(default_factory=dict)
    records: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    revision: int = 1
    numbered: int = 0

    @classmethod
    def filed(cls, here: World, body: dict[str, Any]) -> Held:
        held = cls(here, here.prepared(**body), body)
        held.record = json.loads(held.first.content)
        held.numbered = len(held.record["items"])
        held._take(held.first.emitted, held.first.drafts)
        return held

    record: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> PartyEntry:
        entry = self.here.documents.directory.party(HOTLINE)
        assert entry is not None
        return entry

    def amend(self, body: dict[str, Any]) -> AmendmentResult:
        here = self.here
        filing = Filing(submission(**body), self.origin, body_sha256="0" * 64)
        content, _ = as_filed(filing, here.documents.directory, at=here.at)
        record, numbered = renumbered(whole_record(content), self.record, numbered=self.numbered)
        before = ReferralRecord.model_validate_json(json.dumps(self.record))
        amending = AmendmentInput(
            referral_id=self.first.referral_id,
            origin=self.origin,
            exercise=True,
            revision=self.revision,
            before=Revision(before, self.record),
            after=Revision(content, record),
            edges=[_standing(each, here) for each in self.edges.values()],
            body_sha256="0" * 64,
        )
        then = here.documents
        amended = prepare_amended(amending, documents=then, then=lambda _: then, at=here.at)
        self.record, self.numbered, self.body = record, numbered, body
        self.revision += 1
        for each in amended.taken_back:
            del self.edges[each.key], self.records[each.key]
        self._take(amended.again.emitted, amended.again.drafts)
        return amended

    def _take(self, emitted: tuple[AddressedEdge, ...], drafts: tuple[Draft, ...]) -> None:
        by_id = {draft.message_id: draft for draft in drafts}
        for each in emitted:
            sealed = opened(self.here, by_id[each.message_id])
            key = each.recipient, each.purpose
            self.edges[key], self.records[key] = each, {"edge": _edge(sealed["edge"]), "record": sealed["record"]}


def _edge(edge: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in edge.items() if name != "digest"}


def _standing(edge: AddressedEdge, here: World) -> CurrentEdge:
    known = KnownEdge(edge.edge_id, edge.notice_id, edge.instance, _NOTHING, edge.revision, edge.items, tells=False)
    return CurrentEdge(edge.recipient, edge.purpose, here.at, known)


def seen(held: Held) -> dict[tuple[str, str], Any]:
    """Return the content that recipients may see. Item numbers are left out because they are the origin's own."""

    def unnumbered(told: dict[str, Any]) -> dict[str, Any]:
        items = [{k: v for k, v in each.items() if k != "n"} for each in told["record"]["items"]]
        return told | {"record": told["record"] | {"items": items}}

    return {key: unnumbered(told) for key, told in held.records.items()}


_number = count(1)


def item(provider: str) -> dict[str, Any]:
    return {
        "locator": {"kind": "url", "value": f"https://images.example/amended/{next(_number)}"},
        "hosting": [{"provider": provider, "jurisdiction": R.choice(["NL", "BE"])}],
    }


def bodies(seed: int) -> Iterator[dict[str, Any]]:
    """Yield a referral and its later versions: items are added, removed and changed, and so are its shared fields."""
    random = Random(seed)
    items = [dict(each) for each in SUBMISSION["items"]]
    while True:
        yield SUBMISSION | {
            "items": [dict(each) for each in items],
            "media_kind": random.choice(["image", "video"]),
            "viewed_by": random.choice(["human", "nobody"]),
            "priority": {"level": random.choice(["p2_normal", "p0_child_at_risk"])},
        }
        if random.random() < 0.5 and len(items) < 8:
            items.append(item(random.choice([PROVIDER, OTHER_PROVIDER])))
        if random.random() < 0.4 and len(items) > 1:
            items.pop(random.randrange(len(items)))
        if random.random() < 0.3:
            items[random.randrange(len(items))]["site_type"] = random.choice(["imagehost", "forum"])


@pytest.mark.parametrize("seed", range(12))
def test_in_the_end_everybody_has_what_a_fresh_filing_would_have_sent(here: World, seed: int) -> None:
    stream = bodies(seed)
    held = Held.filed(here, next(stream))
    changes = 0
    for _ in range(6):
        body = next(stream)
        try:
            held.amend(body)
        except Refused as error:
            assert error.code == "recipient_taken_back"
            continue
        changes += 1
        assert seen(held) == seen(Held.filed(here, body))
    assert changes


def test_whom_it_changes_nothing_for_is_sent_nothing(here: World) -> None:
    held = Held.filed(here, SUBMISSION)
    amended = held.amend(SUBMISSION | {"items": [*SUBMISSION["items"], item(OTHER_PROVIDER)]})
    unchanged = {each.recipient for each in amended.unchanged}
    assert PROVIDER in unchanged
    assert not unchanged & {draft.recipient for draft in amended.again.drafts}
    assert (OTHER_PROVIDER, "takedown") in held.records


def test_a_notice_counts_its_own_revisions_and_never_uses_a_number_again(here: World) -> None:
    held = Held.filed(here, SUBMISSION)
    first, key = held.edges[PROVIDER, "takedown"], (PROVIDER, "takedown")
    second = item(PROVIDER)
    held.amend(SUBMISSION | {"viewed_by": "nobody"})
    assert held.edges[key] == first
    held.amend(SUBMISSION | {"items": [*SUBMISSION["items"], second]})
    held.amend(SUBMISSION)
    held.amend(SUBMISSION | {"items": [*SUBMISSION["items"], second]})
    edge = held.edges[key]
    assert (edge.notice_id, edge.edge_id, edge.revision) == (first.notice_id, first.edge_id, 4)
    assert [each["n"] for each in held.records[key]["record"]["items"]] == [1, 3]
    assert (edge.items, edge.gone) == ((1, 3, 4), (3,))


def test_audit_is_told_the_revision_and_what_of_it_is_new(here: World) -> None:
    held = Held.filed(here, SUBMISSION)
    amended = held.amend(SUBMISSION | {"viewed_by": "nobody"})
    fact = told_to_audit(here, amended.again.drafts[-1])
    assert (fact["revision"], fact["facts"]["viewed_by"]) == (2, "nobody")
    assert PROVIDER not in fact["recipients"]


def test_an_item_is_the_same_if_its_location_is() -> None:
    before, after = (
        {"items": [{"n": n, "locator": {"kind": "url", "value": value}} for n, value in numbered]}
        for numbered in (((1, "a"), (3, "b")), ((1, "b"), (2, "c")))
    )
    record, numbered = renumbered(after, before, numbered=4)
    assert ([each["n"] for each in record["items"]], numbered) == ([3, 5], 5)
    with pytest.raises(Refused, match="items_exhausted"):
        renumbered(after, before, numbered=99)
