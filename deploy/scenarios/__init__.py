"""Stories as data: the acts of each party in order, and the expected timeline at each side."""
