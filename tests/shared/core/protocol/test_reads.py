"""The message versions that an instance reads, and the version in which a peer can write to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.catalog import CATALOG
from shared.core.contracts.registry import CASE_ACCEPTED, REFERRAL_OFFERED
from shared.core.errors import Refused
from shared.core.protocol import read_capabilities
from shared.core.protocol.read_capabilities import CANNOT_READ, PeerReads, Reads, form_for, own_reads
from shared.core.vocabulary import edition as vocabulary
from shared.core.vocabulary.judgement import AssessmentScheme
from shared.core.vocabulary.referral import IncidentFlag
from tests.support.exchange_world import World, next_version, opened, world

FLAG = IncidentFlag.VIRAL
NEWER = "7f" * 32


@pytest.fixture(scope="module")
def content(here: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the clear and sealed part of an offer as an agency gets it."""
    draft = here.offered("police-nl.example", incident_flags=[FLAG.value])
    return dict(draft.clear), opened(here, draft)


def own() -> Reads:
    return Reads.of(own_reads(CATALOG))


def test_what_reads_all_is_written_to_as_it_stands(content: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert form_for(REFERRAL_OFFERED, own(), content[0], sealed=content[1]) is REFERRAL_OFFERED


@pytest.mark.parametrize(
    "lacking",
    [{"messages": {"marks": 1}}, {"engines": frozenset({1})}, {"guards": frozenset({"0" * 32})}],
    ids=["message", "engine", "guard"],
)
def test_what_is_not_read_is_not_written(
    content: tuple[dict[str, Any], dict[str, Any]], lacking: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match=CANNOT_READ):
        form_for(REFERRAL_OFFERED, replace(own(), **lacking), content[0], sealed=content[1])


def test_an_engine_is_of_no_account_where_no_edge_is_carried() -> None:
    assert form_for(CASE_ACCEPTED, replace(own(), engines=frozenset({1})), {}) is CASE_ACCEPTED


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Present this release as if the flag had come with the newest edition."""
    monkeypatch.setattr(vocabulary, "ADDED", (frozenset({vocabulary.spelt(FLAG)}),))
    vocabulary.editions.cache_clear()
    vocabulary.later_than.cache_clear()
    yield
    monkeypatch.undo()
    vocabulary.editions.cache_clear()
    vocabulary.later_than.cache_clear()


@pytest.mark.usefixtures("grown")
def test_a_code_later_than_the_readers_edition_is_not_written(content: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, now = vocabulary.editions()
    clear, sealed = content
    for edition in (now, NEWER):
        assert form_for(REFERRAL_OFFERED, replace(own(), vocabulary=edition), clear, sealed=sealed) is REFERRAL_OFFERED
    with pytest.raises(Refused):
        form_for(REFERRAL_OFFERED, replace(own(), vocabulary=before), clear, sealed=sealed)
    without = sealed | {
        "record": {name: value for name, value in sealed["record"].items() if name != "incident_flags"},
        "edge": sealed["edge"] | {"facts": {k: v for k, v in sealed["edge"]["facts"].items() if k != "incident_flags"}},
    }
    assert form_for(REFERRAL_OFFERED, replace(own(), vocabulary=before), clear, sealed=without) is REFERRAL_OFFERED


def test_a_value_of_a_scheme_is_a_code_of_its_edition(
    monkeypatch: pytest.MonkeyPatch, content: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    value = vocabulary.spelt_value(AssessmentScheme.INTERPOL_BASELINE, "baseline")
    monkeypatch.setattr(vocabulary, "later_than", lambda edition: frozenset({value}))
    clear, sealed = content
    with pytest.raises(Refused):
        form_for(REFERRAL_OFFERED, own(), clear, sealed=sealed)
    items = [{name: each[name] for name in each if name != "assessments"} for each in sealed["record"]["items"]]
    without = sealed | {"record": sealed["record"] | {"items": items}}
    assert form_for(REFERRAL_OFFERED, own(), clear, sealed=without) is REFERRAL_OFFERED


def test_a_higher_version_is_written_as_the_lower_one_where_that_holds_it(
    content: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    later = next_version(REFERRAL_OFFERED)
    clear, sealed = content
    assert form_for(later, own(), clear, sealed=sealed) is REFERRAL_OFFERED
    with pytest.raises(Refused):
        form_for(later, own(), clear | {"remark": 1}, sealed=sealed)
    both = replace(own(), messages=dict(own().messages) | {"referral_offered": 2})
    assert form_for(later, both, clear | {"remark": 1}, sealed=sealed) is later


def test_who_has_not_spoken_reads_what_the_directory_says_or_what_every_release_does(here: World) -> None:
    directory = here.documents.directory
    assert PeerReads().of("industry", directory).messages["notice_issued"] == 1
    spoken = replace(own(), messages={"marks": 1})
    assert PeerReads({"industry": spoken}).of("industry", directory) is spoken
    floor = own_reads(CATALOG).model_copy(update={"messages": own_reads(CATALOG).messages[:1]})
    instances = tuple(
        each.model_copy(update={"reads_floor": floor if each.id == "industry" else None})
        for each in here.document.instances
    )
    other = world()
    other.place(other.document.model_copy(update={"version": 2, "instances": instances}), other.at)
    stated = PeerReads().of("industry", other.documents.directory)
    assert stated.messages == {own_reads(CATALOG).messages[0].name: 1}
    assert read_capabilities.PeerReads().of("hotline", other.documents.directory).messages["notice_issued"] == 1
