"""Schemas of the instances' databases: whether they are what the newest revision makes, and bringing them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.site.endpoints import OwnedDatabase
from shared.kernel.errors import Refused
from shared.runtime.database.catalogue import find_differences, refuse_stranger
from shared.runtime.database.migrate import look_at_schema, newest_schema, upgrade


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`at` is empty for a database without a schema; `heads` are the newest revisions that this code knows.

    `differing` names the objects in which a database at the newest revision is not what that revision makes.
    """

    instance: str
    at: tuple[str, ...]
    heads: tuple[str, ...]
    differing: tuple[str, ...] = ()

    @property
    def current(self) -> bool:
        return self.at == self.heads and not self.differing


def check_schemas(databases: Mapping[str, OwnedDatabase]) -> list[SchemaState]:
    """Where each instance's database is. Blocks. Raises `Unavailable` if one does not let its owner in.

    Raises `Refused` where no migration leads on from what is there: `schema_unknown`, `database_made_otherwise`.
    """
    return [_check(name, database) for name, database in databases.items()]


def migrate_schemas(databases: Mapping[str, OwnedDatabase]) -> list[SchemaState]:
    """Bring each database to the newest schema; return where they were before. Blocks; forward only.

    Raises `Refused("schema_differs")` where the end is not what the newest revision makes, and `schema_unknown` where
    the beginning is a revision that this code has not.
    """
    before = check_schemas(databases)
    for state in before:
        if not state.current:
            upgrade(*databases[state.instance], whose=state.instance)
    return before


def chosen(databases: Mapping[str, OwnedDatabase], names: tuple[str, ...]) -> dict[str, OwnedDatabase]:
    """The databases of these instances, of all if none is named. Raises `Refused("instance_unknown")`."""
    if not set(names) <= databases.keys():
        raise Refused("instance_unknown", f"one of {', '.join(databases)}", status=400)
    return {name: database for name, database in databases.items() if not names or name in names}


def _check(instance: str, database: OwnedDatabase) -> SchemaState:
    found, newest = look_at_schema(database.owner_url), newest_schema(database.kind)
    refuse_stranger(found.catalogue, whose=instance)
    if found.revisions != newest.revisions:
        return SchemaState(instance, found.revisions, newest.revisions)
    differing = tuple(find_differences(newest.catalogue, found.catalogue))
    return SchemaState(instance, found.revisions, newest.revisions, differing)
