"""The referral that a hotline files itself for one that was transferred to it."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue

from shared.core.contracts.referral import ReferralRecord
from shared.core.ids import uuid7
from shared.core.protocol.derived_referral import derived_from, draft
from shared.core.vocabulary.referral import CorrelationSystem
from tests.architecture.source import ROOT

FIRST = uuid7()
EXAMPLES = sorted((ROOT / "shared/core/contracts/examples/referral_offered.v1.sealed").glob("accepted-*.json"))


def record(**changes: JsonValue) -> ReferralRecord:
    stated = json.loads(EXAMPLES[0].read_bytes())["record"]
    return ReferralRecord.model_validate(stated | changes)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_draft_states_what_was_handed_over_and_can_be_filed(example: Path) -> None:
    handed = ReferralRecord.model_validate(json.loads(example.read_bytes())["record"])
    drafted = draft(FIRST, handed, exercise=True)
    named = {"items", "correlations", "external_ref"}
    assert drafted.model_dump(exclude=named | {"exercise"}) == handed.model_dump(exclude=named)
    kept = [each.model_dump(exclude={"n": True, "locator": {"cut"}}) for each in handed.items]
    assert [each.model_dump() for each in drafted.items] == kept
    assert (drafted.external_ref, derived_from(drafted.model_dump(mode="json"))) == (str(FIRST), [FIRST])


def test_of_a_chain_the_last_is_named_and_of_many_correlations_the_last_is_left_out() -> None:
    others: list[JsonValue] = [{"system": "iwf", "ref": f"r{n}"} for n in range(7)]
    before: list[JsonValue] = [{"system": "causeway", "ref": str(uuid7())}]
    drafted = draft(FIRST, record(correlations=[*before, *others]), exercise=False)
    assert derived_from(drafted.model_dump(mode="json")) == [FIRST]
    assert len(drafted.correlations) == 8
    assert not drafted.exercise
    full = draft(FIRST, record(correlations=[*others, {"system": "iwf", "ref": "r7"}]), exercise=True)
    assert [each.ref for each in full.correlations] == [str(FIRST), *(f"r{n}" for n in range(7))]


@pytest.mark.parametrize("ref", ["x", str(FIRST).upper(), FIRST.hex])
def test_what_is_no_id_as_we_spell_it_is_no_relation(ref: str) -> None:
    said: list[JsonValue] = [{"system": CorrelationSystem.CAUSEWAY.value, "ref": ref}]
    assert derived_from({"correlations": said}) == list[UUID]()
