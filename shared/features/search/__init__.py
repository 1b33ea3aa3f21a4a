"""Search of a party's lists: filters and pages."""
