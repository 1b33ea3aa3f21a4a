"""Audit: an entry for every message of every instance, for auditors to follow, without its body. See README.md."""
