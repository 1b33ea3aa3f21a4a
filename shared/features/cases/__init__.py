"""Cases: an agency receives the referrals offered to it, works on them, and passes them on."""
