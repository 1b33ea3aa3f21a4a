"""Admission: which principal asks, and the share of each bounded resource that it may use."""
