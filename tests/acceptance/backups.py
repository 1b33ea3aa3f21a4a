"""Backups of one instance's database and their restore: a dump, a base backup with its log, a copy of the disk."""

from __future__ import annotations

import asyncio
import shutil
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

import asyncpg

from deploy.devstack.servers import PostgresServer, binaries
from deploy.devstack.state import StateDirectory
from tests.journeys.commands import ROOT, blocks, shell
from tests.support.running import Exchange

PAGE: Final = ROOT / "docs" / "operations" / "README.md"
SHELL_S_MAX: Final = 1_200.0
#: The instance that the commands of the page name.
NAMED: Final = "law_enforcement"
#: The schema that holds a copy of the disk.
COPY: Final = "disk_copy"
#: Tables with their columns except generated ones. Partitions are covered by their table.
_TABLES: Final = f"""
SELECT format('%I', c.relname) AS name, string_agg(format('%I', a.attname), ', ') AS columns
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attgenerated = ''
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
  AND ($1 OR to_regclass('{COPY}.' || quote_ident(c.relname)) IS NOT NULL) GROUP BY 1
"""
_SEQUENCES: Final = """
SELECT format('%I', sequencename) AS name, coalesce(last_value, start_value) AS value, last_value IS NOT NULL AS called
FROM pg_sequences WHERE schemaname = 'public'
"""


class Way(StrEnum):
    """A method to back up and restore a database."""

    DUMP = "dump"
    POINT = "point-in-time"
    DISK = "disk-copy"


class Backup(Protocol):
    """A database at one past moment."""

    async def put_back(self) -> None:
        """Restore the database to its state at the backup. Its instance must not run."""


async def back_up(exchange: Exchange, instance: str, folder: Path, way: Way = Way.DUMP) -> Backup:
    """Back up the database of a running instance into a folder that only this backup uses."""
    if way is Way.DISK:
        return await DiskCopy(exchange, instance).taken()
    await asyncio.to_thread(folder.mkdir)
    return await (Dump if way is Way.DUMP else PointInTime)(exchange, instance, folder).taken()


class Dump:
    """A dump with the commands of the operator's page."""

    def __init__(self, exchange: Exchange, instance: str, folder: Path) -> None:
        self.exchange, self.instance, self.folder = exchange, instance, folder

    async def taken(self, server: str | None = None) -> Dump:
        """Return the dump of the given server, or of the exchange's own server if none is given."""
        await asyncio.to_thread(self._follow, page()[0], server or self.exchange.stack.postgres.admin_url)
        return self

    async def put_back(self) -> None:
        await asyncio.to_thread(self._follow, page()[1], self.exchange.stack.postgres.admin_url)

    def _follow(self, lines: list[str], server: str) -> None:
        """Run commands of the page unchanged, except for the instance's name."""
        shell(
            self.folder,
            *(line.replace(NAMED, self.instance) for line in lines),
            seconds_max=SHELL_S_MAX,
            PATH=f"{binaries()}:/usr/local/bin:/usr/bin:/bin",
            CAUSEWAY_DEV_STATE_DIR=str(self.exchange.state),
            SERVER=server,
            DATABASE=f"{server.rpartition('/')[0]}/causeway_{self.instance}",
        )


class PointInTime:
    """A base backup of the whole server, recovered on another server to a later moment. Only this database is copied
    back.

    The server's own log is the archive, and the server retains it from now on.
    """

    def __init__(self, exchange: Exchange, instance: str, folder: Path) -> None:
        self.exchange, self.instance, self.folder = exchange, instance, folder
        self.moment: datetime | None = None

    @property
    def live(self) -> Path:
        """Return the folder of the running server."""
        return self.exchange.state / "postgres/data"

    async def taken(self) -> PointInTime:
        connection = await asyncpg.connect(self.exchange.stack.postgres.admin_url)
        await connection.execute("ALTER SYSTEM SET wal_keep_size = '16GB'")
        await connection.execute("SELECT pg_reload_conf(), pg_backup_start('base', true)")
        ignored = shutil.ignore_patterns("pg_wal", "postmaster.*")
        await asyncio.to_thread(shutil.copytree, self.live, self.folder / "base", ignore=ignored)
        label = await connection.fetchval("SELECT labelfile FROM pg_backup_stop(false)")
        (self.folder / "base/backup_label").write_text(label)
        (self.folder / "base/pg_wal").mkdir(mode=0o700)
        self.moment = await connection.fetchval("SELECT clock_timestamp()")
        await connection.close()
        return self

    async def put_back(self) -> None:
        state = StateDirectory(self.folder / f"recovered-{len([*self.folder.iterdir()])}")
        state.acquire()
        data = state.part("postgres") / "data"
        shutil.copytree(self.folder / "base", data)
        (data / "recovery.signal").touch()
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"restore_command = 'cp {self.live}/pg_wal/%f %p'\nrecovery_target_action = 'promote'\n")
            settings.write(f"recovery_target_time = '{self.moment}'\n")
        server = PostgresServer(state, port=self.exchange.free_port())
        own = self.exchange.stack.postgres.admin_url
        server.admin_url = f"{own.rpartition(':')[0]}:{server.admin_url.rpartition(':')[2]}"
        try:
            await asyncio.to_thread(server.start)
            dump = await Dump(self.exchange, self.instance, state.path).taken(server.admin_url)
        finally:
            server.stop()
            state.release()
        await dump.put_back()


class DiskCopy:
    """A copy of every row, restored into the same files of the same server. Only the rows show that time went back."""

    def __init__(self, exchange: Exchange, instance: str) -> None:
        self.exchange, self.instance = exchange, instance
        self.sequences: list[asyncpg.Record] = []

    async def taken(self) -> DiskCopy:
        connection = await self.exchange.admin(self.instance)
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(f"DROP SCHEMA IF EXISTS {COPY} CASCADE; CREATE SCHEMA {COPY}")
            for table in await connection.fetch(_TABLES, True):
                await connection.execute(f"CREATE TABLE {COPY}.{table['name']} AS TABLE public.{table['name']}")
            self.sequences = await connection.fetch(_SEQUENCES)
        await connection.close()
        return self

    async def put_back(self) -> None:
        connection = await self.exchange.admin(self.instance)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for table in await connection.fetch(_TABLES, True):
                await connection.execute(f"DELETE FROM public.{table['name']}")
            for name, columns in await connection.fetch(_TABLES, False):
                await connection.execute(
                    f"INSERT INTO public.{name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {COPY}.{name}"
                )
            for each in self.sequences:
                await connection.execute("SELECT setval($1::text::regclass, $2, $3)", *each)
        await connection.close()


def page() -> list[list[str]]:
    """Return the two command blocks of the page's section on a restored database: the dump and its restore."""
    found = [block for block in blocks(PAGE) if any("backup.dump" in line for line in block)]
    assert len(found) == 2
    return found
