"""Access to Kafka: address, login and encryption, and the meaning of its failures for a caller that can only wait."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import errors
from aiokafka.helpers import create_ssl_context
from faststream.security import BaseSecurity, SASLScram512

from shared.core.errors import Unavailable

REQUEST_TIMEOUT_MS: Final = 10_000
#: The time that a broker holds a fetch without records; a new record ends it at once. Until then the broker
#: answers no other request on that connection, so a fetch asks for every partition (`reader.fetch_all`).
FETCH_WAIT_MS: Final = 4_000
#: The interval at which a consumer checks for more to fetch. It also checks when records arrive or are taken.
FETCHER_LOOKS_MS: Final = 10_000

#: The errors of aiokafka's clients without a broker, a right or a topic. A wrong password looks like a missing broker.
KAFKA_ERRORS: Final = (errors.KafkaError, OSError)

TOPIC_REFUSALS: Final = (errors.TopicAuthorizationFailedError, errors.UnknownTopicOrPartitionError)

#: The errors for more bytes than the topic, or one of its segments, accepts.
TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)

_REFUSALS: Final = (
    *(errors.ClusterAuthorizationFailedError, errors.GroupAuthorizationFailedError),
    *(errors.InvalidTimestampError, errors.PolicyViolationError, *TOPIC_REFUSALS),
)


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The address of Kafka and the login for it.

    `username` means SCRAM-SHA-512. `tls` means TLS: `ca_file`, or else the system's trust store, verifies the brokers,
    and their names are always checked. `certificate_file` (key and certificate in one PEM file) is a client
    certificate. Either file means TLS, also without `tls`.
    """

    bootstrap_servers: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None

    def client_options(self, client_id: str) -> dict[str, Any]:
        """Return the keyword arguments for any aiokafka client."""
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
        """Return the security of the connection for FastStream."""
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
        # Without a certificate file, this loads the system's trust store.
        context: ssl.SSLContext = create_ssl_context(cafile=self.ca_file, certfile=self.certificate_file)
        return context


def unavailable(error: BaseException) -> Unavailable:
    """Return the error for a Kafka failure that the caller can only wait out."""
    if isinstance(error, _REFUSALS):
        # The broker does not distinguish a missing topic from a missing right; an operator can repair both meanwhile.
        return Unavailable("broker_refuses")
    if isinstance(error, TOO_LARGE):
        return Unavailable("broker_record_bound")
    return Unavailable("broker_unavailable")
