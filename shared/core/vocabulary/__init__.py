"""Closed lists of codes, each code with its source, and the dated tree of jurisdictions."""
