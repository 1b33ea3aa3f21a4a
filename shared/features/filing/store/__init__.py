"""An origin's rows in PostgreSQL. Migrations of its services run `filing/schema.sql`.

Trust: a writer of these tables can misstate the filed referrals, but not the messages that others received. Other roles
keep the recipients' inboxes and audit's copy of Kafka.
"""
