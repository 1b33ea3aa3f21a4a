"""The site file: addresses and credentials of an installation.

    {
      "kafka": {"bootstrap_servers": "kafka.example:9093", "security_protocol": "SASL_SSL", "ca_file": "ca.pem",
                "passwords": {"audit": "..."}, "password_files": {"admin": "secrets/admin"}},
      "databases": {"hotline": {"service_url": "...", "owner_url": "...", "accountant_url": "..."}, ...},
      "http": {"hotline": "https://hotline.example", ...},
      "kinds": {"industry_two": "industry"},
      "state": "/srv/causeway"
    }

A development stack writes its own; an operator writes one by hand (docs/operations/site.md). A process that can read
it, and the files that it names, can act as every instance.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from client.cli.settings import write_private as write_private_bytes
from deploy.site.settings import KINDS
from shared.core.contracts.base import error_locations
from shared.core.errors import Refused, Unavailable

ADMIN = "admin"
#: The name of the site file that a stack writes into its state directory.
STACK_FILE: Final = "endpoints.json"
#: Reserved names and endings of instances: its principal or database role would belong to another.
_TAKEN: Final = (ADMIN, "_owner", "_accountant")
_Value = TypeVar("_Value")
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaEndpoint(BaseModel):
    """A Kafka cluster, and the SCRAM-SHA-512 password of each principal, stated or in a separate file.

    With SASL_SSL brokers are verified by `ca_file` and by no other authority; without it, by the system's trust store.
    The names in their certificates are always compared. An open cluster (PLAINTEXT) has neither passwords nor a CA.
    """

    model_config = _STRICT

    bootstrap_servers: str
    security_protocol: Literal["SASL_SSL", "SASL_PLAINTEXT", "PLAINTEXT"]
    ca_file: Path | None = None
    #: The operator's name in the cluster.
    admin_username: str = ADMIN
    passwords: dict[str, str] = Field({}, repr=False)
    password_files: dict[str, Path] = {}

    @model_validator(mode="after")
    def _no_idle_credentials(self) -> Self:
        """Refuse credentials that the protocol would not use: probably the protocol is wrong."""
        if self.open and self.principals:
            raise ValueError("an open cluster asks for no passwords")
        if self.ca_file is not None and not self.tls:
            raise ValueError("a CA serves only over SASL_SSL")
        if self.passwords.keys() & self.password_files.keys():
            raise ValueError("a password is stated or in a file, not both")
        return self

    @property
    def open(self) -> bool:
        """Return whether the cluster accepts every client."""
        return self.security_protocol == "PLAINTEXT"

    @property
    def tls(self) -> bool:
        """Return whether connections are encrypted, and the brokers verified."""
        return self.security_protocol == "SASL_SSL"

    @property
    def principals(self) -> tuple[str, ...]:
        """Return all principals with a known password."""
        return (*self.passwords, *self.password_files)

    def username(self, principal: str) -> str:
        """Return the cluster's name of a principal."""
        return self.admin_username if principal == ADMIN else principal

    def password(self, principal: str) -> str:
        """Return a password. Raises `Unavailable` if it is not known, or its file cannot be read."""
        if principal in self.passwords:
            return self.passwords[principal]
        file = self.password_files.get(principal)
        if file is None:
            raise Unavailable("kafka_password_missing", f"the site has no Kafka password of `{principal}`")
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Unavailable("password_file_unreadable", f"the file with Kafka's password of `{principal}`") from None

    def librdkafka_options(self, principal: str) -> dict[str, str | int | float | bool]:
        """Return the configuration of a confluent-kafka client for `principal`."""
        options: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
        }
        if self.open:
            return options
        if self.tls:
            options |= {"ssl.ca.location": _system_store() if self.ca_file is None else str(self.ca_file)}
            options |= {"ssl.endpoint.identification.algorithm": "https"}
        return options | {
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.username(principal),
            "sasl.password": self.password(principal),
        }

    def anchored(self, folder: Path) -> Self:
        """Return the endpoint with file names made absolute from `folder`."""
        files = {name: folder / file for name, file in self.password_files.items()}
        ca_file = None if self.ca_file is None else folder / self.ca_file
        return self.model_copy(update={"ca_file": ca_file, "password_files": files})


