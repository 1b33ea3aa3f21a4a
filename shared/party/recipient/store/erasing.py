"""How a recipient's store erases the record of an item, whatever its items are: with it goes where it lay."""

from __future__ import annotations

from typing import Final, NamedTuple

_EMPTY: Final = "SET wrapped_key = NULL, content = '', evidence = ''"
_GIVEN: Final = "unnest($1::uuid[], $2::text[]) AS e (subject, party)"


class Erasing(NamedTuple):
    """Statements over one kind of items: `many`, subjects and their parties; `returned`, of subjects that have come
    again, those of `erased_record`.
    """

    many: str
    returned: str

    @classmethod
    def of(cls, contents: str, *, subject: str, places: str) -> Erasing:
        """`contents` is the table of the records, `places` that of the tokens of where they lie, if there is one."""

        def statement(those: str, where: str) -> str:
            found = f"c.{subject} = e.subject AND c.party = e.party{where}"
            records = f"UPDATE {contents} AS c {_EMPTY} FROM {those} WHERE {found} AND c.wrapped_key IS NOT NULL"
            forget = f"WITH forgotten AS (DELETE FROM {places} AS c USING {those} WHERE {found}) " if places else ""
            return forget + records

        # Both tables are named by the subjects: by the join alone the planner may read all records.
        named = f" AND e.subject = ANY($1::uuid[]) AND c.{subject} = ANY($1::uuid[])"
        return cls(statement(_GIVEN, ""), statement("erased_record AS e", named))
