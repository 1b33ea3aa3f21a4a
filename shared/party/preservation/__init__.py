"""Preservation requests of agencies to providers, at both sides. No other party is informed."""
