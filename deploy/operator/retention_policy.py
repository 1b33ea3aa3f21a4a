"""How long each table of each kind of service keeps what: one row a table, and a test that none is missing.

The rows are in `retention_policy.json`. Periods are the sample's. An operator changes them in a copy of that file, and
they are reviewed as code is.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import TypeAdapter


class Way(StrEnum):
    """What ends what a table keeps."""

    MONTHS = "months"  # partitions of months that are past the period are dropped
    ROWS = "rows"  # rows past the period are deleted
    RECORDS = "records"  # of what was finished for the period, the key and what it opens are deleted; the row stays
    ITSELF = "itself"  # whatever is done with a row ends it: nothing to apply
    STAYS = "stays"  # for ever, and the reason says why


class Kept(NamedTuple):
    """One table's row. `holds` is the highest protection class of what is in it (docs/glossary.md).

    `owner` may decide on the period: the operator, the party that is the controller of the records, or nobody, where
    another period would break a promise of the exchange (`protocol`). `days` is None where nothing is applied. `where`
    is the column by which `ROWS` are past it.

    Of records that others sent, the class of the edge says less: `KEPT_DAYS`.
    """

    table: str
    holds: Literal["S0", "S1", "S2", "S3", "key"]
    way: Way
    owner: Literal["operator", "party", "protocol"]
    reason: str
    days: int | None = None
    where: str = ""


_TABLE: Final = json.loads(Path(__file__).with_name("retention_policy.json").read_text(encoding="utf-8"))
#: By kind of service: the rows of `retention_policy.json`, in the groups of tables that the kind has, and its own.
POLICY: Final = {
    kind: TypeAdapter(tuple[Kept, ...]).validate_python(
        [each for rows in (*map(_TABLE["groups"].get, of["groups"]), of["tables"]) for each in rows]
    )
    for kind, of in _TABLE["kinds"].items()
}
