"""Rechecks of items that notices were sent about."""
