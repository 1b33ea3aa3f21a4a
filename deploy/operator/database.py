"""Schemas of the instances' databases: at which revision they are, and bringing them to the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from shared.kernel.errors import Refused, Unavailable
from shared.runtime.database.migrate import current_heads, upgrade

CONNECT_S: Final = 5.0
_REVISIONS = "SELECT version_num FROM alembic_version ORDER BY version_num"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`at` is empty for a database without a schema; `heads` are the newest revisions that this code knows."""

    instance: str
    at: tuple[str, ...]
    heads: tuple[str, ...]

    @property
    def current(self) -> bool:
        return self.at == self.heads


def check_schemas(owner_urls: Mapping[str, str]) -> list[SchemaState]:
    """Where each database is. Blocks. Raises `Unavailable` if one does not let its owner in."""
    return [
        SchemaState(name, asyncio.run(_revisions(url)), tuple(sorted(current_heads(name))))
        for name, url in owner_urls.items()
    ]


def migrate_schemas(owner_urls: Mapping[str, str]) -> list[SchemaState]:
    """Bring each database to the newest schema; return where they were before. Blocks; forward only."""
    before = check_schemas(owner_urls)
    for state in before:
        if not state.current:
            upgrade(state.instance, owner_urls[state.instance])
    return before


def chosen(owner_urls: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """The databases of these instances, of all if none is named. Raises `Refused("instance_unknown")`."""
    if not set(names) <= owner_urls.keys():
        raise Refused("instance_unknown", f"one of {', '.join(owner_urls)}", status=400)
    return {name: url for name, url in owner_urls.items() if not names or name in names}


async def _revisions(url: str) -> tuple[str, ...]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S)
        try:
            return tuple(row["version_num"] for row in await connection.fetch(_REVISIONS))
        except asyncpg.UndefinedTableError:
            return ()
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("database_unavailable", getattr(error, "sqlstate", None) or type(error).__name__) from None
