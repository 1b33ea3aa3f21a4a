"""Pages of the subjects of a party: its own referrals, and the subjects that it received."""
