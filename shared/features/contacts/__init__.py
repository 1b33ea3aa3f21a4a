"""Suggestions of contact between agencies with a common case or location."""
