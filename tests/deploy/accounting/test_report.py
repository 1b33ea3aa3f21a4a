"""What `causeway audit` prints for people."""

from __future__ import annotations

import pytest

from deploy.accounting.report import print_topics
from deploy.accounting.topics import AuditedTopic


def test_a_topic_is_named_whole_where_nobody_measures_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    topic = "causeway.inbox.law_enforcement.industry_two.v1"
    print_topics([AuditedTopic(topic, 1, "gap", "2026-11-26T06:24:00Z", 72, 1, 2)])
    assert capsys.readouterr().out.splitlines()[1] == f"{topic}\t1\tgap\t2026-11-26T06:24:00Z\t72\t1\t2"
