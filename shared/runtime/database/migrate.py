"""Migrations: Alembic, forward only, run by the owner role; one numbered folder per service."""

from __future__ import annotations

from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

_URL = "causeway_owner_url"


def upgrade(service: str, owner_url: str) -> None:
    """Bring the database of `service` to its newest schema. Doing it again changes nothing.

    Blocks, and starts an event loop of its own: call it from a thread that has none.
    """
    command.upgrade(_config(service, owner_url), "head")


def current_heads(service: str) -> tuple[str, ...]:
    """The newest revisions that the code knows, for `causeway db check`."""
    from alembic.script import ScriptDirectory

    return tuple(ScriptDirectory.from_config(_config(service, "")).get_heads())


async def run_in_alembic() -> None:
    """What every service's `migrations/env.py` does: run the pending revisions in one transaction each."""
    url = str(context.config.attributes[_URL]).replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


def _run(connection: object) -> None:
    context.configure(connection=connection, transaction_per_migration=True)  # type: ignore[arg-type]
    with context.begin_transaction():
        context.run_migrations()


def _config(service: str, owner_url: str) -> Config:
    config = Config()
    folder = Path(__file__).resolve().parents[3] / "services" / service / "migrations"
    config.set_main_option("script_location", str(folder))
    config.attributes[_URL] = owner_url
    return config
