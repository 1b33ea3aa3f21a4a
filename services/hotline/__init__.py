"""The hotlines' service, and the canonical one: new services copy its rooms. README.md says what it is for."""
