"""HTTP: the edge that every request passes, identity, rate limits, idempotency, and problem details."""
