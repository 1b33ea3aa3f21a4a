"""Dialogues about a subject: a question and its answer, and their deadline."""
