"""Topic names: the topic of one pair never equals that of another, for any instance ids."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.core.contracts.base import InstanceId
from shared.core.contracts.facts import TopicName
from shared.core.protocol.authority import INBOXES, inbox_prefix, inbox_topic, pairs_of

IDS = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)


@given(IDS, IDS, IDS)
def test_only_what_is_written_to_an_instance_is_under_its_prefix(one: str, other: str, sender: str) -> None:
    TypeAdapter(InstanceId).validate_python(one)
    topic = inbox_topic(one, sender)
    assert topic.startswith(INBOXES)
    assert topic.startswith(inbox_prefix(other)) == (one == other)


@given(IDS, IDS, IDS, IDS)
def test_two_pairs_have_one_name_only_if_they_are_one(to: str, sender: str, other_to: str, other: str) -> None:
    assert (inbox_topic(to, sender) == inbox_topic(other_to, other)) == ((to, sender) == (other_to, other))


@given(IDS, IDS)
def test_every_name_is_one_that_facts_may_state(to: str, sender: str) -> None:
    for name in (inbox_topic(to, sender), inbox_topic("a" * 32, "b" * 32)):
        assert TypeAdapter(TopicName).validate_python(name) == name


def test_kinds_correspond_that_have_something_to_say_to_each_other_or_to_answer() -> None:
    kinds = {name: name for name in ("hotline", "law_enforcement", "industry")}
    everybody = set(product(kinds, repeat=2))  # agencies pass cases on to one another
    assert {(pair.sender, pair.to) for pair in pairs_of(kinds)} == everybody


def test_facts_have_topics_only_where_there_is_an_audit_to_tell() -> None:
    assert {pair.to for pair in pairs_of({"hotline": "hotline"})} == {"hotline"}
    assert {pair.to for pair in pairs_of({"hotline": "hotline", "audit": "auditor"})} == {"hotline", "audit"}
