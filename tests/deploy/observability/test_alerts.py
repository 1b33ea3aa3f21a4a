"""Each alert, as an independent parser reads it: silent when all is well, and firing for its own fault."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import promql_parser as promql
import pytest
import yaml

from deploy.artifacts.__main__ import ROOT, RULES
from shared.messaging.exceptions import EXCEPTION_BYTES_MAX, EXCEPTIONS_MAX
from shared.platform.observability.metrics import REGISTRY

ALERTS = [
    SimpleNamespace(**each)
    for each in json.loads((ROOT / "deploy/observability/alerts.json").read_text(encoding="utf-8"))
]
BOARDS = [json.loads(file.read_text("utf-8")) for file in (ROOT / "deploy/observability").glob("causeway-*.json")]
SHOWN = [target["expr"] for board in BOARDS for panel in board["panels"] for target in panel["targets"]]

#: For each alert its fault: metric, labels and value after it. Counters begin at 0, and all other metrics are normal.
BROKEN: Mapping[str, tuple[str, dict[str, str], float]] = {
    "CausewayNothingLeaves": ("causeway_outbox_age_seconds", {}, 61),
    "CausewayNothingIsAcknowledged": ("causeway_unacked_age_seconds", {}, 301),
    "CausewayKeptBytes": ("causeway_kept_bytes", {}, 4.1e9),
    "CausewayClocksSetAside": ("causeway_clocks_aside_rows", {}, 1),
    "CausewaySubjectsSetAside": ("causeway_subjects_aside", {}, 1),
    "CausewayDeadLetters": ("causeway_dead_letter_records", {}, 1),
    "CausewayManyExceptions": ("causeway_exception_records", {}, 10_001),
    "CausewayLargeExceptions": ("causeway_exception_bytes", {}, 6.5 * 2**20),
    "CausewayOperatorLines": ("causeway_operator_lines", {}, 1),
    "CausewayAuditDoesNotReadAll": ("causeway_audit_partitions", {"state": "gap"}, 1),
    "CausewayDocumentsEndSoon": ("causeway_document_days_left", {"kind": "policy"}, 29),
    "CausewayClockOff": ("causeway_edges_wait", {"reason": "clock_off"}, 1),
    "CausewayBeatIsOld": ("causeway_beat_age_seconds", {}, 301),
    "CausewayLawHasAged": ("causeway_law_aged", {"reason": "ended"}, 1),
    "CausewayPartyAlarm": ("causeway_alarms_total", {"kind": "refused"}, 1),
    "CausewayChildAtRiskWaits": ("causeway_unreleased_total", {"reason": "over_day"}, 1),
    "CausewayWebhookPaused": ("causeway_webhooks_paused", {}, 1),
    "CausewayServerErrors": ("causeway_http_requests_total", {"status": "503"}, 6),
    "CausewayIntakeIsSlow": ("causeway_intake_seconds_bucket", {"le": "+Inf"}, 100),
}


class Sample(NamedTuple):
    """A number of a scrape, with its earlier value: `before` is from the beginning of the range."""

    name: str
    labels: Mapping[str, str]
    value: float
    before: float = 0.0


def well() -> list[Sample]:
    """Return an installation without faults."""
    return [
        Sample("causeway_outbox_age_seconds", {}, 0.4),
        Sample("causeway_unacked_age_seconds", {}, 12),
        Sample("causeway_kept_bytes", {}, 2e6),
        Sample("causeway_clocks_aside_rows", {}, 0),
        Sample("causeway_subjects_aside", {}, 0),
        Sample("causeway_dead_letter_records", {}, 0),
        Sample("causeway_exception_records", {}, 40),
        Sample("causeway_exception_bytes", {}, 6.3 * 2**20),
        Sample("causeway_operator_lines", {}, 0),
        Sample("causeway_audit_partitions", {"state": "reading"}, 40),
        Sample("causeway_audit_partitions", {"state": "gap"}, 0),
        Sample("causeway_document_days_left", {"kind": "policy"}, 200),
        Sample("causeway_edges_wait", {"reason": "clock_off"}, 0),
        Sample("causeway_edges_wait", {"reason": "beat_late"}, 0),
        Sample("causeway_beat_age_seconds", {}, 9),
        Sample("causeway_law_aged", {"reason": "ended"}, 0),
        Sample("causeway_alarms_total", {"kind": "refused"}, 3, 3),
        Sample("causeway_unreleased_total", {"reason": "over_day"}, 2, 2),
        Sample("causeway_webhooks_paused", {}, 0),
        Sample("causeway_http_requests_total", {"status": "202"}, 9000, 8000),
        Sample("causeway_http_requests_total", {"status": "503"}, 0, 0),
        Sample("causeway_intake_seconds_bucket", {"le": "0.05"}, 1000, 900),
        Sample("causeway_intake_seconds_bucket", {"le": "5.0"}, 1000, 900),
        Sample("causeway_intake_seconds_bucket", {"le": "+Inf"}, 1000, 900),
    ]


def broken(alert: str) -> list[Sample]:
    name, labels, value = BROKEN[alert]
    if name.endswith("_bucket"):
        return [
            each._replace(value=each.value + (value if each.labels["le"] != "0.05" else 0))
            if each.name == name
            else each
            for each in well()
        ]
    return [s._replace(value=s.before + value) if (s.name, s.labels) == (name, labels) else s for s in well()]


def fires(alert: SimpleNamespace, samples: Sequence[Sample]) -> bool:
    tree = promql.parse(alert.holds)
    assert isinstance(tree, promql.BinaryExpr)
    limit = tree.rhs.val
    compare = {">": float.__gt__, "<": float.__lt__}[str(tree.op)]
    return any(compare(float(value), limit) for value in evaluated(tree.lhs, samples))


def evaluated(tree: Any, samples: Sequence[Sample]) -> list[float]:
    """Evaluate the few functions that the rules use. `by` is ignored, because one instance is measured."""
    if isinstance(tree, promql.AggregateExpr):
        inner = evaluated(tree.expr, samples)
        return [{"max": max, "min": min, "sum": sum}[str(tree.op)](inner)] if inner else []
    if isinstance(tree, promql.Call):
        if tree.func.name == "histogram_quantile":
            return [quantile(tree.args[0].val, tree.args[1].expr.args[0].vector_selector, samples)]
        return [each.value - each.before for each in selected(tree.args[0].vector_selector, samples)]
    return [each.value for each in selected(tree, samples)]


def selected(selector: Any, samples: Sequence[Sample]) -> list[Sample]:
    def fits(sample: Sample) -> bool:
        for matcher in selector.matchers.matchers:
            exact = re.escape(matcher.value) if matcher.op == promql.MatchOp.Equal else matcher.value
            if not re.fullmatch(exact, sample.labels.get(matcher.name, "")):
                return False
        return sample.name == selector.name

    return [sample for sample in samples if fits(sample)]


def quantile(share: float, selector: Any, samples: Sequence[Sample]) -> float:
    """Return the upper bound of the bucket. This is precise enough to tell normal from abnormal."""
    buckets = sorted((float(each.labels["le"]), each.value - each.before) for each in selected(selector, samples))
    return next(bound for bound, count in buckets if count >= share * buckets[-1][1])


def known_names() -> set[str]:
    found = set()
    for family in REGISTRY.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_is_silent_while_all_is_well_and_fires_for_its_own_fault_alone(alert: SimpleNamespace) -> None:
    assert not fires(alert, well())
    assert [name for name in BROKEN if fires(alert, broken(name))] == [alert.name]


def test_exceptions_alarm_at_a_tenth_of_their_bounds() -> None:
    holds = {alert.name: alert.holds for alert in ALERTS}
    assert holds["CausewayManyExceptions"].endswith(f"> {EXCEPTIONS_MAX // 10}")
    assert holds["CausewayLargeExceptions"].endswith(f"> {EXCEPTION_BYTES_MAX // 10}")


def test_every_alert_is_broken_here() -> None:
    assert sorted(BROKEN) == sorted(alert.name for alert in ALERTS)


def test_prometheus_reads_the_rules_as_they_stand_here() -> None:
    (group,) = yaml.safe_load((ROOT / RULES).read_text(encoding="utf-8"))["groups"]
    assert [(rule["alert"], rule["expr"], rule["labels"]) for rule in group["rules"]] == [
        (alert.name, alert.holds, {"severity": alert.severity}) for alert in ALERTS
    ]


@pytest.mark.parametrize("said", [alert.holds for alert in ALERTS] + SHOWN)
def test_every_metric_that_is_named_exists(said: str) -> None:
    promql.parse(said)
    assert set(re.findall(r"causeway_[a-z_]+", said)) <= known_names()


def test_every_metric_but_those_of_time_is_shown_or_watched() -> None:
    said = " ".join([*(alert.holds for alert in ALERTS), *SHOWN])
    families = {family.name for family in REGISTRY.collect()}
    assert {name for name in families if name not in said} == set()


def test_a_dashboard_is_one_that_grafana_loads() -> None:
    """The dashboard's model has panels with unique ids that do not overlap, each with a query."""
    assert len(BOARDS) == 3
    for board in BOARDS:
        ids = [panel["id"] for panel in board["panels"]]
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
        assert len(set(ids)) == len(places) == len(ids)
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])
        assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
        assert (board["schemaVersion"], board["uid"]) >= (39, "causeway")
