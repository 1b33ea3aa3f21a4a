"""The console of an origin: its referrals with three ticks, a new referral with a preview, and acts."""
