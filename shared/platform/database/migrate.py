"""Migrations: Alembic, forward only, run by the owner role; one numbered folder per service.

The result of the newest revision is committed with the migrations, object by object (`catalogue.txt`). A database has
the newest schema if its catalogue is equal to that, independent of the revision that it states.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
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
from shared.platform.database.partitions import make_months

#: The definition of each object of a schema, by its kind and name.
Catalogue = Mapping[str, str]

#: The table in which the migrations store the revision.
REVISION_TABLE: Final = "schema_revision"

#: The name of the database itself among its objects, and its required encoding and locale (`deploy.site.access`). No
#: migration can change these.
_DATABASE: Final = "database"

_MADE: Final = "encoding UTF8, locale C.UTF-8 of builtin"

#: The remedy for a database that no migration can bring to the newest schema.
MEND: Final = (
    "it cannot be migrated. Dev stack: `causeway dev reset`. Elsewhere: give the instance a new, empty database"
)


async def read_catalogue(driver: asyncpg.Connection) -> Catalogue:
    """Read the catalogue as any login role of the database sees it, within the open transaction."""
    # Definitions name the schema of objects outside the search path, so every role needs the same path.
    await driver.execute("SET LOCAL search_path TO public")
    rows = await driver.fetch(_OBJECTS)
    rows += await driver.fetch(_ITSELF, _DATABASE)
    if await driver.fetchval("SELECT to_regclass('public.permission') IS NOT NULL"):
        rows += await driver.fetch(_PERMITTED)
    if await driver.fetchval("SELECT to_regclass('public.location_lock_slot') IS NOT NULL"):
        rows += await driver.fetch(_TURNS)
    return {row["object"]: re.sub(r"\s+", " ", row["definition"]).strip() for row in rows}


def write_catalogue(catalogue: Catalogue) -> str:
    """Return the catalogue as text, one object a line, sorted. It is committed with the migrations, to show changes."""
    return "".join(f"{name}: {catalogue[name]}\n" for name in sorted(catalogue))


def parse_catalogue(text: str) -> Catalogue:
    """Parse the text of `write_catalogue`."""
    return dict(line.split(": ", 1) for line in text.splitlines())


def find_differences(expected: Catalogue, found: Catalogue) -> Iterator[str]:
    """Yield each object in which a database differs from the expected catalogue, with the difference."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} is unknown"
        elif expected[name] != found[name]:
            yield f"{name} is ({found[name]}), not ({expected[name]})"


def refuse_stranger(catalogue: Catalogue, *, whose: str) -> None:
    """Raise `Refused`, with the remedy, if these migrations cannot have created the database of `whose`.

    `database_made_otherwise`: it has another encoding or locale. `schema_unknown`: it has tables but no revision.
    """
    if (made := catalogue[_DATABASE]) != _MADE:
        raise Refused("database_made_otherwise", f"{whose}: {made}, not {_MADE}; {MEND}")
    if f"table {REVISION_TABLE}" not in catalogue and any(name.startswith("table ") for name in catalogue):
        raise Refused("schema_unknown", f"{whose}: it has tables that no migration created; {MEND}")


