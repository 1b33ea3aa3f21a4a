"""Telling a broker that is down from one that does not know the password: most clients report both alike."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.site.access import accepts
from deploy.site.endpoints import KafkaEndpoint

LOGIN_S: Final = 5.0


class Login(StrEnum):
    """How a login ended. `broker_silent`: something accepts connections there and does not speak Kafka in time."""

    DONE = "done"
    BROKER_DOWN = "broker_down"
    BROKER_SILENT = "broker_silent"
    PASSWORD_WRONG = "password_wrong"  # noqa: S105 - the name of an outcome


def try_login(endpoint: KafkaEndpoint, principal: str) -> Login:
    """Log in once as `principal` and ask for metadata. Blocks for a few seconds at most."""
    if not any(_accepts(server) for server in endpoint.bootstrap_servers.split(",")):
        return Login.BROKER_DOWN
    said: list[int] = []
    options: dict[str, Any] = {**endpoint.librdkafka_options(principal), "log_level": 0}
    client = AdminClient(options | {"error_cb": lambda error: said.append(error.code())})
    try:
        client.list_topics(timeout=LOGIN_S)
    except KafkaException as error:
        said.append(error.args[0].code())
        client.poll(0)  # the reason, where there is one, comes to the callback
        return Login.PASSWORD_WRONG if KafkaError._AUTHENTICATION in said else Login.BROKER_SILENT
    return Login.DONE


def _accepts(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    return port.isdecimal() and accepts(host.strip("[]"), int(port))
