"""The HTTP API of an origin."""
