"""Amendments of referrals and corrections of their provider, by their origin."""
