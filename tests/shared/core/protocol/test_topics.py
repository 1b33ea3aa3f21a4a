"""Topic names: the topic of one pair never equals that of another, for any instance ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.core.contracts.base import InstanceId
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


def test_facts_have_topics_only_where_there_is_an_audit_to_tell() -> None:
    assert {pair.to for pair in pairs_of({"hotline": "hotline"})} == {"hotline"}
    assert {pair.to for pair in pairs_of({"hotline": "hotline", "audit": "auditor"})} == {"hotline", "audit"}
