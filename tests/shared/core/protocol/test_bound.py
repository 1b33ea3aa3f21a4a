"""The message sent with an edge matches the edge, and its statements about parties match the directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic_core import to_json

from shared.core.contracts.decision import Facts
from shared.core.errors import Refused
from shared.core.protocol.accept import accept
from shared.core.protocol.decision_fact import check_facts
from shared.core.protocol.facts import read_facts
from shared.core.protocol.message import Record
from tests.shared.core.protocol.wrong_records import resealed, signed
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import SUBMISSION, World, submission

ACCOUNT = {"service": "provider-001.example", "account": "user-1"}


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[World, Record], Record]:
    """Return a function that replaces the content sealed with the same edge and signs the record honestly again."""

    def other(plaintext: bytes) -> bytes:
        sealed = json.loads(plaintext)
        change(sealed["record"])
        return to_json(sealed)

    return resealed(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["items"].append(record["items"][0] | {"n": 99}),
        lambda record: record["items"][0].update(locator={"kind": "account", "value": "user-1"}),
        lambda record: record["items"][0].pop("hosting"),
        lambda record: record.update(user_jurisdictions=["JP"]),
    ],
    ids=["more items", "another kind", "no hosting", "another user"],
)
def test_a_record_that_its_edge_is_not_about_is_refused(
    here: World, good: Record, change: Callable[[dict[str, Any]], object]
) -> None:
    accept(good, here.reader("law_enforcement"))
    with pytest.raises(Refused, match="edge_not_reproducible"):
        accept(changed(change)(here, good), here.reader("law_enforcement"))


def test_what_an_edge_withholds_is_refused_whoever_sends_it(here: World) -> None:
    prepared = here.prepared()
    sent = zip(prepared.emitted, prepared.drafts[:-1], strict=True)
    draft = next(
        draft
        for emitted, draft in sent
        if draft.recipient_instance == "law_enforcement" and "subject_accounts" in emitted.edge.terms.withheld
    )
    record = here.records([draft])[0]
    accept(record, here.reader("law_enforcement"))
    more = changed(lambda sealed: sealed.update({"subject_accounts": [ACCOUNT]}))(here, record)
    with pytest.raises(Refused, match="edge_not_reproducible"):
        accept(more, here.reader("law_enforcement"))


@pytest.mark.parametrize("years", [-6, 60])
def test_due_times_count_from_the_decision_and_not_from_any_time(here: World, good: Record, years: int) -> None:
    with pytest.raises(Refused, match="edge_not_reproducible"):
        accept(signed(time=AT + timedelta(days=365 * years))(here, good), here.reader("law_enforcement"))


@pytest.mark.parametrize(
    "lie",
    [
        {"origin_kind": "industry"},
        {"reporter": ["US"]},
        {"origin": "nobody.example"},
        {"items": [{"providers": ["provider-001.example"], "provider_establishment": ["JP"]}]},
    ],
)
def test_what_facts_say_of_parties_is_what_the_directory_says(here: World, lie: dict[str, Any]) -> None:
    directory = here.documents.directory
    origin = directory.party(HOTLINE)
    assert origin is not None
    whole = read_facts(submission(), origin, directory).facts
    check_facts(Facts.model_validate(whole), directory)
    with pytest.raises(Refused, match="edge_not_reproducible"):
        check_facts(Facts.model_validate(whole | lie), directory)


def test_several_unknown_providers_leave_nothing_behind_in_the_facts(here: World) -> None:
    """Audit reads the facts of an unrouted referral, too."""
    items = [SUBMISSION["items"][0] | {"hosting": [{"provider": f"nobody-{n}.example"}]} for n in range(3)]
    prepared = here.prepared(items=items)
    assert (prepared.disposition, prepared.unrouted_reason) == ("unknown_code", "unknown_provider")
    Facts.model_validate(prepared.facts)


def test_the_largest_referral_that_the_door_lets_in_is_taken_by_its_recipients(here: World) -> None:
    item = SUBMISSION["items"][0]
    assessments = [{"scheme": "interpol_baseline", "value": "baseline", "jurisdiction": "NL"}] * 4
    hosting = [{"jurisdiction": "NL", "asn": 64496 + number} for number in range(3)]
    items = [item | {"assessments": assessments, "hosting": hosting} for _ in range(10)]
    prepared = here.prepared(items=items)
    assert prepared.disposition == "routed"
    for draft, record in zip(prepared.drafts[:-1], here.records(prepared.drafts[:-1]), strict=True):
        accept(record, here.reader(draft.recipient_instance))
