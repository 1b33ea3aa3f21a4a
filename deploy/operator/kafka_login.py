"""Telling a broker that is down from one that does not know the password: most clients report both alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.site.access import accepts
from deploy.site.endpoints import KafkaEndpoint

LOGIN_S: Final = 5.0
_ASK_S: Final = 0.5


class Login(StrEnum):
    """How a login ended. `broker_silent`: something accepts connections there and does not speak Kafka in time;
    `broker_untrusted`: it has no certificate that this site trusts under the name by which it is reached."""

    DONE = "done"
    BROKER_DOWN = "broker_down"
    BROKER_SILENT = "broker_silent"
    BROKER_UNTRUSTED = "broker_untrusted"
    PASSWORD_WRONG = "password_wrong"  # noqa: S105 - the name of an outcome


_REASONS: Final = {KafkaError._AUTHENTICATION: Login.PASSWORD_WRONG, KafkaError._SSL: Login.BROKER_UNTRUSTED}


def try_login(endpoint: KafkaEndpoint, principal: str) -> Login:
    """Log in once as `principal` and ask for metadata. Blocks for a few seconds at most."""
    if not any(_accepts(server) for server in endpoint.bootstrap_servers.split(",")):
        return Login.BROKER_DOWN
    said: list[int] = []
    options: dict[str, Any] = {**endpoint.librdkafka_options(principal), "log_level": 0}
    client = AdminClient(options | {"error_cb": lambda error: said.append(error.code())})
    deadline = time.monotonic() + LOGIN_S
    while not _reasons(said) and time.monotonic() < deadline:
        try:
            client.list_topics(timeout=_ASK_S)
        except KafkaException as error:
            said.append(error.args[0].code())
            client.poll(0)  # the reason, where there is one, comes to the callback
        else:
            return Login.DONE
    return next(iter(_reasons(said)), Login.BROKER_SILENT)


def _reasons(said: Sequence[int]) -> list[Login]:
    """What the client could tell, which tries again by itself and says only that time ran out."""
    return [_REASONS[code] for code in said if code in _REASONS]


def _accepts(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    return port.isdecimal() and accepts(host.strip("[]"), int(port))
