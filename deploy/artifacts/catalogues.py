"""`python -m deploy.artifacts.catalogues`: write each service's catalogue, for `causeway db check`.

This is a separate command because it starts its own PostgreSQL server.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from deploy.devstack.servers import PostgresServer
from deploy.devstack.state import StateDirectory
from deploy.site.access import prepare_databases
from deploy.site.settings import KINDS
from shared.platform.database.migrate import catalogue_file, look_at_schema, run_revisions, write_catalogue


def main() -> int:
    """Write the catalogues and return 0. A test fails if this was forgotten."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder))
        state.acquire()
        server = PostgresServer(state, port=state.port("postgres", set()))
        try:
            server.start()
            _write(server.admin_url, state)
        finally:
            server.stop()
            state.release()
    return 0


def _write(admin_url: str, state: StateDirectory) -> None:
    made = prepare_databases(admin_url, KINDS, state.password)
    for service in KINDS:
        run_revisions(service, made[service].owner_url)
        text = write_catalogue(look_at_schema(made[service].owner_url).catalogue)
        path = catalogue_file(service)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written  {path.parent.parent.name}\n")


if __name__ == "__main__":
    sys.exit(main())
