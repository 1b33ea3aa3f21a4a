"""The retention period of each table of each kind of service: one row per table.

A test checks that none is missing. The rows are in `retention_policy.json`. Periods are the sample's. An operator
changes them in a copy of that file, and has them reviewed like code.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import TypeAdapter

from shared.catalog import CATALOG
from shared.core.canonical import JsonView
from shared.platform.database.migrate import catalogue_file, parse_catalogue


class PurgeMethod(StrEnum):
    """The way in which a table's data ends."""

    MONTHS = "months"  # partitions of months past the period are dropped
    ROWS = "rows"  # rows past the period are deleted
    RECORDS = "records"  # a subject finished for the period loses its key and the sealed part; the row stays
    ITSELF = "itself"  # an act on a row ends it: nothing to apply
    STAYS = "stays"  # kept forever; the reason explains why


class RetentionRule(NamedTuple):
    """One table's row. `holds` is the highest protection class of its data (docs/glossary.md).

    `owner` may decide on the period: the operator, the party that is the controller of the records, or none, if another
    period would break a promise of the exchange (`protocol`). `days` is None if nothing is applied. `where` is the
    column by which `ROWS` are past it.

    For received records, the class of the edge may shorten it: `KEPT_DAYS`.
    """

    table: str
    holds: Literal["S0", "S1", "S2", "S3", "key"]
    way: PurgeMethod
    owner: Literal["operator", "party", "protocol"]
    reason: str
    days: int | None = None
    where: str = ""


_TABLE: Final = json.loads(Path(__file__).with_name("retention_policy.json").read_text(encoding="utf-8"))


def _of_features(kind: str) -> list[JsonView]:
    """Return the rules of features for their tables in the databases of a kind."""
    known = parse_catalogue(catalogue_file(kind).read_text(encoding="utf-8"))
    return [rule for each in CATALOG.features for rule in each.kept if f"table {rule['table']}" in known]


#: By kind of service: the rows of `retention_policy.json` for the kind's groups of tables, its own rows, and those of
#: features.
POLICY: Final = {
    kind: TypeAdapter(tuple[RetentionRule, ...]).validate_python(
        [each for rows in (*map(_TABLE["groups"].get, of["groups"]), of["tables"], _of_features(kind)) for each in rows]
    )
    for kind, of in _TABLE["kinds"].items()
}
