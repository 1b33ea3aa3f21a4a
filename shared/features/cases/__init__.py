"""Cases of agencies."""
