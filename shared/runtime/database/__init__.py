"""The database room: transactions bound to parties, migrations.

The tables, grants and policies are literal SQL in each service's `migrations`: a migration reads nothing of the code,
so what a revision makes never changes. Row-level security, which stands there alone, is PostgreSQL's own
answer to who may do what to which row, below every use case: a transaction bound to nobody sees nothing.

Trust: a process that can write the tables of messaging can suppress or repeat this instance's own messages. It cannot
forge another instance's. Audit's copies and the tables of the other instance show either (`causeway audit reconcile`).
Whoever holds the owner role can change the policies; the service's login role cannot.
"""
