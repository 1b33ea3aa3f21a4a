"""Import of referrals from tables, by a page."""
