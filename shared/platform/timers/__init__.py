"""The scheduler of deadlines, the steps that acts add to them, and their table."""
