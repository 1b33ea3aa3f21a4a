"""Received subjects: a recipient stores, opens and answers the offers, cases and notices that it gets."""
