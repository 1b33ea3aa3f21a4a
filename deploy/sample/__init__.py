"""The sample load: referrals drawn from published tables, with reserved names only."""
