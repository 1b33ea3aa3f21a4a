"""Decisions that only audit makes: the content of an entry, and the state of a topic that it reads."""
