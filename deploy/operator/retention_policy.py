"""How long each table of each kind of service keeps what: one row a table, and a test that none is missing.

The rows are in `retention_policy.json`. Periods are the sample's. An operator changes them in a copy of that file, and
they are reviewed as code is.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import TypeAdapter


class Class(StrEnum):
    """The highest protection class of what a table holds (docs/glossary.md); keys have one of their own."""

    S0 = "S0"
    S1 = "S1"
    S2 = "S2"
    S3 = "S3"
    KEY = "key"


class Way(StrEnum):
    """What ends what a table keeps."""

    MONTHS = "months"  # partitions of months that are past the period are dropped
    ROWS = "rows"  # rows past the period are deleted
    RECORDS = "records"  # of what was finished for the period, the key and what it opens are deleted; the row stays
    ITSELF = "itself"  # whatever is done with a row ends it: nothing to apply
    STAYS = "stays"  # for ever, and the reason says why


class Owner(StrEnum):
    """Who may decide on the period."""

    OPERATOR = "operator"
    PARTY = "party"  # the controller of the records
    PROTOCOL = "protocol"  # another period would break a promise of the exchange


class Kept(NamedTuple):
    """One table's row. `days` is None where nothing is applied. `where` is the column by which `ROWS` are past it.

    Of records that others sent, the class of the edge says less: `KEPT_DAYS`.
    """

    table: str
    holds: Class
    way: Way
    owner: Owner
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
