"""The servers of tests: one embedded stack for all that share it, and those that tests start for themselves.

    python -m tests.support.stack FOLDER

makes one, migrates its databases and stops it: what is given as `TESTS_PREPARED` is what the others begin as. Without
it each begins with nothing, as an installation does. Neither knows a party, a key or a document: who starts installs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.devstack.stack import DevStack
from deploy.devstack.state import DevStackSettings, StateDirectory
from deploy.site.settings import inherited_environment
from shared.runtime.database.migrate import upgrade
from tests.support.run_date import machine_time, move_databases

#: One instance of each kind, and the name of each: what a test runs that needs no second of any.
FOUR = {name: name for name in ("hotline", "law_enforcement", "industry", "audit")}
INSTANCES = tuple(FOUR)
#: The environment's name of the folder that was prepared. No setting of ours begins so: instances do not know of it.
PREPARED: Final = "TESTS_PREPARED"
#: By folder of a state directory, what of it a stopped stack is begun from; all else follows from where it lies.
_KEPT: Final = {"postgres": "data", "kafka": "data"}
_PASSWORDS: Final = "passwords.json"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """PostgreSQL and Kafka, running and provisioned. A test that stops or kills one starts it again before it ends."""
    with servers(tmp_path_factory.mktemp("stack")) as running:
        yield running


@contextmanager
def servers(
    state: Path, *, instances: Mapping[str, str] = FOUR, secure: bool = False, forking: bool = False
) -> Iterator[DevStack]:
    """A stack in an empty directory. In the end it is killed: nobody reads any more what it holds."""
    settings = embedded_settings(causeway_dev_secure=secure)
    lay_down(state)
    with ExitStack() as ended:
        with machine_time():
            made = DevStack(state, settings, say=lambda _: None, instances=instances, forking=forking)
            running = ended.enter_context(made)
        move_databases(running.postgres.admin_url)
        yield running
        # The first Kafka of a machine ends in order: it leaves the class archive with which the others start.
        if any((settings.causeway_cache_dir / "java").glob("*.archive")):
            running.kafka.kill()
        running.postgres.crash()


def lay_down(state: Path) -> None:
    """Let an empty state directory begin as what was prepared, if anything was."""
    prepared = inherited_environment().get(PREPARED)
    if prepared is None:
        return
    begun = StateDirectory(state)
    for part, data in _KEPT.items():
        _copy(Path(prepared) / part / data, begun.part(part))
    _copy(Path(prepared) / _PASSWORDS, begun.path)


def _copy(source: Path, folder: Path) -> None:
    subprocess.run(["cp", "--archive", "--reflink=auto", str(source), str(folder)], check=True)


def prepare(folder: Path) -> None:
    """Make what others begin as. It is stopped in order: what it did not write down would be mended at each start."""
    with DevStack(folder, embedded_settings(), say=lambda _: None, instances=FOUR) as stack:
        for instance in INSTANCES:
            upgrade(*stack.endpoints.owned(instance), whose=instance)


def embedded_settings(**changes: str | bool | Path | dict[str, str] | None) -> DevStackSettings:
    """Settings that start both servers, whatever the environment of the test run gives."""
    nothing_given: dict[str, Any] = {
        "database_url": None,
        "causeway_database_urls": {},
        "kafka_bootstrap_servers": None,
        "causeway_dev_kafka_admin_password": None,
        "causeway_dev_kafka_ca_file": None,
        "causeway_dev_secure": False,
    }
    return DevStackSettings.model_validate(DevStackSettings().model_dump() | nothing_given | changes)


def main(arguments: Sequence[str]) -> int:
    (folder,) = arguments
    prepare(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
