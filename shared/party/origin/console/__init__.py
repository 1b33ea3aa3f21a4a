"""The web door of an origin: its referrals with three ticks, a new one with a look at where it goes, taking back."""
