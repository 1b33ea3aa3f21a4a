"""Preservations in PostgreSQL, and where a provider's notices lie."""
