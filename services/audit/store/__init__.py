"""Audit's tables. Entries are append-only for the service's role.

Trust: a process that can write these tables can change the answers of audit. Kafka, while it retains the records, and
the parties' own tables contradict it (`causeway audit reconcile`). The verifiable log, which would prove each change,
is not built.
"""
