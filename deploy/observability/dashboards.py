"""The dashboards: what an operator looks at, as panels over the metrics of `docs/operations/metrics.md`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_COLUMNS: Final = 2
_WIDTH: Final = 24 // _COLUMNS
_HEIGHT: Final = 8


class Panel(NamedTuple):
    """One plot: PromQL, and the unit of its numbers in Grafana's words."""

    title: str
    shows: str
    unit: str
    legend: str = "{{instance}}"


class Dashboard(NamedTuple):
    """One page of plots. `uid` is its address and stays."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


DASHBOARDS: Final = (
    Dashboard(
        "causeway-delivery",
        "Causeway: delivery",
        (
            Panel(
                "Messages a second, by fate",
                "sum by (fate) (rate(causeway_messages_total[5m]))",
                "ops",
                "{{fate}}",
            ),
            Panel("Waiting to be appended", "max by (instance) (causeway_outbox_rows)", "short"),
            Panel("Age of the oldest that waits", "max by (instance) (causeway_outbox_age_seconds)", "s"),
            Panel("Age of the oldest unacknowledged", "max by (instance) (causeway_unacked_age_seconds)", "s"),
            Panel("Kept for absent readers", "max by (instance) (causeway_kept_bytes)", "bytes"),
            Panel("Not read yet", "sum by (instance) (causeway_bus_lag_records)", "short"),
            Panel(
                "Key operations a second, by kind",
                "sum by (kind) (rate(causeway_key_operations[5m]))",
                "ops",
                "{{kind}}",
            ),
            Panel("Exceptions of the fullest stream", "max by (instance) (causeway_exception_records)", "short"),
            Panel("Bytes of the exceptions of a stream", "max by (instance) (causeway_exception_bytes)", "bytes"),
            Panel("Dead letters", "max by (instance) (causeway_dead_letter_records)", "short"),
            Panel("Operator's list", "max by (instance) (causeway_operator_lines)", "short"),
            Panel("Subjects set aside", "max by (instance) (causeway_subjects_aside)", "short"),
            Panel(
                "Partitions as audit reads them",
                "sum by (state) (causeway_audit_partitions)",
                "short",
                "{{state}}",
            ),
        ),
    ),
    Dashboard(
        "causeway-doors",
        "Causeway: doors",
        (
            Panel(
                "Requests a second, by status",
                "sum by (status) (rate(causeway_http_requests_total[5m]))",
                "reqps",
                "{{status}}",
            ),
            Panel(
                "Until a submission is durable: 99 in 100",
                "histogram_quantile(0.99, sum by (instance, le) (rate(causeway_intake_seconds_bucket[5m])))",
                "s",
            ),
            Panel(
                "Refused at intake, by code",
                "sum by (code) (rate(causeway_refusals_total[5m]))",
                "ops",
                "{{code}}",
            ),
            Panel(
                "Waiting for a second person",
                "sum by (reason) (increase(causeway_unreleased_total[1h]))",
                "short",
                "{{reason}}",
            ),
            Panel(
                "Events sent to receivers",
                "sum by (fate) (rate(causeway_webhook_deliveries_total[5m]))",
                "ops",
                "{{fate}}",
            ),
            Panel("Receivers paused", "max by (instance) (causeway_webhooks_paused)", "short"),
        ),
    ),
    Dashboard(
        "causeway-law",
        "Causeway: law and guard",
        (
            Panel(
                "Days until a document is to be replaced",
                "min by (instance, kind) (causeway_document_days_left)",
                "d",
                "{{instance}} {{kind}}",
            ),
            Panel("Age of the newest beat", "max by (instance) (causeway_beat_age_seconds)", "s"),
            Panel(
                "Edges wait for a clock or a beat",
                "max by (instance, reason) (causeway_edges_wait)",
                "short",
                "{{instance}} {{reason}}",
            ),
            Panel(
                "Instruments to look at",
                "max by (reason) (causeway_law_aged)",
                "short",
                "{{reason}}",
            ),
            Panel(
                "Alarms about parties in a day",
                "sum by (kind) (increase(causeway_alarms_total[1d]))",
                "short",
                "{{kind}}",
            ),
        ),
    ),
)


def as_grafana(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard in Grafana's model; its Prometheus is chosen when it is opened."""
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["causeway"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [
            {
                "id": number + 1,
                "type": "timeseries",
                "title": panel.title,
                "datasource": source,
                "gridPos": {
                    "x": number % _COLUMNS * _WIDTH,
                    "y": number // _COLUMNS * _HEIGHT,
                    "w": _WIDTH,
                    "h": _HEIGHT,
                },
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "targets": [{"refId": "A", "expr": panel.shows, "legendFormat": panel.legend, "datasource": source}],
            }
            for number, panel in enumerate(dashboard.panels)
        ],
    }
