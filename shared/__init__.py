"""Contracts between the parties, and the runtime of their services. It imports no service."""
