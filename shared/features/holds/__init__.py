"""Holds: agencies' requests to delay planned notices, for a limited time, and their override by two people."""
