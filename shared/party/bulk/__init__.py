"""Batches: many acts on received subjects in one request and one transaction. Each act succeeds or is refused alone."""
