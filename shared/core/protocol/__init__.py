"""The protocol: `prepare` for senders, `accept` for recipients.

Pure: no clock, no database, no network.
"""
