"""Tokens by which locations of records are compared."""
