"""Transfers of referrals between hotlines, and their claims."""
