"""The decisions of one transaction are stated in as few messages as possible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.core.contracts.facts import DECISIONS_MAX
from shared.core.contracts.registry import REFERRAL_DECIDED
from shared.core.envelope.segment_sealing import is_sealable
from shared.core.protocol.decision_fact import join_decided, read_decided
from shared.core.protocol.message import Draft
from tests.support.exchange_world import World, decisions, opened, told_to_audit


@pytest.fixture(scope="module")
def drafts(here: World) -> Sequence[Draft]:
    return [draft for _ in range(3) for draft in here.prepared().drafts]


def facts(drafts: Sequence[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.message is REFERRAL_DECIDED]


def test_all_decisions_of_a_transaction_are_one_message_behind_its_others(here: World, drafts: Sequence[Draft]) -> None:
    *others, joined = join_decided(drafts)
    alone = facts(drafts)
    assert others == [draft for draft in drafts if draft.message is not REFERRAL_DECIDED]
    assert (joined.message_id, joined.subject) == (alone[0].message_id, alone[0].subject)
    assert decisions(joined.clear) == [one for each in alone for one in decisions(each.clear)]
    assert decisions(opened(here, joined)) == [one for each in alone for one in decisions(opened(here, each))]


def test_decisions_that_one_message_does_not_hold_are_told_in_several(here: World, drafts: Sequence[Draft]) -> None:
    fact, *_ = facts(drafts)
    told = join_decided([fact] * 100)
    assert 1 < len(told) < 10
    assert all(is_sealable(len(each.plaintext or b"")) for each in told)
    assert all(len(decisions(each.clear)) == len(decisions(opened(here, each))) <= DECISIONS_MAX for each in told)
    assert sum(len(decisions(each.clear)) for each in told) == 100


def test_small_decisions_are_bounded_by_their_number(drafts: Sequence[Draft]) -> None:
    fact, *_ = facts(drafts)
    small = replace(fact, plaintext=b'{"decisions":[{}]}')
    assert [len(decisions(each.clear)) for each in join_decided([small] * (DECISIONS_MAX + 1))] == [DECISIONS_MAX, 1]


def test_an_exercise_is_never_told_with_what_is_none(drafts: Sequence[Draft]) -> None:
    fact, *_ = facts(drafts)
    assert [each.exercise for each in join_decided([fact, replace(fact, exercise=not fact.exercise), fact])] == [
        fact.exercise,
        not fact.exercise,
    ]


def test_a_sealed_part_with_another_number_of_decisions_is_not_read(here: World, drafts: Sequence[Draft]) -> None:
    *_, joined = join_decided(drafts)
    plaintext = json.dumps(opened(here, joined)).encode()
    assert len(read_decided(plaintext, 3)) == 3
    for count in (2, 4):
        with pytest.raises(ValueError, match="decisions"):
            read_decided(plaintext, count)


def test_one_decision_that_its_contract_forbids_leaves_the_others_read(here: World, drafts: Sequence[Draft]) -> None:
    *_, joined = join_decided(drafts)
    sealed = opened(here, joined)
    decisions(sealed)[1]["salt"] = "short"
    first, second, third = read_decided(json.dumps(sealed).encode(), 3)
    assert isinstance(second, ValueError)
    assert not isinstance(first, ValueError)
    assert not isinstance(third, ValueError)
    assert first.fact.origin == told_to_audit(here, facts(drafts)[0])["origin"]
