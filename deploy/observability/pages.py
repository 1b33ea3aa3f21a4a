"""The files that Prometheus and Grafana read, and the runbook, written of the tables."""

from __future__ import annotations

import json
from typing import Final

from deploy.observability.alerts import ALERTS, Alert

_MEANS: Final = {"page": "at once", "today": "today", "week": "this week"}


def prometheus_rules() -> str:
    """The rule file: YAML of which every text is in JSON's quotes."""
    lines = ["# Written by `python -m deploy.artifacts` from deploy/observability/alerts.json.", "groups:"]
    lines += ["  - name: causeway", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.holds)}",
            f"        for: {alert.for_m}m",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {json.dumps(alert.says)}",
            f"          runbook: {json.dumps(f'docs/operations/alerts.md#{alert.name.lower()}')}",
        ]
    return "\n".join([*lines, ""])


def runbook() -> str:
    """What to do first, alert by alert."""
    return "\n".join(
        [
            "# Alerts",
            "",
            "Written by `python -m deploy.artifacts` from `deploy/observability/alerts.json`; what Prometheus reads is",
            "`deploy/observability/alerts.yaml`, three dashboards for Grafana stand beside it. Each instance is one",
            "target, at its `METRICS_PORT`.",
            "",
            *(line for alert in ALERTS for line in _entry(alert)),
        ]
    )


def _entry(alert: Alert) -> list[str]:
    after = f" for {alert.for_m} minutes" if alert.for_m else ""
    return [
        f"## {alert.name}",
        "",
        f"{alert.says} Look {_MEANS[alert.severity]}.",
        "",
        f"    {alert.holds}",
        "",
        f"Holds{after}. First: {alert.first}" if after else f"At once. First: {alert.first}",
        "",
    ]
