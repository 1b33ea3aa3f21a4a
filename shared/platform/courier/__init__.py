"""Webhooks: events are sent to the addresses that parties have registered, and to no others."""
