"""`make demo`: the whole exchange on sample parties, from an empty state to reconciliation."""
