"""The events of a party: feed, timeline, and live pages."""
