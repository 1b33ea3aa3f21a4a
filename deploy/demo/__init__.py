"""`make demo`: the whole exchange on sample parties, from nothing to a reconciled account of every message."""
