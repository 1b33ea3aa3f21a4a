"""What the demo prints of a flow: every name whole, however narrow the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from deploy.demo.report import print_flow


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
    shown = io.StringIO()
    print_flow(Console(file=shown, width=100), {"referral_id": "r", "messages": [message]})
    assert shown.getvalue().splitlines()[1:] == [
        "1  12:00:00Z  referral_offered.v1  applied",
        "  hotline-nl.example → police-nl.example  nl-law-enforcement, europol-victim",
        "  inbox.law_enforcement.hotline.v1/11/17",
    ]
