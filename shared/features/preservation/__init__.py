"""Preservation requests of agencies to providers, at both ends."""
