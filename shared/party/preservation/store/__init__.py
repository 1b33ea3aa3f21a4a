"""Preservations in PostgreSQL, and the locations of a provider's notices."""
