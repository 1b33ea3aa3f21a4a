"""The catalogue of a database: the definition of each object, independent of the revision that the database states.

Two databases have the same catalogue if they have the same encoding and locale, tables, columns, constraints, indexes,
policies, grants and permissions. Object ids and role names do not matter, because role names derive from the database's
name.

Trust: a client with the owner role can change a schema and change it back between two checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import asyncpg

from shared.core.errors import Refused

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
