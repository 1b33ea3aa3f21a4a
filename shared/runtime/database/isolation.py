"""Row-level security: PostgreSQL's own answer to who may do what to which row, below every use case.

A row is visible and changeable only if its `party` is among those the transaction was bound to *and* a row of
`permitted` allows the bound role the bound action in the row's present state. Nothing bound means nothing visible.
`permitted` is written by the migration as literal data: a second, independent copy of the Python table, held
equal to it by the isolation tests.

Trust: whoever holds the owner role can change the policies; the service's login role cannot.
"""

from __future__ import annotations

from collections.abc import Iterable

#: What an accountant reads of the outbox: what is on its way, not what it says.
OUTBOX_COUNTED = "message_id, type, sender, recipient, sequence, digest"

_PERMITTED = """
CREATE TABLE permitted (
    resource text NOT NULL, action text NOT NULL, role text NOT NULL, state text NOT NULL,
    PRIMARY KEY (resource, action, role, state)
)
"""
#: Neither sub-select looks at the row: PostgreSQL computes them once for a statement, not for every row.
_PARTY = "party = ANY ((SELECT string_to_array(current_setting('causeway.parties', true), ','))::text[])"
_STATES = """
FROM permitted AS p WHERE p.resource = '{resource}' AND p.action = current_setting('causeway.action', true)
                      AND p.role = current_setting('causeway.role', true)
"""


def permitted_table(cells: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """SQL that makes `permitted` and fills it: (resource, action, roles, states), the last two space-separated."""
    rows = [
        f"('{resource}', '{action}', '{role}', '{state}')"
        for resource, action, roles, states in cells
        for role in roles.split()
        for state in states.split()
    ]
    return [_PERMITTED, f"INSERT INTO permitted VALUES {', '.join(rows)}"]


def isolate(table: str, resource: str, *, state_column: str | None = "state") -> list[str]:
    """SQL that isolates `table`, forced also on its owner. Without a state column the action alone is compared.

    Rows are seen by party, role and action; added and changed only in a state in which the action is permitted.
    `read` only sees, `submit` only adds, `apply` adds and changes, every other action only changes; none removes.
    A `SELECT … FOR UPDATE` sees only what could be changed.
    """
    states = _STATES.format(resource=resource)

    def bound(more: str = "", column: str | None = None) -> str:
        """The row is of a bound party, and the action is permitted: in any state, or in that of `column`."""
        if column is None:
            return f"{_PARTY} AND EXISTS (SELECT 1 {states}{more})"
        return f"{_PARTY} AND {table}.{column} = ANY ((SELECT array_agg(p.state) {states}{more})::text[])"

    anywhere = bound()
    adding = bound("AND p.action IN ('submit', 'apply')", state_column)
    changing = bound("AND p.action NOT IN ('read', 'submit')", state_column)
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY {table}_seen ON {table} FOR SELECT USING ({anywhere})",
        f"CREATE POLICY {table}_added ON {table} FOR INSERT WITH CHECK ({adding})",
        f"CREATE POLICY {table}_changed ON {table} FOR UPDATE USING ({changing}) WITH CHECK ({anywhere})",
    ]


def grants(tables: Iterable[str], accountable: Iterable[str]) -> list[str]:
    """SQL that gives the service its tables and the accountant its reading; role names follow the database's."""
    service, accountant = "%I', current_database()", "%I', current_database() || '_accountant'"
    statements = [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {service}",
        f"GRANT USAGE ON SCHEMA public TO {service}",
        f"GRANT SELECT ON permitted TO {service}",
        f"GRANT SELECT ON {', '.join(accountable)} TO {accountant}",
        f"GRANT SELECT ({OUTBOX_COUNTED}) ON outbox TO {accountant}",
        f"GRANT USAGE ON SCHEMA public TO {accountant}",
    ]
    return [f"DO $$ BEGIN EXECUTE format('{statement}); END $$" for statement in statements]


def grants_append_only(tables: Iterable[str]) -> list[str]:
    """SQL that lets the service read and add rows, never change or remove them."""
    return [
        f"DO $$ BEGIN EXECUTE format('GRANT SELECT, INSERT ON {', '.join(tables)} TO %I', current_database()); END $$"
    ]


def readable_by_accountant(table: str, columns: str) -> list[str]:
    """SQL that lets the accountant read `columns` of an isolated table: ids and states, for counting only."""
    return [
        f"""DO $$ BEGIN
            EXECUTE format('GRANT SELECT ({columns}) ON {table} TO %I', current_database() || '_accountant');
            EXECUTE format('CREATE POLICY {table}_counted ON {table} FOR SELECT TO %I USING (true)',
                           current_database() || '_accountant');
        END $$"""
    ]
