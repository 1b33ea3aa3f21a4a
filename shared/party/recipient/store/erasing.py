"""The statement that erases records of `received`: their keys, what these open, and the tokens of their locations."""

from __future__ import annotations

from typing import Final

_GIVEN: Final = "unnest($1::uuid[], $2::text[]) AS e (subject, party)"
_EMPTY: Final = "SET wrapped_key = NULL, record = ''"
#: What the journal of erasures calls these records.
ERASED_RECEIVED: Final = "received"


def erase_statement(tokens: str = "", key: str = "") -> str:
    """Return the statement, bound by subjects and their parties. `tokens` is the table of locations, `key` its subject.

    Erasing a record again changes nothing.
    """

    def found(subject: str) -> str:
        return f"FROM {_GIVEN} WHERE c.{subject} = e.subject AND c.party = e.party"

    forgotten = f"forgotten AS (DELETE FROM {tokens} AS c {found(key).replace('FROM', 'USING', 1)}), " if tokens else ""
    return (
        f"WITH {forgotten}further AS (UPDATE received_edge AS c {_EMPTY} {found('subject')} "
        f"AND c.wrapped_key IS NOT NULL) "
        f"UPDATE received AS c {_EMPTY} {found('subject')} AND c.wrapped_key IS NOT NULL"
    )
