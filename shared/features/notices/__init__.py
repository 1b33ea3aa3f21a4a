"""Notices: a provider receives and answers them and reports on them, and their origin checks the items again."""