# Every object of the schema `public` that belongs to no extension: its kind, name and whole definition. It has no parts
# that differ between databases or versions of PostgreSQL without meaning. These are object ids, toast tables, the
# owner's rights on its own objects, NOT NULL as a constraint (it is part of the column), and the partitions of months.
_OBJECTS = """
WITH role(oid, name) AS (
    SELECT r.oid, CASE
        WHEN r.rolname = current_database() THEN 'service'
        WHEN r.rolname = current_database() || '_accountant' THEN 'accountant'
        WHEN r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database()) THEN 'owner'
        ELSE r.rolname END
    FROM pg_roles AS r UNION ALL SELECT 0, 'everyone'
), brought(classid, objid) AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.*, (SELECT name FROM role WHERE oid = c.relowner) AS owner FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
      AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM brought)
), held AS (
    SELECT * FROM relation WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
), routine AS (
    SELECT p.*, p.oid::regprocedure AS signature FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM brought)
), granted(place, owner, acl) AS (
    SELECT relname::text, relowner, relacl FROM relation
    UNION ALL SELECT 'schema public', nspowner, nspacl FROM pg_namespace WHERE nspname = 'public'
    UNION ALL SELECT signature::text, proowner, proacl FROM routine
), granted_column(place, owner, name, acl) AS (
    SELECT h.relname::text, h.relowner, a.attname, a.attacl
    FROM held AS h JOIN pg_attribute AS a ON a.attrelid = h.oid WHERE a.attacl IS NOT NULL
), privilege(place, grantee, name) AS (
    SELECT g.place, e.grantee, e.privilege_type || CASE WHEN e.is_grantable THEN ' to pass on' ELSE '' END
    FROM granted AS g, aclexplode(g.acl) AS e WHERE e.grantee <> g.owner
    UNION ALL
    SELECT g.place, e.grantee, format('%s (%s)', e.privilege_type, string_agg(g.name, ', ' ORDER BY g.name))
    FROM granted_column AS g, aclexplode(g.acl) AS e WHERE e.grantee <> g.owner
    GROUP BY g.place, e.grantee, e.privilege_type
)
SELECT 'table ' || relname AS object, concat_ws(', ',
    'kind ' || relkind::text, 'persistence ' || relpersistence::text, 'owner ' || owner,
    CASE WHEN relrowsecurity THEN 'row security on' END, CASE WHEN relforcerowsecurity THEN 'forced on its owner' END,
    'with ' || array_to_string(reloptions, ' '),
    'inherits ' || (SELECT string_agg(inhparent::regclass::text, ' ' ORDER BY inhseqno) FROM pg_inherits
                    WHERE inhrelid = oid),
    CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END) AS definition
FROM held
UNION ALL
SELECT format('column %s.%s', h.relname, a.attname), concat_ws(', ',
    row_number() OVER (PARTITION BY h.oid ORDER BY a.attnum) || ' ' || format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'not null' END, 'default ' || pg_get_expr(d.adbin, d.adrelid),
    'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
    'storage ' || a.attstorage::text, 'compression ' || nullif(a.attcompression::text, ''),
    'with ' || array_to_string(a.attoptions, ' '),
    'collation ' || (SELECT collname FROM pg_collation WHERE oid = a.attcollation AND collname <> 'default'))
FROM held AS h JOIN pg_attribute AS a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT format('constraint %s.%s', h.relname, c.conname), pg_get_constraintdef(c.oid)
FROM held AS h JOIN pg_constraint AS c ON c.conrelid = h.oid WHERE c.contype <> 'n'
UNION ALL
SELECT 'index ' || i.indexrelid::regclass,
       pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE ', not valid' END
FROM held AS h JOIN pg_index AS i ON i.indrelid = h.oid
UNION ALL
SELECT 'sequence ' || r.relname, concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
                                           s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END, 'owner ' || r.owner)
FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
UNION ALL
SELECT format('policy %s on %s', p.polname, h.relname), concat_ws(' ',
    CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for ' || p.polcmd::text,
    'to ' || (SELECT string_agg(name, ', ' ORDER BY name) FROM role WHERE oid = ANY (p.polroles)),
    'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
FROM held AS h JOIN pg_policy AS p ON p.polrelid = h.oid
UNION ALL
SELECT format('grant on %s to %s', p.place, role.name), string_agg(p.name, ', ' ORDER BY p.name)
FROM privilege AS p JOIN role ON role.oid = p.grantee GROUP BY p.place, role.name
UNION ALL
SELECT format('trigger %s on %s', t.tgname, h.relname), concat(pg_get_triggerdef(t.oid), ', enabled ', t.tgenabled)
FROM held AS h JOIN pg_trigger AS t ON t.tgrelid = h.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('rule %s on %s', w.rulename, h.relname), pg_get_ruledef(w.oid)
FROM held AS h JOIN pg_rewrite AS w ON w.ev_class = h.oid WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'routine ' || signature, concat_ws(' ', prokind, prosecdef, provolatile, prosrc) FROM routine
UNION ALL
SELECT 'type ' || t.typname, concat_ws(' ', t.typtype, format_type(nullif(t.typbasetype, 0), t.typtypmod),
       (SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
FROM pg_type AS t
WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('d', 'e', 'r')
  AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM brought)
"""

_ITSELF = """
SELECT $1::text AS object, format('encoding %s, locale %s of %s', pg_encoding_to_char(encoding),
    coalesce(datlocale, datcollate), CASE datlocprovider WHEN 'b' THEN 'builtin' WHEN 'i' THEN 'icu' ELSE 'libc' END)
    AS definition
FROM pg_database WHERE datname = current_database()
"""

_PERMITTED = """
SELECT format('permission %s %s %s', resource, action, role) AS object,
       string_agg(state, ' ' ORDER BY state) AS definition
FROM public.permission GROUP BY resource, action, role
"""

_TURNS = """
SELECT 'rows of location_lock_slot' AS object, format('%s from %s to %s', count(*), min(slot), max(slot)) AS definition
FROM public.location_lock_slot
"""

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
    *("delivery/tracks.sql", "features/record_access/schema.sql", "platform/timers/schema.sql"),
    *("platform/courier/schema.sql", "features/dialogues/schema.sql"),
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
    return Schema(tuple(sorted(heads)), parse_catalogue(catalogue_file(service).read_text(encoding="utf-8")))


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
