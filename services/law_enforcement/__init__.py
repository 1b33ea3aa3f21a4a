"""The agencies' service: what was offered to an agency, and what it makes of that. README.md says more."""
