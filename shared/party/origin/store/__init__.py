"""An origin's rows in PostgreSQL; its services' migrations make the tables.

Trust: whoever can write these tables can misstate what this origin filed, not what others received: the
recipients' inboxes and audit's reading of Kafka are kept elsewhere, by other roles.
"""
