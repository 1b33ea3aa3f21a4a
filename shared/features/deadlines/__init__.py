"""Deadlines of a party: open timers."""
