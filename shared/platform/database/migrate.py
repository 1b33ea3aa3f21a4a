"""Migrations: Alembic, forward only, run by the owner role; one numbered folder per service.

The result of the newest revision is committed with the migrations, object by object (`catalogue.txt`). A database has
the newest schema if its catalogue is equal to that, independent of the revision that it states.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
from alembic import command, context, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.ext.asyncio import create_async_engine

from shared.core.clock import SystemClock
from shared.core.errors import Refused, Unavailable
from shared.platform.database.catalogue import (
    MEND,
    REVISION_TABLE,
    Catalogue,
    find_differences,
    parse_catalogue,
    read_catalogue,
    refuse_stranger,
)
from shared.platform.database.partitions import make_months

#: Migrations call `uuidv7()`, which this version of PostgreSQL introduced.
POSTGRES_MAJOR_MIN: Final = 18
#: The number of differing objects that a message names.
NAMED_MAX: Final = 5
_REVISIONS: Final = f"SELECT version_num FROM {REVISION_TABLE} ORDER BY version_num"  # noqa: S608 - our own constant
_URL = "causeway_owner_url"
_CONNECT_S_MAX: Final = 5.0
_ENVIRONMENT = Path(__file__).with_name("alembic_environment")
_SHARED = Path(__file__).resolve().parents[2]
_SERVICES = _SHARED.parent / "services"
#: Runs before the files of a revision, which grant and isolate with its functions.
_RIGHTS: Final = "platform/database/rights.sql"


@dataclass(frozen=True, slots=True)
class Schema:
    """Revisions (none in a database without tables) and the catalogue that belongs to them."""

    revisions: tuple[str, ...]
    catalogue: Catalogue


def upgrade(service: str, owner_url: str, *, whose: str | None = None) -> None:
    """Bring a database of `service` to its newest schema. A second call changes nothing. `whose` names its instance.

    Blocks and starts its own event loop: call it from a thread without one. Raises `Refused` if these migrations cannot
    continue from the present schema (`schema_unknown`), or if the result differs from the newest revision
    (`schema_differs`).
    """
    whose = whose or service
    found = look_at_schema(owner_url)
    refuse_stranger(found.catalogue, whose=whose)
    _refuse_unknown(found.revisions, service, whose=whose)
    run_revisions(service, owner_url)
    differing = tuple(find_differences(newest_schema(service).catalogue, look_at_schema(owner_url).catalogue))
    if differing:
        raise Refused("schema_differs", f"{whose}: {name_differences(differing)}")
    asyncio.run(_make_months(owner_url))


def run_revisions(service: str, owner_url: str) -> None:
    """Run the pending revisions without a comparison, to write the catalogue of a new one. Blocks like `upgrade`."""
    command.upgrade(_config(service, owner_url), "head")


#: The files of every instance, and those of every instance of parties.
OF_ALL: Final = "messaging/schema.sql", "platform/database/schema.sql"
OF_PARTIES: Final = (
    *OF_ALL,
    *("instance/delivery/tracks.sql", "party/schema.sql", "platform/timers/schema.sql", "platform/courier/schema.sql"),
    "party/questions/schema.sql",
)


def run_files(*files: str | Path) -> None:
    """Run SQL files in the transaction of a revision: paths, or names relative to `shared`."""
    bind = op.get_bind()
    # The driver begins its transaction with the first statement that SQLAlchemy hands to it.
    bind.exec_driver_sql("SET LOCAL search_path TO public")
    connection = bind.connection.dbapi_connection
    assert isinstance(connection, AsyncAdapt_asyncpg_connection)
    for file in (_RIGHTS, *files):
        text = (_SHARED / file).read_text(encoding="utf-8")
        connection.run_async(lambda driver, text=text: driver.execute(text))


def newest_schema(service: str) -> Schema:
    """Return the newest schema that the code knows."""
    heads = ScriptDirectory.from_config(_config(service, "")).get_heads()
    text = catalogue_file(service).read_text(encoding="utf-8")
    return Schema(tuple(sorted(heads)), parse_catalogue(text))


def look_at_schema(owner_url: str) -> Schema:
    """Return the schema of a database. Blocks like `upgrade`. Raises `Unavailable` if the owner cannot log in."""
    return asyncio.run(_look(owner_url))


def catalogue_file(service: str) -> Path:
    """Return the path of the newest revision's catalogue."""
    return _migrations(service) / "catalogue.txt"


def name_differences(differing: tuple[str, ...]) -> str:
    """Return the first differing objects, and the number of further ones."""
    more = len(differing) - NAMED_MAX
    return "; ".join(differing[:NAMED_MAX]) + (f"; and {more} more" if more > 0 else "")


async def run_in_alembic() -> None:
    """Run the pending revisions in one transaction each. Alembic's environment calls this."""
    # The driver reads the URL itself, as everywhere, so that it applies the URL's TLS options.
    connect = partial(asyncpg.connect, context.config.attributes[_URL])
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True
    )
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


def _run(connection: object) -> None:
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        transaction_per_migration=True,
        version_table=REVISION_TABLE,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(service: str, owner_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT))
    config.set_main_option("version_locations", str(_migrations(service) / "versions"))
    config.set_main_option("path_separator", "newline")
    config.attributes[_URL] = owner_url
    return config


def _migrations(service: str) -> Path:
    return _SERVICES / service / "migrations"


def _refuse_unknown(at: tuple[str, ...], service: str, *, whose: str) -> None:
    ours = {each.revision for each in ScriptDirectory.from_config(_config(service, "")).walk_revisions()}
    if strange := [revision for revision in at if revision not in ours]:
        raise Refused(
            "schema_unknown",
            f"{whose}: at revision {', '.join(strange)}, which this code does not have. Run the release that made it; "
            f"if none did, {MEND}",
        )


async def _make_months(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=_CONNECT_S_MAX)
    try:
        await make_months(connection, SystemClock().now())
    finally:
        await connection.close()


def refuse_old(major: int) -> None:
    """Check the version of a server. Raises `Refused("postgres_too_old")` if migrations cannot run on it."""
    if major < POSTGRES_MAJOR_MIN:
        raise Refused("postgres_too_old", f"version {major}; {POSTGRES_MAJOR_MIN} or later is needed", status=400)


async def _look(url: str) -> Schema:
    try:
        connection = await asyncpg.connect(url, timeout=_CONNECT_S_MAX)
        try:
            refuse_old(connection.get_server_version().major)
            async with connection.transaction():
                catalogue = await read_catalogue(connection)
                noted = await connection.fetch(_REVISIONS) if f"table {REVISION_TABLE}" in catalogue else []
            return Schema(tuple(row["version_num"] for row in noted), catalogue)
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("database_unavailable", getattr(error, "sqlstate", None) or type(error).__name__) from None
