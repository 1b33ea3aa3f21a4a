"""The database: transactions bound to parties, and migrations.

The tables, grants and policies are literal SQL in each service's `migrations`. A migration uses none of the code, so
the result of a revision never changes. Row-level security is defined only there. It checks each access to a row in
PostgreSQL, below every use case: a transaction without a scope sees no row.

Trust: a process that can write the tables of messaging can suppress or repeat this instance's own messages. It cannot
forge another instance's. Audit's copies and the tables of the other instance show either (`causeway audit reconcile`).
A client with the owner role can change the policies; the service's login role cannot.
"""
