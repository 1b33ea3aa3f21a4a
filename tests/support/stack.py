"""The servers of tests: one shared embedded stack, and those that tests start for themselves.

    python -m tests.support.stack FOLDER

This makes a stack, migrates its databases and stops it. With its folder as `TESTS_PREPARED`, all other stacks begin as
copies of it. Without it each begins empty, like an installation. Neither has a party, a key or a document: the user of
a stack installs them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest

from deploy.devstack.stack import DevStack
from deploy.devstack.state import DevStackSettings, StateDirectory
from deploy.directory.approval import sample_directory
from deploy.site import installation
from deploy.site.settings import inherited_environment
from shared.core.contracts.directory import Daily, Directory
from shared.platform.database.migrate import upgrade
from tests.support.run_date import machine_time, move_databases

#: One instance of each kind, named as its kind, for tests that need no second one of any kind.
FOUR = {name: name for name in ("hotline", "law_enforcement", "industry", "audit")}
INSTANCES = tuple(FOUR)
#: The environment variable with the prepared folder. No product setting has this prefix, so instances ignore it.
PREPARED: Final = "TESTS_PREPARED"
#: By part of a state directory, the data that a copied stack begins with. All else depends on its location.
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
    """Run a stack in an empty directory. It is killed at the end, because its data is not read again."""
    settings = embedded_settings(causeway_dev_secure=secure)
    lay_down(state)
    with ExitStack() as ended:
        with machine_time():
            made = DevStack(state, settings, say=lambda _: None, instances=instances, forking=forking)
            running = ended.enter_context(made)
        move_databases(running.postgres.admin_url)
        yield running
        # The first Kafka of a machine is stopped in order, so that it writes the class archive with which the others
        # start.
        if any((settings.causeway_cache_dir / "java").glob("*.archive")):
            running.kafka.kill()
        running.postgres.crash()


def large_days() -> AbstractContextManager[object]:
    """Install the sample with origins that declare a million referrals a day, for loads."""
    vast = Daily(records=1_000_000, record_bytes=512)

    def declared(*args: Any, **kwargs: Any) -> Directory:
        sample = sample_directory(*args, **kwargs)
        parties = (each.model_copy(update={"daily": each.daily and vast}) for each in sample.parties)
        return sample.model_copy(update={"parties": tuple(parties)})

    return patch.object(installation, "sample_directory", declared)


def lay_down(state: Path) -> None:
    """Fill an empty state directory from the prepared folder, if there is one."""
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
    """Make the prepared folder. The stack is stopped in order; otherwise each start of a copy would run recovery."""
    with DevStack(folder, embedded_settings(), say=lambda _: None, instances=FOUR) as stack:
        for instance in INSTANCES:
            upgrade(*stack.endpoints.owned(instance), whose=instance)


def embedded_settings(**changes: str | bool | Path | dict[str, str] | None) -> DevStackSettings:
    """Return settings that start both servers, whatever the environment of the test run contains."""
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
