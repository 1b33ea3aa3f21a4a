"""Closed code lists, each entry with its source, and the dated tree of jurisdictions."""
