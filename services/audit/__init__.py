"""Audit: an entry for every record on every topic, for auditors to follow. It keeps no body. README.md says more."""
