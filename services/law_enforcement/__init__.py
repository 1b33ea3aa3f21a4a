"""The service of law enforcement agencies: referrals offered to an agency, and its work on them. See README.md."""
