"""Where everything of a running stack is reached, and with which credentials: one file, mode 0600."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.kernel.errors import Unavailable

INSTANCES = ("hotline", "law_enforcement", "industry", "audit")
ADMIN = "admin"
_FILE = "endpoints.json"


class KafkaEndpoint(BaseModel):
    """A Kafka cluster and the SCRAM-SHA-512 password of each principal (none on an open cluster)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: str
    security_protocol: Literal["SASL_PLAINTEXT", "PLAINTEXT"]
    passwords: dict[str, str] = Field(repr=False)

    def aiokafka_options(self, principal: str) -> dict[str, str]:
        """Keyword arguments for any aiokafka client acting as `principal`."""
        options = {"bootstrap_servers": self.bootstrap_servers, "security_protocol": self.security_protocol}
        if self.security_protocol == "PLAINTEXT":
            return options
        return options | {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": principal,
            "sasl_plain_password": self.passwords[principal],
        }

    def librdkafka_options(self, principal: str) -> dict[str, str | int | float | bool]:
        """Configuration for any confluent-kafka client acting as `principal`."""
        options: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
        }
        if self.security_protocol == "PLAINTEXT":
            return options
        return options | {
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": principal,
            "sasl.password": self.passwords[principal],
        }


class DatabaseEndpoint(BaseModel):
    """One instance's database, as `postgresql://` URLs for its three roles.

    `service_url` is the login role of the running instance: it owns nothing and cannot bypass row-level security.
    `owner_url` owns the database and runs migrations. `accountant_url` reads what migrations grant it for reconciling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    service_url: str = Field(repr=False)
    owner_url: str = Field(repr=False)
    accountant_url: str = Field(repr=False)


class Endpoints(BaseModel):
    """Everything a client of the stack needs to know. `database_admin_url` is there only if the stack has one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kafka: KafkaEndpoint
    databases: dict[str, DatabaseEndpoint]
    database_admin_url: str | None = Field(None, repr=False)
    http: dict[str, str]
    pids: dict[str, int]

    def save(self, state_dir: Path) -> None:
        """Write the file at once and whole, mode 0600 from the first byte."""
        write_private(state_dir / _FILE, self.model_dump_json(indent=2))


def load(state_dir: Path) -> Endpoints:
    """Read the endpoints of the stack in `state_dir`. Raises `Unavailable` if none was ever started there.

    The file outlives a stopped stack: that it is there does not mean that anything runs.
    """
    try:
        return Endpoints.model_validate_json((state_dir / _FILE).read_bytes())
    except FileNotFoundError:
        raise Unavailable("stack_not_started", "no endpoints file: start the stack with `causeway dev up`") from None
    except ValidationError:
        raise Unavailable("endpoints_unreadable", "the endpoints file is of another version: start again") from None


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` atomically; only the owner may ever read it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
