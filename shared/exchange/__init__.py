"""The protocol: `prepare` for every sender, `accept` for every recipient. Pure: no clock, no database, no network."""
