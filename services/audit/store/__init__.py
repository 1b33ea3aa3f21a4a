"""Audit's tables. What it keeps of records is append-only for the service's role.

Trust: whoever can write these tables can change what audit shows; Kafka (while it retains) and the parties' own
tables contradict it (`causeway audit reconcile`), and the ledger will make every change provable.
"""
