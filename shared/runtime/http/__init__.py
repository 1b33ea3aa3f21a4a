"""The HTTP room: the edge every request passes, identity, budgets, idempotency, problems."""
