"""Webhooks of a party: their registration, and their pages."""
