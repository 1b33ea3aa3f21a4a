"""Monitoring: logs, metrics, traces and health. It depends on no subject."""
