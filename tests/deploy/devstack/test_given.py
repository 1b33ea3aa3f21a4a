"""What is given from outside wins over what the stack would start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.kafka import answers_metadata
from deploy.devstack.stack import DevStack
from deploy.directory.build import SAMPLE_INSTANCES
from deploy.kafka.derive import manifest_of
from deploy.kafka.provision import difference
from deploy.site.access import answers
from deploy.site.endpoints import INSTANCES
from shared.kernel.errors import Unavailable
from tests.support.stack import embedded_settings


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """Servers that somebody else runs. Not the shared ones: a second stack gives their principals its own passwords."""
    with DevStack(tmp_path_factory.mktemp("outside"), embedded_settings()) as running:
        yield running


def test_a_given_kafka_and_admin_url_are_provisioned_and_nothing_is_started(outside: DevStack, tmp_path: Path) -> None:
    settings = embedded_settings(
        database_url=outside.postgres.admin_url,
        kafka_bootstrap_servers=outside.endpoints.kafka.bootstrap_servers,
        causeway_dev_kafka_admin_password=outside.endpoints.kafka.passwords["admin"],
    )
    with DevStack(tmp_path / "second", settings) as second:
        assert second.endpoints.pids.keys() == {"supervisor"}
        assert answers_metadata(second.endpoints.kafka)
        assert not difference(outside.kafka.admin(), manifest_of(SAMPLE_INSTANCES))
        assert all(answers(second.endpoints.databases[name].service_url) for name in INSTANCES)
        with pytest.raises(Unavailable, match="kafka_not_embedded"):
            second.kafka.stop()


def test_a_given_url_stands_for_all_three_roles_of_its_instance(outside: DevStack, tmp_path: Path) -> None:
    urls = {f"causeway_{name}_database_url": f"postgresql://db.example/{name}" for name in INSTANCES}
    settings = embedded_settings(
        **urls,
        kafka_bootstrap_servers=outside.endpoints.kafka.bootstrap_servers,
        causeway_dev_kafka_admin_password=outside.endpoints.kafka.passwords["admin"],
    )
    with DevStack(tmp_path / "third", settings) as third:
        assert third.endpoints.pids.keys() == {"supervisor"}
        assert third.endpoints.database_admin_url is None
        for name, database in third.endpoints.databases.items():
            assert set(database.model_dump().values()) == {f"postgresql://db.example/{name}"}


def test_a_wrong_admin_password_of_a_given_kafka_is_reported_and_lets_the_directory_go(
    outside: DevStack, tmp_path: Path
) -> None:
    settings = embedded_settings(
        database_url=outside.postgres.admin_url,
        kafka_bootstrap_servers=outside.endpoints.kafka.bootstrap_servers,
        causeway_dev_kafka_admin_password="wrong",
    )
    second = DevStack(tmp_path / "fourth", settings)
    with pytest.raises(Unavailable, match="kafka_not_reachable"):
        second.start()
    assert second.state.supervisor_pid() is None
