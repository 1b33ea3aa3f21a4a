"""Use cases of an origin: one function or class for each act."""
