"""What a recipient's service looks for of what was withdrawn, whatever its items are: what nobody has answered for."""

from __future__ import annotations

from typing import NamedTuple


class OfWithdrawn(NamedTuple):
    """Statements over one kind of items. None finds what $3 and $4 name: subjects and their parties.

    `taken_back` so many seconds ago, $1, and not answered for; `kept_until` a day before $1, where $5 only what is not
    erased yet. At most $2 of each.
    """

    taken_back: str
    kept_until: str

    @classmethod
    def among(cls, table: str, *, subject: str, contents: str) -> OfWithdrawn:
        """`contents` is the table that has the items' edges, each with the retention class that it states."""
        others = (
            "NOT EXISTS (SELECT FROM unnest($3::uuid[], $4::text[]) AS b (subject, party) "
            f"WHERE b.subject = t.{subject} AND b.party = t.party)"
        )
        return cls(
            f"SELECT {subject} AS subject_id, party, ARRAY(SELECT DISTINCT c.retention "
            f"FROM {contents} AS c WHERE c.{subject} = t.{subject} AND c.party = t.party) AS classes "
            f"FROM {table} AS t WHERE state = 'withdrawn' AND changed_at <= now() - make_interval(secs => $1) "
            f"AND {others} ORDER BY changed_at LIMIT $2 FOR UPDATE OF t SKIP LOCKED",
            f"SELECT {subject} AS subject_id, party FROM {table} AS t WHERE state = 'withdrawal_acknowledged' "
            f"AND said #>> '{{fate}}' = 'kept' AND said #>> '{{kept,until}}' < $1 AND {others} "
            f"AND NOT ($5 AND EXISTS (SELECT FROM erased_record AS r WHERE r.subject = t.{subject} "
            "AND r.party = t.party)) "
            "ORDER BY said #>> '{kept,until}' LIMIT $2 FOR UPDATE SKIP LOCKED",
        )
