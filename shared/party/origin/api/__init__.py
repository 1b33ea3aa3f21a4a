"""The HTTP door of an origin."""
