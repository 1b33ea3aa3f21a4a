"""Received subjects: a recipient stores, opens and answers the referrals, notices and offers that it gets."""
