"""Access to Kafka: where it is, as whom it is reached, and what its failures mean to whoever can only wait."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.helpers import create_ssl_context
from faststream.security import BaseSecurity, SASLScram512

from shared.kernel.errors import Unavailable

REQUEST_TIMEOUT_MS: Final = 10_000
#: So long a broker keeps a fetch for which it has nothing; a record that comes ends it at once. Until then it answers
#: nothing else on that connection, so a fetch asks for every partition: see `shared.runtime.kafka.reader.fetch_all`.
FETCH_WAIT_MS: Final = 2_500
#: How often a consumer looks by itself whether there is more to fetch, besides when something came or was taken.
FETCHER_LOOKS_MS: Final = 1_000

#: What clients of aiokafka raise when there is no broker, no right, or no topic. A wrong password looks like no broker.
KAFKA_ERRORS: Final = (KafkaError, OSError)

TOPIC_REFUSALS: Final = (TopicAuthorizationFailedError, UnknownTopicOrPartitionError)

#: More bytes than the topic takes, or than a segment of it holds.
TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)

_REFUSALS: Final = (
    *(ClusterAuthorizationFailedError, GroupAuthorizationFailedError),
    *(InvalidTimestampError, PolicyViolationError, *TOPIC_REFUSALS),
)


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where Kafka is and as whom it is reached.

    With `username`, SCRAM-SHA-512. With `tls`, over TLS: brokers are verified by `ca_file` where one is named, else by
    the system's trust store; their names are always compared. With `certificate_file` (key and certificate in one PEM
    file), as the holder of that certificate. Either file means TLS also where `tls` does not say so.
    """

    bootstrap_servers: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None

    def client_options(self, client_id: str) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "client_id": client_id,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "security_protocol": self._protocol(),
            "ssl_context": self._ssl_context(),
        }
        if self.username is not None:
            options |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options

    def security(self) -> BaseSecurity:
        """The security of the connection as FastStream takes it."""
        context = self._ssl_context()
        if self.username is None:
            return BaseSecurity(ssl_context=context, use_ssl=context is not None)
        return SASLScram512(self.username, self.password or "", ssl_context=context, use_ssl=context is not None)

    def _protocol(self) -> str:
        transport = "SSL" if self._over_tls() else "PLAINTEXT"
        return transport if self.username is None else f"SASL_{transport}"

    def _over_tls(self) -> bool:
        return self.tls or self.ca_file is not None or self.certificate_file is not None

    def _ssl_context(self) -> ssl.SSLContext | None:
        if not self._over_tls():
            return None
        # Without a file of ours, this loads the system's trust store.
        context: ssl.SSLContext = create_ssl_context(cafile=self.ca_file, certfile=self.certificate_file)
        return context


def unavailable(error: BaseException) -> Unavailable:
    """What a Kafka failure means to whoever can only wait."""
    if isinstance(error, _REFUSALS):
        # The broker does not tell a missing topic from a missing right; an operator mends either while we wait.
        return Unavailable("broker_refuses")
    if isinstance(error, TOO_LARGE):
        return Unavailable("broker_record_bound")
    return Unavailable("broker_unavailable")
