"""Import of referrals from tables."""
