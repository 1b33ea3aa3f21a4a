"""The use cases of received subjects."""
