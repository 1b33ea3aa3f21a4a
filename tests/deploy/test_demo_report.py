"""The demo's output about a flow: every name in full, even on a narrow terminal."""

from __future__ import annotations

from deploy.demo.run import text_of


def test_a_flow_is_told_with_whole_names_at_a_hundred_columns() -> None:
    message = {
        "position": 1,
        "at": "2026-03-15T12:00:00Z",
        "type": "causeway.referral_offered.v1",
        "sender": "hotline-nl.example",
        "recipient": "police-nl.example",
        "rules": ["nl-law-enforcement", "europol-victim"],
        "topic": "causeway.inbox.law_enforcement.hotline.v1",
        "partition": 11,
        "offset": 17,
        "outcome": "applied",
    }
    shown = text_of("flow", {"flow": {"referral_id": "r", "messages": [message]}})
    assert shown.splitlines()[1:] == [
        "1  12:00:00Z  referral_offered.v1  applied",
        "  hotline-nl.example → police-nl.example  nl-law-enforcement, europol-victim",
        "  inbox.law_enforcement.hotline.v1/11/17",
    ]
