"""Questions and disputes about items, at both ends."""
