"""`causeway db`: whether the instances' databases are what the newest revision makes, and bringing them there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cyclopts import App

from deploy.site.endpoints import OwnedDatabase
from deploy.site.open import owned_databases
from deploy.site.options import OPTIONS, Listing, Options, Printed, verb
from shared.kernel.errors import Refused
from shared.runtime.database.catalogue import find_differences, refuse_stranger
from shared.runtime.database.migrate import look_at_schema, newest_schema, upgrade

db_app = App(name="db")


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


@verb(db_app)
def migrate(*names: str, options: Options = OPTIONS) -> Printed:
    """Bring databases to the newest schema, of all instances or of those named. Doing it again changes nothing."""
    return _printed(migrate_schemas(chosen_databases(options, names)), behind="migrated")


@verb(db_app, "check")
def check_databases(*names: str, options: Options = OPTIONS) -> Printed:
    """Compare each database, object by object, with what the newest revision makes; exit code 1 if one differs."""
    found = check_schemas(chosen_databases(options, names))
    return _printed(found, behind="BEHIND")._replace(well=all(each.current for each in found))


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


def chosen_databases(options: Options, names: Sequence[str]) -> dict[str, OwnedDatabase]:
    """The databases of these instances of a site, of all if none is named. Raises `Refused("instance_unknown")`."""
    databases = owned_databases(options)
    if not set(names) <= databases.keys():
        raise Refused("instance_unknown", f"one of {', '.join(databases)}", status=400)
    return {name: database for name, database in databases.items() if not names or name in names}


def _printed(found: Sequence[SchemaState], *, behind: str) -> Printed:
    """What is found of each; `behind` is the word for one that is, or was, of an earlier revision."""
    rows = [
        (
            each.instance,
            " ".join(each.at),
            " ".join(each.heads),
            "DIFFERS" if each.differing else "" if each.current else behind,
        )
        for each in found
    ]
    listed = [
        {
            "instance": each.instance,
            "at": each.at,
            "newest": each.heads,
            "current": each.current,
            "differing": each.differing,
        }
        for each in found
    ]
    differing = [f"{each.instance}: {what}" for each in found for what in each.differing]
    return Printed({"databases": listed}, [Listing(("database", "at", "newest", ""), rows), *differing])


def _check(instance: str, database: OwnedDatabase) -> SchemaState:
    found, newest = look_at_schema(database.owner_url), newest_schema(database.kind)
    refuse_stranger(found.catalogue, whose=instance)
    current = found.revisions == newest.revisions
    differing = tuple(find_differences(newest.catalogue, found.catalogue)) if current else ()
    return SchemaState(instance, found.revisions, newest.revisions, differing)
