"""Openings of records, which are reported to audit; and the tables of each party's instance, as `act` and `feed`."""
