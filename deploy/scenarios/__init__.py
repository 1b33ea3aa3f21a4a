"""Stories as data: who does what in which order, and the timeline that must come out at each side."""
