"""Monitoring of an installation: alert rules for Prometheus, and dashboards for Grafana."""
