"""What watches an installation: alert rules for Prometheus, and dashboards for Grafana."""
