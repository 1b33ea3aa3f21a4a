"""The workspace: pages of a party's own referrals and of the subjects that it received, with their acts."""