def _database_url(text: str) -> str:
    """Refuse an unreadable address here, without showing it: drivers quote it, with its password."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("postgresql", "postgres") and bool(parts.path.strip("/")) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise PydanticCustomError(
            "database_url_malformed",
            "not postgresql://role:password@host:port/database: in a password write / # ? @ : as %2F %23 %3F %40 %3A",
        )
    return text


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]


class DatabaseEndpoint(BaseModel):
    """One instance's database, as `postgresql://` URLs for its three roles.

    `service_url` is the login role of the running instance: it owns nothing and cannot bypass row-level security.
    `owner_url` owns the database and runs migrations. `accountant_url` reads the objects that migrations grant it.
    """

    model_config = _STRICT

    service_url: DatabaseUrl = Field(repr=False)
    owner_url: DatabaseUrl = Field(repr=False)
    accountant_url: DatabaseUrl = Field(repr=False)


class OwnedDatabase(NamedTuple):
    """A database as its owner: its kind of service, whose migrations it has, and its URL."""

    kind: str
    owner_url: str


class Endpoints(BaseModel):
    """The content of a site file. It need not name every instance; a command for a missing one is refused.

    `metrics` has the address of an instance's metrics, if it serves them. `kinds` has the kind of service of an
    instance whose name is not its kind. `database_admin_url` exists only for a stack that has one, `pids` only in a
    stack's file. `state` is the directory of keys and documents; default is the file's own folder.
    """

    model_config = _STRICT

    kafka: KafkaEndpoint
    databases: dict[str, DatabaseEndpoint]
    database_admin_url: str | None = Field(None, repr=False)
    http: dict[str, str]
    metrics: dict[str, str] = {}
    kinds: dict[str, str] = {}
    pids: dict[str, int] = {}
    state: Path | None = None

    @model_validator(mode="after")
    def _known_instances(self) -> Self:
        if not self.kinds.keys() <= set(self.instances):
            raise ValueError("`kinds` names an instance without database and address")
        if any(self.kinds.get(name, name) not in KINDS for name in self.instances):
            raise ValueError(f"`kinds` needs one of these kinds for each instance: {', '.join(KINDS)}")
        if any(name == _TAKEN[0] or name.endswith(_TAKEN[1:]) for name in self.instances):
            raise ValueError("an instance has a reserved name: the operator's, or a database role of another")
        return self

    @property
    def instances(self) -> tuple[str, ...]:
        """Return every instance of the file, in its order."""
        return tuple(dict.fromkeys([*self.databases, *self.http]))

    def kind(self, instance: str) -> str:
        """Return an instance's kind of service. Raises `Refused("instance_not_in_site")`."""
        return _of({name: self.kinds.get(name, name) for name in self.instances}, instance)

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Return the instances of these kinds, in its order."""
        return tuple(name for name in self.instances if self.kind(name) in kinds)

    def owned(self, instance: str) -> OwnedDatabase:
        """Return an instance's database as its owner. Raises `Refused("instance_not_in_site")`."""
        return OwnedDatabase(self.kind(instance), self.database(instance).owner_url)

    def database(self, instance: str) -> DatabaseEndpoint:
        """Return an instance's database. Raises `Refused("instance_not_in_site")`."""
        return _of(self.databases, instance)

    def address(self, instance: str) -> str:
        """Return the base URL of an instance's API. Raises `Refused("instance_not_in_site")`."""
        return _of(self.http, instance)

    def save(self, state_dir: Path) -> None:
        """Write the complete file atomically, with mode 0600 from the first byte."""
        write_private(state_dir / STACK_FILE, self.model_dump_json(indent=2))


def load(state_dir: Path) -> Endpoints:
    """Read the endpoints of the stack in `state_dir`. Raises `Unavailable` if none was ever started there.

    The file remains when a stack stops: its existence does not mean that the stack runs.
    """
    try:
        return Endpoints.model_validate_json((state_dir / STACK_FILE).read_bytes())
    except FileNotFoundError:
        raise Unavailable("stack_not_started", "no endpoints file: start the stack with `causeway dev up`") from None
    except ValidationError:
        raise Unavailable("endpoints_unreadable", "the endpoints file is of another version: start again") from None


def read_site(file: Path) -> Endpoints:
    """Read an operator's site file; paths in it are relative to it. Raises `Refused` with the field."""
    try:
        endpoints = Endpoints.model_validate_json(file.read_bytes())
    except OSError:
        raise Refused("site_missing", "the named site file cannot be read", status=400) from None
    except ValidationError as error:
        details: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
        raise Refused("site_invalid", details[0]["msg"], field=error_locations(details)[0]["field"]) from None
    folder = file.resolve().parent
    state = folder if endpoints.state is None else folder / endpoints.state
    return endpoints.model_copy(update={"kafka": endpoints.kafka.anchored(folder), "state": state})


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` atomically; only the owner may ever read it."""
    write_private_bytes(path, text.encode())


def _system_store() -> str:
    """Return the trust store of Python's clients, so that both kinds of client trust the same authorities."""
    store = ssl.get_default_verify_paths()
    return store.cafile or store.capath or "probe"


def _of(named: Mapping[str, _Value], instance: str) -> _Value:
    if instance not in named:
        raise Refused("instance_not_in_site", f"the site file has no `{instance}`", status=400)
    return named[instance]
